//! Scripts that nobody would write: random commands on a few chains, over several files.
//!
//! Every rule matches two ports that no other rule has, inside braces, where the program under test does
//! not look. So the listed text of a rule tells this test on which line it was written, and tells the
//! program nothing.

use std::{collections::BTreeMap, fmt::Write as _};

/// A script over several files, of which the first is the main file.
pub struct Script {
    pub files: Vec<(String, String)>,
    /// File and line by the first port of a rule.
    pub lines: BTreeMap<u16, (String, usize)>,
}

/// Makes a script out of a seed.
pub fn script(seed: u64) -> Script {
    let mut maker = Maker {
        state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        script: Script {
            files: vec![("main.nft".to_owned(), String::new())],
            lines: BTreeMap::new(),
        },
        port: 20_000,
        by_handle: u8::from(seed.is_multiple_of(4)),
        inline: seed.is_multiple_of(2),
    };
    let base = "{ type filter hook input priority 0; policy accept; }";
    maker.line(0, "table inet t");
    maker.line(0, &format!("chain inet t in {base}"));
    maker.line(0, "chain inet t a; chain inet t b");
    maker.line(0, "add rule inet t in jump a; add rule inet t in jump b");
    for _ in 0..20 {
        maker.command(0);
    }
    maker.script
}

struct Maker {
    state: u64,
    script: Script,
    port: u16,
    /// How many commands may still name a rule by its handle.
    by_handle: u8,
    /// Whether there are inline chains, or else indices: nft 1.0.6 crashes where there are both.
    inline: bool,
}

impl Maker {
    /// Marsaglia's xorshift: enough for a choice, and the same everywhere.
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let number = self.below(of.len() as u64);
        of[usize::try_from(number).unwrap()]
    }

    fn line(&mut self, file: usize, text: &str) {
        let written = &mut self.script.files[file].1;
        writeln!(written, "{text}").unwrap();
    }

    /// A rule that starts on the file's next line, perhaps over two lines.
    fn rule(&mut self, file: usize) -> String {
        let (name, written) = &self.script.files[file];
        let line = written.matches('\n').count() + 1;
        self.port += 2;
        self.script.lines.insert(self.port, (name.clone(), line));
        let gap = self.one(&[" ", " ", "\n", " # {\n"]);
        let verdict = self.one(&["accept", "drop", "counter accept", "reject"]);
        let (first, second) = (self.port, self.port + 1);
        format!("tcp dport {{ {first},{gap}{second} }} {verdict}")
    }

    fn command(&mut self, file: usize) {
        let chain = self.one(&["in", "a", "b"]);
        match self.below(16) {
            0..=2 => {
                let rule = self.rule(file);
                self.line(file, &format!("add rule inet t {chain} {rule}"));
            }
            3 => {
                let rule = self.rule(file);
                self.line(file, &format!("insert rule inet t {chain} {rule}"));
            }
            4 if !self.inline => {
                let (rule, verb) = (self.rule(file), self.one(&["add", "insert"]));
                self.line(file, &format!("{verb} rule inet t {chain} index 0 {rule}"));
            }
            5..=9 => {
                self.line(file, "table inet t {");
                for _ in 0..=self.below(3) {
                    let chain = self.one(&["in", "a", "b"]);
                    self.line(file, &format!("\tchain {chain} {{"));
                    for _ in 0..self.below(4) {
                        let rule = self.rule(file);
                        let end = self.one(&["", ";", " # ;", " ;;"]);
                        self.line(file, &format!("{rule}{end}"));
                    }
                    self.line(file, "\t}");
                }
                self.line(file, "}");
            }
            10 if self.script.files.len() < 4 => {
                let name = format!("{}.nft", self.script.files.len());
                self.line(file, &format!("include \"./{name}\""));
                let included = self.script.files.len();
                self.script.files.push((name, String::new()));
                for _ in 0..3 {
                    self.command(included);
                }
            }
            11 => self.line(file, &format!("flush chain inet t {chain}")),
            // Sets and chains have handles too; whether this is one of a rule, nft will say. Later handles
            // are hit less often.
            12 if self.by_handle > 0 => {
                self.by_handle -= 1;
                let handle = 4 + self.below(12);
                self.line(file, &format!("delete rule inet t {chain} handle {handle}"));
            }
            13 if self.by_handle > 0 => {
                self.by_handle -= 1;
                let (rule, handle) = (self.rule(file), 4 + self.below(12));
                self.line(
                    file,
                    &format!("replace rule inet t {chain} handle {handle} {rule}"),
                );
            }
            14 if self.inline => {
                let rule = self.rule(file);
                self.line(file, &format!("add rule inet t {chain} jump {{ {rule}; }}"));
            }
            _ => self.line(file, "# nothing"),
        }
    }
}
