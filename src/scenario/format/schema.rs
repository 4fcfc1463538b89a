//! The JSON Schema of the format, for editors; generated from its [tables](super).

use serde_json::{Map, Value, json};

use crate::scenario::format::{self, Need, Object, Shape, words};

/// The JSON Schema (draft 2020-12) of a scenario file.
///
/// A file that includes shared parts may leave out required keys; what the parts themselves hold is
/// beyond a schema.
pub(crate) fn json_schema(scenario: &Object, firewall: &Object) -> Value {
    let mut definitions = Map::new();
    let mut root = object(scenario, &mut definitions);
    if let Some(schema) = root.as_object_mut() {
        schema.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        schema.insert("title".to_owned(), json!("firedrill scenario"));
        let complete = json!({
            "required": required(scenario),
            "properties": { "firewall": requirements(firewall) },
        });
        schema.insert(
            "if".to_owned(),
            json!({ "not": { "required": ["include"] } }),
        );
        schema.insert("then".to_owned(), complete);
        schema.insert("$defs".to_owned(), Value::Object(definitions));
    }
    root
}

fn object(object: &Object, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in object.keys() {
        let mut schema = shape(&key.shape, definitions);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), json!(key.doc));
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let mut schema = json!({
        "description": object.doc,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !object.spread
        && let (Some(schema), Value::Object(more)) = (schema.as_object_mut(), requirements(object))
    {
        schema.extend(more);
    }
    schema
}

fn required(object: &Object) -> Vec<&'static str> {
    let keys = object.keys();
    keys.filter(|key| key.need == Need::Required)
        .map(|key| key.name)
        .collect()
}

fn requirements(object: &Object) -> Value {
    let mut schema = Map::new();
    let required = required(object);
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    let either = object.either();
    if !either.is_empty() {
        let choices: Vec<Value> = either
            .iter()
            .map(|name| json!({ "required": [name] }))
            .collect();
        schema.insert("oneOf".to_owned(), json!(choices));
    }
    Value::Object(schema)
}

fn shape(wanted: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match wanted {
        // YAML reads an unquoted `123` as a number where we read the text.
        Shape::Text | Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Number(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Shape::Word(words) => json!({ "enum": words() }),
        Shape::RejectText => {
            let kinds = words::reject_words().into_iter();
            let texts: Vec<String> = kinds.map(|kind| format!("reject {kind}")).collect();
            json!({ "enum": texts })
        }
        Shape::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Digits(pattern) => {
            json!({ "type": ["string", "integer"], "pattern": pattern, "minimum": 0 })
        }
        Shape::List(item) => json!({ "type": "array", "items": shape(item, definitions) }),
        Shape::OneOrMore(item) => {
            let item = shape(item, definitions);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Shape::Map("", value) => json!({
            "type": "object",
            "additionalProperties": shape(value, definitions),
        }),
        Shape::Map(pattern, value) => json!({
            "type": "object",
            "patternProperties": { *pattern: shape(value, definitions) },
            "additionalProperties": false,
        }),
        Shape::Words(words) => {
            // YAML reads an unquoted `true` as a boolean where we read the word.
            let booleans = words.iter().filter_map(|word| word.parse::<bool>().ok());
            let texts = words.iter().map(|word| json!(word));
            json!({ "enum": texts.chain(booleans.map(Value::from)).collect::<Vec<_>>() })
        }
        Shape::Dialect(dialect) => shape(&Shape::Object(format::dialect(dialect)), definitions),
        Shape::Object(inner) => {
            if !definitions.contains_key(inner.name) {
                // Reserved first, so that an object may contain itself.
                definitions.insert(inner.name.to_owned(), Value::Null);
                let schema = object(inner, definitions);
                definitions.insert(inner.name.to_owned(), schema);
            }
            json!({ "$ref": format!("#/$defs/{}", inner.name) })
        }
        Shape::AnyOf(choices) => {
            let choices: Vec<Value> = choices
                .iter()
                .map(|choice| shape(choice, definitions))
                .collect();
            json!({ "anyOf": choices })
        }
        Shape::ShortTest(outcome) => short_form(
            "The short form of a test: `FROM -> TO SERVICE: OUTCOME`.",
            r"^\s*\S+\s*->\s*\S+\s+\S+(\s+\S+)?\s*$",
            &shape(outcome, definitions),
        ),
        Shape::ShortReply(outcome) => short_form(
            "The short form of an answer: `reply SEGMENT: OUTCOME`.",
            r"^\s*reply(\s+\S+)?\s*$",
            &shape(outcome, definitions),
        ),
    }
}

/// A map of one key that matches a pattern.
fn short_form(description: &str, pattern: &str, outcome: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "patternProperties": { pattern: outcome },
        "additionalProperties": false,
    })
}
