//! What ufw's loader puts around the files of rules, after `/lib/ufw/ufw-init-functions` of ufw 0.36: its
//! chains, the jumps between them, and what the settings imply. It is only used to tell whose a rule is, and
//! checked against the listing like any other file.

use std::collections::BTreeMap;

/// A direction: the end of ufw's chains, the built-in chain, the setting of its policy, and what the
/// command line calls it.
pub(super) struct Direction {
    pub(super) suffix: &'static str,
    pub(super) builtin: &'static str,
    pub(super) setting: &'static str,
    pub(super) word: &'static str,
}

pub(super) const DIRECTIONS: [Direction; 3] = [
    Direction {
        suffix: "input",
        builtin: "INPUT",
        setting: "DEFAULT_INPUT_POLICY",
        word: "incoming",
    },
    Direction {
        suffix: "output",
        builtin: "OUTPUT",
        setting: "DEFAULT_OUTPUT_POLICY",
        word: "outgoing",
    },
    Direction {
        suffix: "forward",
        builtin: "FORWARD",
        setting: "DEFAULT_FORWARD_POLICY",
        word: "routed",
    },
];

/// The setting that decides whether IPv6 is ufw's.
pub(super) const IPV6: &str = "IPV6";

/// Settings, as `/etc/default/ufw` has them.
pub(super) type Settings<'a> = BTreeMap<&'a str, &'a str>;

/// A line that the loader adds, and the setting that it comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) setting: Option<&'static str>,
}

/// What the loader adds before and behind the files of rules; `six` is "6" for IPv6. Without IPv6 there is
/// only the first part, and no file is loaded.
pub(super) fn frame(settings: &Settings<'_>, six: &str) -> [Vec<Line>; 2] {
    let own = |text: String| Line {
        text,
        setting: None,
    };
    let mut before = vec![own("*filter".to_owned())];
    let mut behind = vec![own("*filter".to_owned())];
    if six == "6" && !has_ipv6(settings) {
        let of_setting = |text: &str| Line {
            text: text.to_owned(),
            setting: Some(IPV6),
        };
        before.extend(
            [
                ":INPUT DROP",
                ":FORWARD DROP",
                ":OUTPUT DROP",
                "-A INPUT -i lo -j ACCEPT",
                "-A OUTPUT -o lo -j ACCEPT",
                "COMMIT",
            ]
            .map(of_setting),
        );
        return [before, Vec::new()];
    }
    for direction in &DIRECTIONS {
        let Direction {
            suffix,
            builtin,
            setting,
            ..
        } = direction;
        for chain in [
            "before-logging",
            "before",
            "after",
            "after-logging",
            "reject",
            "track",
        ] {
            before.push(own(format!(":ufw{six}-{chain}-{suffix} -")));
            before.push(own(format!("-A {builtin} -j ufw{six}-{chain}-{suffix}")));
        }
        for chain in ["skip-to-policy", "user", "user-logging"] {
            before.push(own(format!(":ufw{six}-{chain}-{suffix} -")));
        }
        let policy = settings.get(setting).copied().unwrap_or_default();
        let mut implied = |text: String| {
            before.push(Line {
                text,
                setting: Some(setting),
            });
        };
        match policy {
            "REJECT" => implied(format!("-A ufw{six}-reject-{suffix} -j REJECT")),
            "ACCEPT" => {
                for protocol in ["tcp", "udp"] {
                    implied(format!(
                        "-A ufw{six}-track-{suffix} -p {protocol} -m conntrack --ctstate NEW -j ACCEPT"
                    ));
                }
            }
            _ => {}
        }
        implied(format!("-A ufw{six}-skip-to-policy-{suffix} -j {policy}"));
        behind.push(own(format!(
            "-A ufw{six}-before-{suffix} -j ufw{six}-user-{suffix}"
        )));
        let policy = match policy {
            "REJECT" => "DROP",
            other => other,
        };
        behind.push(Line {
            text: format!(":{builtin} {policy}"),
            setting: Some(setting),
        });
    }
    for chain in [
        "logging-deny",
        "logging-allow",
        "user-limit",
        "user-limit-accept",
    ] {
        before.push(own(format!(":ufw{six}-{chain} -")));
    }
    before.push(own("COMMIT".to_owned()));
    behind.push(own("COMMIT".to_owned()));
    [before, behind]
}

pub(super) fn has_ipv6(settings: &Settings<'_>) -> bool {
    matches!(settings.get(IPV6), Some(&("yes" | "YES")))
}

/// The settings of a text, which a shell reads, each with its line (from 1) and where it starts; the last
/// of a name counts. One that is not a plain word is left out.
pub(super) fn settings(text: &str) -> BTreeMap<&str, (&str, usize, usize)> {
    let mut settings = BTreeMap::new();
    let mut at = 0;
    for (number, line) in text.split('\n').enumerate() {
        if let Some((name, value)) = line.trim().split_once('=') {
            let value = value.trim_matches(['"', '\'']);
            let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric());
            settings.remove(name);
            if plain {
                let start = at + line.len() - line.trim_start().len();
                settings.insert(name, (value, number + 1, start));
            }
        }
        at += line.len() + 1;
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_of_a_name_counts() {
        let text = "# IPV6=no\nIPV6=yes\nA=\"DROP\"\n  A='ACCEPT'\nB=$A\n";
        let settings = settings(text);
        assert_eq!(settings["IPV6"], ("yes", 2, 10));
        assert_eq!(settings["A"], ("ACCEPT", 4, 30));
        assert!(!settings.contains_key("B"));
    }

    #[test]
    fn a_policy_of_reject_is_a_rule_before_a_policy_of_drop() {
        let settings = Settings::from([("DEFAULT_INPUT_POLICY", "REJECT"), ("IPV6", "yes")]);
        let [before, behind] = frame(&settings, "6");
        let has = |lines: &[Line], text: &str| {
            lines
                .iter()
                .any(|line| line.text == text && line.setting == Some("DEFAULT_INPUT_POLICY"))
        };
        assert!(has(&before, "-A ufw6-reject-input -j REJECT"));
        assert!(has(&behind, ":INPUT DROP"));
    }
}
