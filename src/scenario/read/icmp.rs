//! ICMP types and codes, whose names and numbers depend on the address family.

use crate::scenario::{
    Family,
    format::words::{self, quote},
    read::Reader,
    text::{source::Span, tree::Word},
};

/// Type and code in each family that has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Icmp {
    ipv4: Option<(u8, u8)>,
    ipv6: Option<(u8, u8)>,
    /// A number that means something else in the other family.
    pub(super) ambiguous: Option<Span>,
}

impl Icmp {
    /// Type and code in this family.
    pub(super) fn numbers(&self, family: Family) -> Option<(u8, u8)> {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    pub(super) fn echo_request() -> Self {
        Self {
            ipv4: Some((8, 0)),
            ipv6: Some((128, 0)),
            ambiguous: None,
        }
    }
}

/// A type or code as written.
enum Written {
    Number(u8),
    Name,
}

impl Written {
    /// Its number, by this lookup when it is a name.
    fn number(&self, word: Word<'_>, by_name: impl Fn(&str) -> Option<u8>) -> Option<u8> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name => by_name(word.text),
        }
    }
}

fn protocol(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "ICMP for IPv4",
        Family::Ipv6 => "ICMPv6",
    }
}

fn key(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "icmpv4",
        Family::Ipv6 => "icmpv6",
    }
}

impl Reader<'_> {
    /// A type and a code, for this family only if one is given.
    pub(super) fn icmp(
        &mut self,
        kind: Word<'_>,
        code: Option<Word<'_>>,
        only: Option<Family>,
    ) -> Option<Icmp> {
        let written_kind = self.icmp_kind(kind, only);
        let written_code = match code {
            Some(word) => self.icmp_code(word, kind).map(Some),
            None => Some(None),
        };
        let (written_kind, written_code) = (written_kind?, written_code?);
        let in_family = |family: Family| {
            if only.is_some_and(|only| only != family) {
                return None;
            }
            let kind = written_kind.number(kind, |name| words::icmp_type(name, family))?;
            let code = match (&written_code, code) {
                (Some(written), Some(word)) => {
                    written.number(word, |name| words::icmp_code(name, family))?
                }
                _ => 0,
            };
            Some((kind, code))
        };
        let (ipv4, ipv6) = (in_family(Family::Ipv4), in_family(Family::Ipv6));
        if ipv4.is_none() && ipv6.is_none() {
            let only = only.unwrap_or(Family::Ipv4);
            let at = code.unwrap_or(kind);
            let message = format!("{} has no code {at}", protocol(only));
            self.problem(at.span, message);
            return None;
        }
        let ambiguous_kind = matches!(written_kind, Written::Number(_)).then_some(kind.span);
        // Only these two have codes that differ between the families (RFC 792, RFC 4443).
        let codes_differ = matches!(kind.text, "destination-unreachable" | "parameter-problem");
        let ambiguous_code = match (&written_code, code) {
            (Some(Written::Number(1..)), Some(word)) if codes_differ => Some(word.span),
            _ => None,
        };
        Some(Icmp {
            ipv4,
            ipv6,
            ambiguous: ambiguous_kind.or(ambiguous_code),
        })
    }

    fn icmp_kind(&mut self, word: Word<'_>, only: Option<Family>) -> Option<Written> {
        if word.text.starts_with(|c: char| c.is_ascii_digit()) {
            let number = self.number_in(word, "an ICMP type", 0..=255)?;
            return u8::try_from(number).ok().map(Written::Number);
        }
        let known_in = |family| words::icmp_type(word.text, family).is_some();
        let families = [Family::Ipv4, Family::Ipv6];
        if families
            .into_iter()
            .any(|f| known_in(f) && only.is_none_or(|only| only == f))
        {
            return Some(Written::Name);
        }
        if let Some(other) = families.into_iter().find(|family| known_in(*family)) {
            let message = format!("{word} exists only in {}", protocol(other));
            self.problem(word.span, message)
                .help(format!("write {} instead", quote(key(other))));
            return None;
        }
        // What everybody calls it but no table does.
        let meant = match word.text {
            "ping" => "echo-request",
            other => other,
        };
        let known = words::icmp_types();
        let known = known
            .into_iter()
            .filter(|name| only.is_none_or(|only| words::icmp_type(name, only).is_some()));
        let help = words::suggest(meant, known).unwrap_or_else(|| {
            "the names are those of nft(8): `nft describe icmp type`".to_owned()
        });
        self.no_such(word, "ICMP type", Some(help));
        None
    }

    fn icmp_code(&mut self, word: Word<'_>, kind: Word<'_>) -> Option<Written> {
        if word.text.starts_with(|c: char| c.is_ascii_digit()) {
            let number = self.number_in(word, "an ICMP code", 0..=255)?;
            return u8::try_from(number).ok().map(Written::Number);
        }
        if kind.text != "destination-unreachable" {
            self.problem(word.span, format!("{word} is not an ICMP code"))
                .help("write its number; only the codes of destination-unreachable have names");
            return None;
        }
        let names = words::icmp_codes();
        if names.contains(&word.text) {
            return Some(Written::Name);
        }
        self.no_such(word, "ICMP code", words::suggest(word.text, names));
        None
    }
}
