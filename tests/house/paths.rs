//! Reads which modules a source uses. A tokenizer is enough: paths begin with `crate`, `super`, `self`, the
//! name of a crate, a child module, or a module that was imported.

use std::collections::{BTreeMap, BTreeSet};

/// A file, and the module that it is.
#[derive(Clone)]
pub struct Source {
    /// From the root of the repository.
    pub file: String,
    module: Vec<String>,
    tokens: Vec<Token>,
}

/// One file uses something.
#[derive(Debug)]
pub struct Arrow {
    pub file: String,
    /// The module that the file is.
    pub module: Vec<String>,
    /// The path that it uses, from the root of its crate.
    pub to: Vec<String>,
    /// The file of this crate that the path leads to, if it is a path of this crate.
    pub to_file: Option<String>,
    /// Whether the path leads into the harness, from another crate.
    pub into_harness: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`.
    Colons,
    Mark(char),
}

impl Source {
    /// Whether the file itself has an item of this name.
    fn has(&self, name: &str) -> bool {
        const KINDS: [&str; 8] = [
            "struct", "enum", "fn", "const", "static", "type", "trait", "mod",
        ];
        self.tokens.windows(2).any(|pair| match pair {
            [Token::Word(kind), Token::Word(item)] => item == name && KINDS.contains(&&**kind),
            _ => false,
        })
    }

    pub fn new(file: &str, text: String) -> Self {
        let below = file.rsplit_once("src/").map_or(file, |(_, below)| below);
        let below = below.trim_end_matches(".rs").trim_end_matches("/mod");
        Self {
            file: file.to_owned(),
            module: below.split('/').map(str::to_owned).collect(),
            tokens: without_tests(tokens(&text)),
        }
    }
}

/// What is neither comment, text, character, number nor lifetime.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |position: usize| chars.get(position).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if let Some(end) = raw_text(&chars, i) {
            i = end;
        } else if c == '"' || (c == 'b' && at(i + 1) == '"') {
            i += usize::from(c == 'b') + 1;
            while i < chars.len() && chars[i] != '"' {
                i += 1 + usize::from(chars[i] == '\\');
            }
            i += 1;
        } else if c == '\'' {
            i = behind_quote(&chars, i);
        } else if c.is_alphabetic() || c == '_' {
            let start = i;
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            tokens.push(Token::Word(chars[start..i].iter().collect()));
        } else if c.is_numeric() {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
        } else if c == ':' && at(i + 1) == ':' {
            tokens.push(Token::Colons);
            i += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Mark(c));
            }
            i += 1;
        }
    }
    tokens
}

/// The end of `r"…"`, `r#"…"#` or `br"…"` that begins here.
fn raw_text(chars: &[char], start: usize) -> Option<usize> {
    let mut i = start + usize::from(chars[start] == 'b');
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    loop {
        i += 1;
        let rest = chars.get(i..)?;
        let closed = rest.first()? == &'"' && rest[1..].iter().take(hashes).all(|c| *c == '#');
        if closed && rest.len() > hashes {
            return Some(i + 1 + hashes);
        }
    }
}

/// Behind a character or a lifetime.
fn behind_quote(chars: &[char], start: usize) -> usize {
    match (chars.get(start + 1), chars.get(start + 2)) {
        (Some('\\'), _) => {
            let mut i = start + 3;
            while chars.get(i).is_some_and(|c| *c != '\'') {
                i += 1;
            }
            i + 1
        }
        (Some(_), Some('\'')) => start + 3,
        _ => start + 1,
    }
}

fn word(token: Option<&Token>) -> Option<&str> {
    match token? {
        Token::Word(word) => Some(word),
        Token::Colons | Token::Mark(_) => None,
    }
}

/// The position behind the bracket that belongs to the one at `start`.
fn behind_bracket(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(start) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            Token::Mark(_) | Token::Word(_) | Token::Colons => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// Without the items that only tests have. `mod tests;` stays as a mark: its file is left out, too.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let is_attribute =
            tokens[i] == Token::Mark('#') && tokens.get(i + 1) == Some(&Token::Mark('['));
        if !is_attribute {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        let end = behind_bracket(&tokens, i + 1);
        let words: Vec<&str> = tokens[i..end]
            .iter()
            .filter_map(|t| word(Some(t)))
            .collect();
        let only_tests =
            words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not");
        i = end;
        if !only_tests {
            continue;
        }
        // The item: up to its `;` or its body.
        let start = i;
        while i < tokens.len() {
            match &tokens[i] {
                Token::Mark(';') => {
                    i += 1;
                    break;
                }
                Token::Mark('{') if word(tokens.get(start)) != Some("use") => {
                    i = behind_bracket(&tokens, i);
                    break;
                }
                Token::Mark('(' | '[' | '{') => i = behind_bracket(&tokens, i),
                Token::Mark(_) | Token::Word(_) | Token::Colons => i += 1,
            }
        }
        if let [.., Token::Word(name), Token::Mark(';')] = &tokens[start..i] {
            kept.push(Token::Mark('§'));
            kept.push(Token::Word(name.clone()));
        }
    }
    kept
}

/// The paths of a `use` tree that begins at `i`, each with the name that it gets, and where the tree ends.
fn tree(tokens: &[Token], mut i: usize) -> (Vec<(Vec<String>, String)>, usize) {
    let mut path: Vec<String> = Vec::new();
    loop {
        match tokens.get(i) {
            Some(Token::Word(name)) => {
                path.push(name.clone());
                i += 1;
                if tokens.get(i) == Some(&Token::Colons) {
                    i += 1;
                    continue;
                }
                let mut alias = name.clone();
                if word(tokens.get(i)) == Some("as") {
                    alias = word(tokens.get(i + 1)).unwrap_or_default().to_owned();
                    i += 2;
                }
                if path.len() > 1 && name == "self" {
                    path.pop();
                    if alias == "self" {
                        alias = path.last().cloned().unwrap_or_default();
                    }
                }
                return (vec![(path, alias)], i);
            }
            Some(Token::Mark('{')) => {
                let mut paths = Vec::new();
                i += 1;
                while i < tokens.len() && tokens[i] != Token::Mark('}') {
                    let (inner, end) = tree(tokens, i);
                    for (below, alias) in inner {
                        paths.push(([path.clone(), below].concat(), alias));
                    }
                    i = end + usize::from(tokens.get(end) == Some(&Token::Mark(',')));
                }
                return (paths, i + 1);
            }
            Some(Token::Colons) => i += 1,
            _ => {
                // `*`.
                return (vec![(path, String::new())], i + 1);
            }
        }
    }
}

/// What the files of a crate use. `crate` is the crate itself; paths into the harness are told apart.
pub fn arrows(sources: &[Source]) -> Vec<Arrow> {
    let modules: BTreeMap<&[String], &Source> = sources
        .iter()
        .map(|source| (module_path(source), source))
        .collect();
    let mut tests: BTreeSet<Vec<String>> = BTreeSet::new();
    for source in sources {
        for pair in source.tokens.windows(2) {
            if let [Token::Mark('§'), Token::Word(name)] = pair {
                tests.insert([module_path(source), std::slice::from_ref(name)].concat());
            }
        }
    }
    let uses: BTreeMap<&[String], Vec<Use>> = sources
        .iter()
        .map(|source| (module_path(source), paths(source, &modules)))
        .collect();
    let doors = Doors {
        modules: &modules,
        uses: &uses,
    };
    let mut arrows = Vec::new();
    for source in sources {
        let module = module_path(source);
        if (1..=module.len()).any(|length| tests.contains(&module[..length])) {
            continue;
        }
        for one in uses.get(module).into_iter().flatten() {
            // A module that hands on what its children have does not use it.
            let hands_on = one.is_public && one.path.len() > module.len();
            let is_door = hands_on && one.path.starts_with(module) && !one.into_harness;
            let to_file = (!one.into_harness && !is_door)
                .then(|| doors.file(&one.path, 0))
                .flatten();
            arrows.push(Arrow {
                file: source.file.clone(),
                module: source.module.clone(),
                to: one.path.clone(),
                to_file,
                into_harness: one.into_harness,
            });
        }
    }
    arrows
}

/// Finds where a name is at home that other modules hand on.
struct Doors<'a> {
    modules: &'a BTreeMap<&'a [String], &'a Source>,
    uses: &'a BTreeMap<&'a [String], Vec<Use>>,
}

impl Doors<'_> {
    /// The file that a path leads to.
    fn file(&self, path: &[String], depth: usize) -> Option<String> {
        let length = (0..=path.len())
            .rev()
            .find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, rest) = path.split_at(length);
        let source = self.modules.get(module)?;
        let own = Some(source.file.clone());
        let Some(name) = rest.first().filter(|name| !source.has(name)) else {
            return own;
        };
        // `use` declarations in a circle lead nowhere, and no path is as long as this.
        if depth > 8 {
            return own;
        }
        let uses = self.uses.get(module)?;
        let named = uses.iter().find(|one| one.alias.as_ref() == Some(name));
        if let Some(named) = named.filter(|one| !one.into_harness) {
            return self.file(&named.path, depth + 1);
        }
        let mut globs = uses.iter().filter(|one| one.alias.as_deref() == Some(""));
        let home = globs.find_map(|glob| {
            let target = self.modules.get(glob.path.as_slice())?;
            target.has(name).then(|| target.file.clone())
        });
        home.or(own)
    }
}

/// A path that a file uses.
struct Use {
    /// From the root of its crate.
    path: Vec<String>,
    into_harness: bool,
    /// What a `use` declaration calls it; empty for `*`, `None` outside of declarations.
    alias: Option<String>,
    /// Whether it is a `use` declaration that others see.
    is_public: bool,
}

/// The path of a file's module in its crate.
fn module_path(source: &Source) -> &[String] {
    match source.module.as_slice() {
        [root] if root == "lib" || root == "main" => &[],
        module => module,
    }
}

/// The paths that a file uses.
fn paths(source: &Source, modules: &BTreeMap<&[String], &Source>) -> Vec<Use> {
    let tokens = &source.tokens;
    let mut inner: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut imported: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    let mut paths = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let here: Vec<String> = module_path(source)
            .iter()
            .cloned()
            .chain(inner.iter().map(|(_, name)| name.clone()))
            .collect();
        let resolve = |path: &[String]| resolve(path, &here, modules);
        match &tokens[i] {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth -= 1;
                inner.retain(|(of, _)| *of < depth + 1);
            }
            Token::Word(name) if name == "mod" => {
                if let (Some(name), Some(Token::Mark('{'))) =
                    (word(tokens.get(i + 1)), tokens.get(i + 2))
                {
                    inner.push((depth + 1, name.to_owned()));
                }
            }
            Token::Word(name) if name == "use" => {
                let (found, end) = tree(tokens, i + 1);
                for (path, alias) in found {
                    if let Some((path, into_harness)) = resolve(&path) {
                        imported.insert(alias.clone(), (path.clone(), into_harness));
                        paths.push(Use {
                            path,
                            into_harness,
                            alias: Some(alias),
                            is_public: is_public(tokens, i),
                        });
                    }
                }
                i = end;
                continue;
            }
            Token::Word(_) if i == 0 || tokens[i - 1] != Token::Colons => {
                let mut path = Vec::new();
                let mut end = i;
                while let Some(name) = word(tokens.get(end)) {
                    path.push(name.to_owned());
                    if tokens.get(end + 1) != Some(&Token::Colons) {
                        break;
                    }
                    end += 2;
                }
                if path.len() > 1 {
                    let alias = imported.get(&path[0]).map(|(module, into_harness)| {
                        ([module.as_slice(), &path[1..]].concat(), *into_harness)
                    });
                    let found = alias.or_else(|| resolve(&path));
                    paths.extend(found.map(|(path, into_harness)| Use {
                        path,
                        into_harness,
                        alias: None,
                        is_public: false,
                    }));
                }
            }
            Token::Word(_) | Token::Colons | Token::Mark(_) => {}
        }
        i += 1;
    }
    paths
}

/// Whether the `use` at `i` begins with `pub`, restricted or not.
fn is_public(tokens: &[Token], i: usize) -> bool {
    let before = tokens[..i].last();
    word(before) == Some("pub")
        || (before == Some(&Token::Mark(')'))
            && tokens[..i]
                .iter()
                .rev()
                .take(6)
                .any(|token| word(Some(token)) == Some("pub")))
}

/// A path from the root of its crate; `None` for those of other crates, and for local names.
fn resolve(
    path: &[String],
    here: &[String],
    modules: &BTreeMap<&[String], &Source>,
) -> Option<(Vec<String>, bool)> {
    let mut base = here.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "firedrill_harness" => return Some((path[1..].to_vec(), true)),
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" | "super" => {
            while let Some(first) = rest.first() {
                match first.as_str() {
                    "self" => {}
                    "super" => {
                        base.pop();
                    }
                    _ => break,
                }
                rest = &rest[1..];
            }
        }
        child => {
            base.push(child.to_owned());
            let is_child = modules.contains_key(base.as_slice());
            base.pop();
            if !is_child {
                return None;
            }
        }
    }
    base.extend(rest.iter().cloned());
    Some((base, false))
}
