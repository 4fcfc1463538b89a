//! Which cases are meant: by a part of their name, or by a regular expression.

use regex_lite::Regex;

use crate::scenario::Scenario;

/// A choice of cases.
#[derive(Debug, Clone)]
pub struct Filter {
    text: String,
    pattern: Option<Regex>,
}

impl Filter {
    /// Every case.
    #[must_use]
    pub fn all() -> Self {
        Self::new("")
    }

    /// Cases whose name contains `text`, or matches it as a regular expression. Names are full of
    /// brackets and arrows, so the plain meaning always counts, and the family at their end is never a
    /// class of letters.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let escape = |pattern: String, family: &str| {
            let plain = pattern.replace(&format!("\\[{family}]"), &format!("[{family}]"));
            plain.replace(&format!("[{family}]"), &format!("\\[{family}\\]"))
        };
        let pattern = ["ipv4", "ipv6"].into_iter().fold(text.to_owned(), escape);
        Self {
            text: text.to_owned(),
            pattern: Regex::new(&pattern).ok(),
        }
    }

    /// Whether a case of this name is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        name.contains(&self.text)
            || self
                .pattern
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(name))
    }

    /// The cases of a scenario that are meant.
    #[must_use]
    pub fn select(&self, scenario: &Scenario) -> Vec<usize> {
        (0..scenario.cases.len())
            .filter(|index| self.matches(&scenario.cases[*index].name))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NAME: &str = "outage/app-server :: internet -> firewall tcp/443 [ipv4]";

    #[rstest]
    #[case("", true)]
    #[case("tcp/443 [ipv4]", true)]
    #[case("tcp/443 [ipv6]", false)]
    #[case("^outage/.* tcp/\\d+", true)]
    #[case("^internet", false)]
    #[case("firewall (tcp", false)]
    #[case("[ipv4]", true)]
    #[case("[ipv6]", false)]
    #[case("tcp/(80|443) [ipv4]$", true)]
    #[case("tcp/(80|443) \\[ipv4]$", true)]
    #[case("tcp/(80|443) \\[ipv4\\]$", true)]
    #[case("tcp/(80|443) [ipv6]", false)]
    #[case("tcp/443 .ipv[46]", true)]
    fn a_filter_is_a_substring_or_a_regular_expression(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(Filter::new(text).matches(NAME), expected);
    }
}
