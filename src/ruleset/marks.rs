//! What can be said of a rule by its text alone: the few words that nft prints as they were written.
//! A rule of the source and a rule of the listing that are one rule have them in common.

use super::lexer::{Kind, Lexer, Token};

/// Statements that nft lists under the word they were written with. `redirect`, `snat` and `dnat` are
/// none of them: values of `icmp type` and `ct status` have these names too.
const STATEMENTS: [&str; 12] = [
    "accept",
    "drop",
    "reject",
    "return",
    "continue",
    "jump",
    "goto",
    "queue",
    "masquerade",
    "notrack",
    "counter",
    "log",
];

/// Raw payload (`@th,16,16`), which nft lists by its field's name where it knows one.
const RAW_PAYLOAD: [&str; 4] = ["@ll", "@nh", "@th", "@ih"];

/// What a rule must look like in every spelling of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks<'a> {
    comment: Option<&'a str>,
    /// `None` where a variable stands in it.
    log_prefix: Option<Option<&'a str>>,
    /// Where it jumps to or goes to, likewise.
    target: Option<Option<&'a str>>,
    statements: Vec<&'a str>,
    /// Named sets, with their `@`.
    sets: Vec<&'a str>,
    /// Ports that stand by themselves behind `dport` and `sport`.
    ports: Vec<&'a str>,
}

impl Marks<'_> {
    /// Whether a rule of the source may be listed as `listed`.
    pub(crate) fn fit(&self, listed: &Marks<'_>) -> bool {
        let open = |mine: &Option<Option<&str>>, theirs: &Option<Option<&str>>| match (mine, theirs)
        {
            (Some(None), theirs) => theirs.is_some(),
            (mine, theirs) => mine == theirs,
        };
        self.comment == listed.comment
            && open(&self.log_prefix, &listed.log_prefix)
            && open(&self.target, &listed.target)
            && self.statements == listed.statements
            && self.sets == listed.sets
            && self.ports.iter().all(|port| listed.ports.contains(port))
    }
}

/// Collects the marks of a rule from its tokens outside braces.
#[derive(Debug, Default)]
pub(crate) struct Collector<'a> {
    marks: Marks<'a>,
    before: &'a str,
}

impl<'a> Collector<'a> {
    /// The word just before, if it was one.
    pub(crate) fn before(&self) -> &'a str {
        self.before
    }

    pub(crate) fn token(&mut self, token: Token<'a>) {
        let text = token.text;
        let marks = &mut self.marks;
        match (self.before, token.kind) {
            ("comment", Kind::Word | Kind::Quoted) => marks.comment = Some(text),
            ("prefix", Kind::Quoted) => {
                marks.log_prefix = Some((!text.contains('$')).then_some(text));
            }
            ("jump" | "goto", Kind::Word | Kind::Quoted) => marks.target = Some(Some(text)),
            ("jump" | "goto", _) => marks.target = Some(None),
            ("dport" | "sport", Kind::Word) if is_number(text) => marks.ports.push(text),
            // The name of a variable.
            ("$", _) => {}
            (_, Kind::Word) if STATEMENTS.contains(&text) => marks.statements.push(text),
            (_, Kind::Word) if text.starts_with('@') && !RAW_PAYLOAD.contains(&text) => {
                marks.sets.push(text);
            }
            _ => {}
        }
        self.before = match token.kind {
            Kind::Word | Kind::Symbol => text,
            Kind::Quoted | Kind::Open | Kind::Close | Kind::Separator => "",
        };
    }

    pub(crate) fn finish(self) -> Marks<'a> {
        self.marks
    }
}

/// The marks of a rule as it is listed, without the rules of its inline chain.
pub(crate) fn marks(listed: &str) -> Marks<'_> {
    let mut collector = Collector::default();
    let mut depth = 0_usize;
    for token in Lexer::new(listed) {
        if depth == 0 {
            collector.token(token);
        }
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Word | Kind::Quoted | Kind::Separator | Kind::Symbol => {}
        }
    }
    collector.finish()
}

/// How many anonymous sets and maps a rule brings, as far as its listing tells; each has a handle of its
/// own, just before its rule's. What its inline chain brings does not count. `None` where sets may hide:
/// a meter, a set that the rule fills.
pub(crate) fn anonymous_sets(listed: &str) -> Option<u64> {
    let mut before = "";
    let mut sets = 0;
    for token in Lexer::new(listed) {
        match token.kind {
            Kind::Open if before.starts_with('@') => return None,
            Kind::Open if matches!(before, "jump" | "goto") => break,
            Kind::Open => sets += 1,
            Kind::Word if token.text == "meter" => return None,
            Kind::Word | Kind::Quoted | Kind::Close | Kind::Separator | Kind::Symbol => {}
        }
        before = token.text;
    }
    Some(sets)
}

/// Whether nft lists a number just so: decimal, without leading zeros (which would make it octal).
fn is_number(text: &str) -> bool {
    !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}
