//! Reads an nft script, with its includes, as far as needed to know every rule it creates: in which
//! chain, in which order, and on which line. Follows the grammar of `src/parser_bison.y`.
//!
//! A script is run here as the kernel would run it on an empty ruleset, with rules that are nothing but
//! places. Whatever is not understood ends the reading: a part that was passed over could create, move or
//! delete any rule.

use std::sync::Arc;

use super::{
    model::{ByHandle, Chain, Order, Rule, Source, Table, TableKey},
    reader::{Doubt, Reader, Result},
};
use crate::ruleset::origin::{Files, Place};
use crate::ruleset::{lexer::Kind, marks::Collector};

/// `jump { … }` inside `jump { … }`; nft allows fewer (`SCOPE_NEST_MAX`, src/parser.h).
const MAX_INLINE_DEPTH: usize = 4;

const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];

/// What a table has beside chains; none of it has rules.
const OBJECTS: [&str; 10] = [
    "set",
    "map",
    "flowtable",
    "counter",
    "quota",
    "ct",
    "limit",
    "secmark",
    "synproxy",
    "tunnel",
];

/// Commands that show and change nothing of interest.
const SHOWING: [&str; 7] = [
    "list", "get", "reset", "describe", "monitor", "export", "import",
];

/// Reads the script that starts with the first of `files`. `find` says which files an include means, in
/// the order in which nft reads them.
pub(super) fn read<'a>(
    texts: &'a [Arc<str>],
    files: &mut Files,
    find: &dyn Fn(&str) -> Vec<usize>,
) -> Result<Source<'a>> {
    let mut reader = Reader::new(texts, files, find);
    reader.script()?;
    Ok(reader.source)
}

/// How a rule joins its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    Add,
    Insert,
}

impl<'a> Reader<'a, '_> {
    /// `[family] name`.
    fn table_key(&mut self) -> Result<TableKey<'a>> {
        let first = self.word("a table")?;
        self.table_key_from(first)
    }

    fn table_key_from(&mut self, first: &'a str) -> Result<TableKey<'a>> {
        if FAMILIES.contains(&first) {
            Ok((first, self.word("a table's name")?))
        } else {
            Ok(("ip", first))
        }
    }

    fn table(&mut self, key: TableKey<'a>) -> Result<&mut Table<'a>> {
        let place = self.last;
        let table = self.source.tables.get_mut(&key);
        table.ok_or_else(|| Doubt {
            place,
            why: format!("nothing before makes a table {} {}", key.0, key.1),
        })
    }

    fn chain(&mut self, key: TableKey<'a>, name: &str) -> Result<&mut Chain<'a>> {
        let place = self.last;
        let chain = self.table(key)?.chains.get_mut(name);
        chain.ok_or_else(|| Doubt {
            place,
            why: format!("nothing before makes a chain {} {} {name}", key.0, key.1),
        })
    }

    fn script(&mut self) -> Result<()> {
        while let Some((token, place)) = self.peek() {
            match token.kind {
                Kind::Separator => {
                    self.next()?;
                }
                Kind::Word => {
                    self.next()?;
                    self.command(token.text, place)?;
                }
                Kind::Quoted | Kind::Open | Kind::Close | Kind::Symbol => {
                    self.next()?;
                    return Err(self.doubt(format!("`{}` starts no command", token.text)));
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, verb: &'a str, place: Place) -> Result<()> {
        match verb {
            "add" | "create" => {
                let what = self.word("what to add")?;
                self.make(what, place)
            }
            "insert" => match self.word("what to insert")? {
                "rule" => self.add_rule(None, place, Joining::Insert),
                other => Err(self.doubt(format!("`insert {other}` is no command"))),
            },
            "replace" => self.replace(place),
            "delete" | "destroy" => self.delete(),
            "flush" => self.flush(),
            "rename" => Err(self.doubt("a chain is renamed by this line")),
            _ if SHOWING.contains(&verb) => self.skip_statement(),
            _ if self.common(verb)? => Ok(()),
            _ => self.make(verb, place),
        }
    }

    /// `include` and the definition of variables, which may stand in any block. A variable is a value:
    /// it never brings a rule, a chain or a name of either.
    fn common(&mut self, verb: &str) -> Result<bool> {
        match verb {
            "include" => self.include().map(|()| true),
            "define" | "redefine" | "undefine" => self.skip_statement().map(|()| true),
            _ => Ok(false),
        }
    }

    /// The command `add`, whether it is written or not.
    fn make(&mut self, what: &'a str, place: Place) -> Result<()> {
        match what {
            "table" => {
                let key = self.table_key()?;
                self.source.tables.entry(key).or_default();
                if self.peek_kind() == Some(Kind::Open) {
                    self.next()?;
                    self.table_block(key)?;
                }
                self.end_of_statement()
            }
            "chain" => {
                let key = self.table_key()?;
                let name = self.word("a chain's name")?;
                self.table(key)?.chains.entry(name).or_default();
                if self.peek_kind() == Some(Kind::Open) {
                    self.next()?;
                    self.chain_block(key, name)?;
                }
                self.end_of_statement()
            }
            "rule" => self.add_rule(None, place, Joining::Add),
            "element" => self.skip_statement(),
            _ if OBJECTS.contains(&what) => self.object(),
            _ => self.add_rule(Some(what), place, Joining::Add),
        }
    }

    /// `[family] table chain [position] rule`, the first word of which may have been read.
    fn add_rule(&mut self, first: Option<&'a str>, place: Place, joining: Joining) -> Result<()> {
        let key = match first {
            Some(first) => self.table_key_from(first)?,
            None => self.table_key()?,
        };
        let name = self.word("a chain's name")?;
        self.chain(key, name)?;
        let mut index = None;
        let mut by_handle = false;
        if let Some((token, _)) = self.peek()
            && token.kind == Kind::Word
        {
            match token.text {
                "index" => {
                    self.next()?;
                    index = Some(self.number()?);
                }
                "position" | "handle" => {
                    self.next()?;
                    self.number()?;
                    by_handle = true;
                }
                _ => {}
            }
        }
        let rule = self.rule(name, place, 0)?;
        let index = index.and_then(|index| usize::try_from(index).ok());
        let table = self.table(key)?;
        let number = table.rules.len();
        // Where a rule was thrown out, nft and the kernel need not count alike.
        let countable = table.deleted.is_empty() && !table.flushed;
        table.rules.push(rule);
        let chain = self.chain(key, name)?;
        let Order::Known(order) = &mut chain.order else {
            return Ok(());
        };
        let position = match (index, joining) {
            (None, Joining::Add) => Some(order.len()),
            (None, Joining::Insert) => Some(0),
            (Some(index), Joining::Add) => Some(index.saturating_add(1)),
            (Some(index), Joining::Insert) => Some(index),
        };
        match position {
            Some(position)
                if !by_handle && position <= order.len() && (index.is_none() || countable) =>
            {
                order.insert(position, number);
            }
            Some(_) | None => chain.order = Order::Unknown,
        }
        Ok(())
    }

    /// `rule [family] table chain handle N RULE`, behind `replace`.
    fn replace(&mut self, place: Place) -> Result<()> {
        let (key, by_handle) = self.rule_by_handle()?;
        let rule = self.rule(by_handle.chain, place, 0)?;
        self.table(key)?.replaced.push((by_handle, rule));
        Ok(())
    }

    fn rule_by_handle(&mut self) -> Result<(TableKey<'a>, ByHandle<'a>)> {
        if self.word("`rule`")? != "rule" {
            return Err(self.doubt("only a rule can be named here"));
        }
        let key = self.table_key()?;
        let chain = self.word("a chain's name")?;
        self.chain(key, chain)?;
        if self.word("`handle`")? != "handle" {
            return Err(self.doubt("only `handle` can stand here"));
        }
        let handle = self.number()?;
        let seen = self.table(key)?.rules.len();
        Ok((
            key,
            ByHandle {
                chain,
                handle,
                seen,
            },
        ))
    }

    fn delete(&mut self) -> Result<()> {
        let what = self.peek().map_or("", |(token, _)| token.text);
        match what {
            "table" => {
                self.next()?;
                let key = self.table_key()?;
                // `delete table handle 5` names a table `handle` here, and has a number left.
                self.end_of_statement()?;
                self.source.tables.remove(&key);
                Ok(())
            }
            "chain" => {
                self.next()?;
                let key = self.table_key()?;
                let name = self.word("a chain's name")?;
                if self.peek_kind() == Some(Kind::Open) {
                    // Takes devices away from a chain of family netdev.
                    return self.skip_statement();
                }
                self.end_of_statement()?;
                // `destroy` may name what is not there.
                if let Some(table) = self.source.tables.get_mut(&key) {
                    table.flush(Some(name));
                    table.chains.remove(name);
                }
                Ok(())
            }
            "rule" => {
                let (key, by_handle) = self.rule_by_handle()?;
                self.end_of_statement()?;
                self.table(key)?.deleted.push(by_handle);
                Ok(())
            }
            _ if what == "element" || OBJECTS.contains(&what) => self.skip_statement(),
            _ => Err(self.doubt("it is not clear what this line deletes")),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match self.word("what to flush")? {
            "ruleset" => {
                let family = match self.peek() {
                    Some((token, _)) if token.kind == Kind::Word => Some(self.word("a family")?),
                    Some(_) | None => None,
                };
                self.end_of_statement()?;
                self.source
                    .tables
                    .retain(|key, _| family.is_some_and(|family| family != key.0));
                Ok(())
            }
            "table" => {
                let key = self.table_key()?;
                self.end_of_statement()?;
                self.table(key)?.flush(None);
                Ok(())
            }
            "chain" => {
                let key = self.table_key()?;
                let name = self.word("a chain's name")?;
                self.end_of_statement()?;
                self.chain(key, name)?;
                self.table(key)?.flush(Some(name));
                Ok(())
            }
            "set" | "map" | "meter" | "flow" => self.skip_statement(),
            other => Err(self.doubt(format!("`flush {other}` is not known"))),
        }
    }

    fn table_block(&mut self, key: TableKey<'a>) -> Result<()> {
        while self.statement_follows()? {
            let word = self.word("a part of a table")?;
            match word {
                "chain" => {
                    let name = self.word("a chain's name")?;
                    self.table(key)?.chains.entry(name).or_default();
                    if self.next()?.is_none_or(|token| token.kind != Kind::Open) {
                        return Err(self.doubt("a chain without `{`"));
                    }
                    self.chain_block(key, name)?;
                    self.end_of_statement()?;
                }
                "flags" | "comment" => self.skip_statement()?,
                _ if OBJECTS.contains(&word) => self.object()?,
                _ if self.common(word)? => {}
                _ => return Err(self.doubt(format!("`{word}` is not known in a table"))),
            }
        }
        Ok(())
    }

    fn chain_block(&mut self, key: TableKey<'a>, name: &'a str) -> Result<()> {
        while self.statement_follows()? {
            let Some((token, place)) = self.peek() else {
                break;
            };
            match token.text {
                "type" => {
                    self.skip_statement()?;
                    self.chain(key, name)?.hook = Some(place);
                }
                "policy" => {
                    self.next()?;
                    let word = match self.peek() {
                        Some((token, _)) if token.kind == Kind::Word => Some(token.text),
                        Some(_) | None => None,
                    };
                    self.skip_statement()?;
                    self.chain(key, name)?.policy = Some((place, word));
                }
                "flags" | "comment" | "devices" => self.skip_statement()?,
                "include" | "define" | "redefine" | "undefine" => {
                    self.next()?;
                    self.common(token.text)?;
                }
                _ => {
                    let rule = self.rule(name, place, 0)?;
                    let table = self.table(key)?;
                    let number = table.rules.len();
                    table.rules.push(rule);
                    if let Order::Known(order) = &mut self.chain(key, name)?.order {
                        order.push(number);
                    }
                }
            }
        }
        Ok(())
    }

    /// A set, a counter, …: names and settings, perhaps with a block.
    fn object(&mut self) -> Result<()> {
        loop {
            match self.peek_kind() {
                None | Some(Kind::Close) => return Ok(()),
                Some(Kind::Open) => {
                    self.next()?;
                    while self.statement_follows()? {
                        match self.peek() {
                            Some((token, _)) if token.text == "include" => {
                                self.next()?;
                                self.include()?;
                            }
                            Some(_) | None => self.skip_statement()?,
                        }
                    }
                }
                Some(Kind::Separator) => {
                    self.next()?;
                    return Ok(());
                }
                Some(Kind::Word | Kind::Quoted | Kind::Symbol) => {
                    self.next()?;
                }
            }
        }
    }

    /// A rule, up to and with its separator.
    fn rule(&mut self, chain: &'a str, place: Place, depth: usize) -> Result<Rule<'a>> {
        let mut collector = Collector::default();
        let mut inline = Vec::new();
        let mut empty = true;
        loop {
            match self.peek_kind() {
                None | Some(Kind::Close) => break,
                Some(Kind::Separator) => {
                    self.next()?;
                    break;
                }
                Some(Kind::Word | Kind::Quoted | Kind::Symbol | Kind::Open) => {}
            }
            let before = collector.before();
            let Some(token) = self.next()? else { break };
            empty = false;
            collector.token(token);
            match token.kind {
                Kind::Open if matches!(before, "jump" | "goto") => {
                    if depth >= MAX_INLINE_DEPTH {
                        return Err(self.doubt("chains inside chains too deeply"));
                    }
                    while self.statement_follows()? {
                        let place = self.peek().map_or(place, |(_, place)| place);
                        inline.push(self.rule(chain, place, depth + 1)?);
                    }
                }
                Kind::Open => self.skip_braces()?,
                Kind::Quoted if before == "include" => {
                    return Err(self.doubt("an `include` in the middle of a rule"));
                }
                Kind::Word | Kind::Quoted | Kind::Symbol | Kind::Close | Kind::Separator => {}
            }
        }
        if empty {
            return Err(self.doubt("a rule without a statement"));
        }
        Ok(Rule {
            chain,
            place,
            marks: collector.finish(),
            inline,
            gone: false,
        })
    }
}
