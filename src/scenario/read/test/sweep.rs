//! `only-open:`, a test that goes through every port.

use std::ops::RangeInclusive;

use firedrill_wire::Ranges;

use crate::scenario::{
    Action, Case, Family, Over, Step, Sweep,
    format::{FAMILY, PARTY, Shape, words},
    model::PROTOCOLS,
    read::{
        Reader, Reported,
        ends::World,
        fields::Value,
        icmp::Icmp,
        keys::{by, keys, line, raw},
        test::draft::Expander,
    },
    text::{
        source::Span,
        tree::{Kind, Word},
    },
};

/// The word for "do not look".
const ANY: &str = "any";

keys! {
    /// A test that goes through all 65,535 ports of TCP and of UDP, and says which of them are open and no
    /// other.
    SWEEP = "sweep", "the sweep", struct SweepKeys<'n> {
        /// The test in a few words; `FROM -> TO only-open` when not given.
        name: Word<'n> = Shape::Text => line("a name");
        /// Who sends: a host, `firewall`, or `firewall@INTERFACE` for its address there.
        from: Word<'n> = PARTY => line("a host or `firewall`"), required;
        /// Who should receive: a host, `firewall`, or `firewall@INTERFACE`.
        to: Word<'n> = PARTY => line("a host or `firewall`"), required;
        /// Tests only this address family.
        family: (Family, Span) = FAMILY => by(Reader::family);
        /// What is open; everything else is closed.
        only_open "only-open": Vec<Said> = Shape::Object(&ONLY_OPEN) => by(Reader::only_open), required;
    }
}

const OPEN_PORTS: Shape = Shape::OneOrMore(&Shape::Scalar);

keys! {
    /// What is open, protocol by protocol: numbers, ranges (`8000-8010`) and names; `any` where it does not
    /// matter.
    ONLY_OPEN = "only-open", "what is open", struct OnlyOpenKeys<'n> {
        /// The open TCP ports: `[80, 443, 8000-8010]`; none when not given.
        tcp: Value<'n> = OPEN_PORTS => raw;
        /// The open UDP ports; none when not given.
        udp: Value<'n> = OPEN_PORTS => raw;
        /// The other IP protocols that pass: `[gre, esp, 89]`; not looked at when not given.
        protocols: Value<'n> = OPEN_PORTS => raw;
        /// The ICMP types that pass: `[echo-request]`; not looked at when not given.
        icmp: Value<'n> = OPEN_PORTS => raw;
        /// The ports of TCP and UDP that are looked at: `1-1023`; all when not given.
        among: Value<'n> = OPEN_PORTS => raw;
    }
}

/// What is said of one kind.
struct Said {
    over: Over,
    open: Vec<Open>,
    /// The ports that are looked at, if not all.
    among: Option<Ranges>,
    at: Span,
}

/// Something that should be open.
enum Open {
    /// From here to there.
    Range(u16, u16),
    /// A type of ICMP, whose number depends on the family.
    Icmp(Icmp),
}

impl Said {
    /// What is gone through in this family.
    fn numbers(&self, family: Family) -> Ranges {
        match &self.among {
            Some(among) if self.over.has_ports() => among.clone(),
            Some(_) | None => self.over.numbers(family),
        }
    }

    /// What should be open in this family.
    fn in_family(&self, family: Family) -> Ranges {
        let numbers = self.numbers(family);
        let swept = |range: &RangeInclusive<u16>| is_inside(range, &numbers);
        let ranges = self.open.iter().filter_map(|open| match open {
            Open::Range(first, last) => Some(*first..=*last),
            Open::Icmp(icmp) => {
                let (kind, _) = icmp.numbers(family)?;
                Some(u16::from(kind)..=u16::from(kind))
            }
        });
        ranges.filter(swept).collect()
    }
}

/// Whether a range has no number outside a set.
fn is_inside(range: &RangeInclusive<u16>, numbers: &Ranges) -> bool {
    Ranges::from(range.clone()).difference(numbers).is_empty()
}

impl Reader<'_> {
    /// A test that goes through every port.
    pub(crate) fn sweep(
        &mut self,
        value: Value<'_>,
        world: World<'_>,
        expander: &mut Expander<'_>,
    ) {
        let Some(keys) = SweepKeys::read(self, value) else {
            return;
        };
        let ends = self.both_ends(keys.from, keys.to, world);
        let (Some(from), Some(to), Some(ends), Some(said), true) =
            (keys.from, keys.to, ends, &keys.only_open, keys.sound)
        else {
            return;
        };
        let arrow = format!("{} -> {}", from.text, to.text);
        let Some(families) = self.narrowed(&ends.families, keys.family, &arrow) else {
            return;
        };
        let text = keys
            .name
            .map_or_else(|| format!("{arrow} only-open"), |name| name.text.to_owned());
        let subject = keys.name.unwrap_or(from).span;
        let ambiguous = said.iter().flat_map(|said| &said.open);
        let ambiguous = ambiguous.filter_map(|open| match open {
            Open::Icmp(icmp) => icmp.ambiguous,
            Open::Range(..) => None,
        });
        if let (Some(at), true) = ({ ambiguous }.next(), families.len() > 1) {
            self.problem(
                at,
                "this number means one thing in ICMP for IPv4 and another in ICMPv6",
            )
            .help("write its name, or make a test for each `family`");
            return;
        }
        let before = self.problems.len();
        for family in families {
            self.claim_name(&text, family, subject, expander);
            let (Some(source), Some(destination)) = (
                world.address(ends.from, family),
                world.address(ends.to, family),
            ) else {
                continue;
            };
            let steps = said.iter().map(|said| {
                let open = said.in_family(family);
                Step {
                    text: format!("{arrow} {}, only {}", said.over, open),
                    at: self.sources.location(said.at),
                    action: Action::Sweep(Box::new(Sweep {
                        from: ends.from,
                        to: ends.to,
                        source,
                        destination,
                        over: said.over,
                        numbers: said.numbers(family),
                        open,
                    })),
                }
            });
            let steps = steps.collect();
            expander.cases.push(Case {
                name: format!("{} :: {text} [{family}]", expander.id()),
                at: self.sources.location(keys.at),
                family,
                cell: None,
                steps,
            });
            if self.problems.len() > before {
                return;
            }
        }
    }

    /// Every kind that is gone through: the ports of TCP and UDP always, unless any may be open.
    fn only_open(&mut self, value: Value<'_>) -> Option<Vec<Said>> {
        let keys = OnlyOpenKeys::read(self, value)?;
        let mut said = Vec::new();
        let mut sound = true;
        let among = match keys.among {
            Some(value) => Some(self.among(value)?),
            None => None,
        };
        for over in Over::ALL {
            let value = match over {
                Over::Tcp => keys.tcp,
                Over::Udp => keys.udp,
                Over::Protocols => keys.protocols,
                Over::Icmp => keys.icmp,
            };
            match value {
                Some(value) => match self.open(over, value) {
                    Ok(Some(open)) => {
                        sound &= self.all_among(over, &open, among.as_ref(), value);
                        said.push(Said {
                            over,
                            open,
                            among: among.clone(),
                            at: value.span(),
                        });
                    }
                    Ok(None) => {}
                    Err(Reported) => sound = false,
                },
                None if over.has_ports() => said.push(Said {
                    over,
                    open: Vec::new(),
                    among: among.clone(),
                    at: keys.at,
                }),
                None => {}
            }
        }
        if said.is_empty() && sound {
            self.problem(keys.at, "this looks at nothing")
                .help("name what may be open: `only-open: { tcp: [443] }`");
            return None;
        }
        sound.then_some(said)
    }

    /// The ports that are looked at.
    fn among(&mut self, value: Value<'_>) -> Option<Ranges> {
        let open = self.open(Over::Tcp, value).ok()?;
        let ranges: Ranges = open
            .unwrap_or_default()
            .iter()
            .filter_map(|open| match open {
                Open::Range(first, last) => Some(*first..=*last),
                Open::Icmp(_) => None,
            })
            .collect();
        if ranges.is_empty() {
            self.problem(value.span(), "this looks at no port")
                .help("name ports (`among: 1-1023`), or leave `among` out for all of them");
            return None;
        }
        Some(ranges)
    }

    /// Whether all that should be open is looked at.
    fn all_among(
        &mut self,
        over: Over,
        open: &[Open],
        among: Option<&Ranges>,
        value: Value<'_>,
    ) -> bool {
        let Some(among) = among.filter(|_| over.has_ports()) else {
            return true;
        };
        let outside = open.iter().find_map(|open| match open {
            Open::Range(low, high) => {
                let range = *low..=*high;
                (!is_inside(&range, among)).then_some(range)
            }
            Open::Icmp(_) => None,
        });
        let Some(outside) = outside else {
            return true;
        };
        let outside = Ranges::from(outside);
        let message = format!("{over}/{outside} should be open, but `among` leaves it out");
        self.problem(value.span(), message)
            .help("look at it too, or do not list it");
        false
    }

    /// What should be open of a kind; `None` if anything may be.
    fn open(&mut self, over: Over, value: Value<'_>) -> Result<Option<Vec<Open>>, Reported> {
        let mut open: Vec<Open> = Vec::new();
        let mut sound = true;
        let items = match &value.node.kind {
            Kind::List(items) => items.iter().map(Value::item).collect(),
            Kind::Scalar(_) | Kind::Map(_) | Kind::Null => vec![value],
        };
        for item in items {
            let Some(word) = self.line(item, "a number, a range or a name") else {
                sound = false;
                continue;
            };
            if word.text == ANY {
                if matches!(value.node.kind, Kind::Scalar(_)) {
                    return Ok(None);
                }
                self.problem(word.span, "`any` stands by itself")
                    .help(format!("write `{over}: any` to leave {over} out"));
                return Err(Reported);
            }
            let Some(one) = self.open_one(over, word) else {
                sound = false;
                continue;
            };
            if open.iter().any(|other| overlap(&one, other)) {
                self.problem(word.span, format!("{word} is listed twice"));
                sound = false;
            }
            open.push(one);
        }
        if sound { Ok(Some(open)) } else { Err(Reported) }
    }

    fn open_one(&mut self, over: Over, word: Word<'_>) -> Option<Open> {
        match over {
            Over::Tcp | Over::Udp => {
                let (first, last) = self.port_range(over.word(), word)?;
                Some(Open::Range(first, last))
            }
            Over::Icmp => self.icmp(word, None, None).map(Open::Icmp),
            Over::Protocols => {
                let number = self.open_protocol(word)?;
                Some(Open::Range(number, number))
            }
        }
    }

    fn open_protocol(&mut self, word: Word<'_>) -> Option<u16> {
        let known = PROTOCOLS.iter().find(|(name, _)| *name == word.text);
        if let Some((_, number)) = known {
            return Some(u16::from(*number));
        }
        if !word.text.starts_with(|c: char| c.is_ascii_digit()) {
            let names = PROTOCOLS.iter().map(|(name, _)| *name);
            let help = words::suggest(word.text, names)
                .unwrap_or_else(|| "write its number (IANA, protocol-numbers)".to_owned());
            self.no_such(word, "IP protocol", Some(help));
            return None;
        }
        let number = self.number_in(word, "a protocol number", 1..=254)?;
        let swept = |family| Over::Protocols.numbers(family).contains(number);
        if ![Family::Ipv4, Family::Ipv6].into_iter().any(swept) {
            self.problem(word.span, format!("{number} is not gone through"))
                .help("TCP and UDP are swept port by port, and ICMP type by type");
            return None;
        }
        Some(number)
    }
}

fn overlap(one: &Open, other: &Open) -> bool {
    match (one, other) {
        (Open::Range(first, last), Open::Range(low, high)) => first <= high && low <= last,
        (Open::Icmp(one), Open::Icmp(other)) => one == other,
        (Open::Range(..), Open::Icmp(_)) | (Open::Icmp(_), Open::Range(..)) => false,
    }
}
