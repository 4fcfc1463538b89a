//! Commands of ufw: each is run by the real one, and what it changes in ufw's files is written down. So the
//! rules of the end are known to be some command's without its words being understood here.

use std::{path::PathBuf, sync::Arc};

use firedrill_harness::protocol::CommandFailure;

use super::{Prepared, Refusal};

/// What is written down between the commands.
const JOURNAL: &str = "/run/ufw.journal";

/// What the commands leave: the journal, and the files as they are in the end.
pub(super) const LEAVES: [&str; 4] = [
    JOURNAL,
    super::DEFAULT,
    "/etc/ufw/user.rules",
    "/etc/ufw/user6.rules",
];

/// Runs `ufw` with what it is given behind a number, and writes down what is in the files then. What ufw
/// prints of the owners of the machine's files is about the sandbox, and left out.
const SCRIPT: &str = r#"
number=$1; shift
if [ "$number" -gt 0 ]; then
    ufw "$@" >/run/ufw.said 2>&1 || {
        status=$?
        grep -v '^WARN: uid is 0 but ' /run/ufw.said >&2
        exit "$status"
    }
fi
{
    echo "command $number"
    grep '^DEFAULT_[A-Z]*_POLICY=' /etc/default/ufw
    sed -n 's/^### tuple ###/4 &/p' /etc/ufw/user.rules
    sed -n 's/^### tuple ###/6 &/p' /etc/ufw/user6.rules
} >>/run/ufw.journal
"#;

/// What runs a command; number 0 only writes down.
pub(super) fn argv(number: usize, line: &str) -> Vec<String> {
    let head = ["sh", "-c", SCRIPT, "ufw"].map(str::to_owned).to_vec();
    [head, vec![number.to_string()], words(line)].concat()
}

/// Which command that was, from 1.
pub(super) fn number(argv: &[String]) -> Option<usize> {
    let [_, _, script, _, number, ..] = argv else {
        return None;
    };
    number.parse().ok().filter(|_| script == SCRIPT)
}

/// The words of a line as a shell takes them apart, without its `ufw` or `sudo ufw`.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, ' ' | '\t') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    for typed in ["sudo", "ufw"] {
        if words.first().is_some_and(|word| word == typed) {
            words.remove(0);
        }
    }
    words
}

/// What ufw says of a command, at the line where it stands.
pub(super) fn explain(
    prepared: &Prepared,
    number: usize,
    failure: &CommandFailure,
) -> Option<Refusal> {
    let index = number.checked_sub(1)?;
    let line = prepared.config.lines("commands").get(index)?;
    let place = match prepared.config.places("commands").get(index) {
        Some(place) => format!("{}:{}", place.file.display(), place.line),
        None => format!("command {number}"),
    };
    let said = prepared.translate(failure.stderr.trim());
    Some(Refusal::Input(format!("{place}: {said}\n  ufw {line}")))
}

/// The commands as files and places in them: those of the scenario, or a list of our own.
pub(super) fn files(prepared: &Prepared) -> Vec<(PathBuf, Arc<str>)> {
    let places = prepared.config.places("commands");
    let mut files: Vec<(PathBuf, Arc<str>)> = Vec::new();
    for place in places {
        if !files.iter().any(|(file, _)| *file == place.file) {
            files.push((place.file.clone(), Arc::clone(&place.text)));
        }
    }
    if places.is_empty() {
        let lines = prepared.config.lines("commands").join("\n");
        files.push(("(commands)".into(), Arc::from(lines)));
    }
    files
}

/// What the files said after each command; the first is before all of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Journal<'a>(Vec<Vec<&'a str>>);

impl<'a> Journal<'a> {
    pub(super) fn read(text: &'a str) -> Self {
        let mut states: Vec<Vec<&str>> = Vec::new();
        for line in text.lines() {
            if line == format!("command {}", states.len()) {
                states.push(Vec::new());
            } else if let Some(state) = states.last_mut() {
                state.push(line);
            }
        }
        Self(states)
    }

    /// The command after which a line was in the files for good: 0 if it was there before all of them,
    /// none if it is not there in the end, or more than once.
    pub(super) fn since(&self, line: &str) -> Option<usize> {
        let count = |state: &Vec<&str>| state.iter().filter(|other| **other == line).count();
        if self.0.last().map(count) != Some(1) {
            return None;
        }
        let there = self.0.iter().rev().take_while(|state| count(state) > 0);
        Some(self.0.len() - there.count())
    }
}

/// Whether a command sets the policy of this direction (`incoming`, …), and to what, in the words of
/// `/etc/default/ufw`.
pub(super) fn sets_policy(line: &str, direction: &str) -> Option<&'static str> {
    let words = words(line);
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (policy, of) = match words.as_slice() {
        ["default", policy] | ["--force", "default", policy] => (*policy, "incoming"),
        ["default", policy, of] | ["--force", "default", policy, of] => (*policy, *of),
        _ => return None,
    };
    let of = match of {
        "input" => "incoming",
        "output" => "outgoing",
        "forward" => "routed",
        other => other,
    };
    let policy = match policy {
        "allow" => "ACCEPT",
        "deny" => "DROP",
        "reject" => "REJECT",
        _ => return None,
    };
    (of == direction).then_some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_apart_as_a_shell_does() {
        let line = "sudo ufw allow from 10.0.0.0/8 comment 'the office\\' \"a \\\"b\\\"\" c\\ d ''";
        let expected = [
            "allow",
            "from",
            "10.0.0.0/8",
            "comment",
            "the office\\",
            "a \"b\"",
            "c d",
            "",
        ];
        assert_eq!(words(line), expected);
    }

    #[test]
    fn a_line_belongs_to_the_command_after_which_it_stayed() {
        let text =
            "command 0\n4 a\ncommand 1\n4 a\n4 b\ncommand 2\n4 a\ncommand 3\n4 a\n4 b\n4 c\n4 c\n";
        let journal = Journal::read(text);
        let since = |line| journal.since(line);
        assert_eq!(since("4 a"), Some(0));
        assert_eq!(since("4 b"), Some(3));
        assert_eq!((since("4 c"), since("4 d")), (None, None));
    }

    #[test]
    fn the_policy_of_a_direction_is_set_by_its_own_command() {
        assert_eq!(sets_policy("default deny", "incoming"), Some("DROP"));
        assert_eq!(
            sets_policy("ufw default allow FORWARD", "routed"),
            Some("ACCEPT")
        );
        assert_eq!(sets_policy("default deny outgoing", "incoming"), None);
        assert_eq!(sets_policy("allow 22", "incoming"), None);
    }
}
