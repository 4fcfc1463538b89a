//! Test to cases: one per packet and address family, each with a name of its own.

use std::{collections::HashMap, net::IpAddr};

use firedrill_harness::packet::{Cut, Ip, Payload, Tcp, Transport, Udp, pieces};

use crate::scenario::{
    Action, Case, Cell, Family, PacketSpec, Party, Repeat, Send, Step,
    format::words::{family_name, quote},
    read::{
        Reader,
        address::family_names,
        ends::{Ends, World},
        outcome::Outcome,
        packet::draft::PacketDraft,
    },
    text::source::Span,
};

/// What the lab's links carry, in bytes: the MTU of Ethernet.
const LINK_MTU: usize = 1500;
/// Most cases of one scenario.
pub(crate) const MAX_CASES: usize = 100_000;

pub(crate) fn too_many() -> String {
    format!(
        "the tests of a scenario make at most {MAX_CASES} cases, and from here on there are more"
    )
}

/// A test that could be read, in either form.
#[derive(Debug)]
pub(crate) struct TestDraft {
    /// Where it starts.
    pub(crate) at: Span,
    /// What to point at when all of it is wrong.
    pub(crate) subject: Span,
    pub(crate) name: Option<String>,
    /// `FROM -> TO`.
    pub(crate) arrow: String,
    pub(crate) ends: Ends,
    pub(crate) probes: Vec<PacketDraft>,
    pub(crate) family: Option<(Family, Span)>,
    pub(crate) outcome: Outcome,
    pub(crate) repeat: Option<Repeat>,
    pub(crate) user: Option<String>,
    pub(crate) mark: Option<u32>,
    pub(crate) short: bool,
    /// Its place in a matrix.
    pub(crate) cell: Option<Cell>,
}

/// Collects the cases of a scenario.
pub(crate) struct Expander<'w> {
    id: &'w str,
    world: World<'w>,
    pub(crate) cases: Vec<Case>,
    /// Which test (by number, and where) has a name already.
    names: HashMap<(String, Family), (usize, Span)>,
    tests: usize,
}

impl<'w> Expander<'w> {
    pub(crate) fn new(id: &'w str, world: World<'w>) -> Self {
        Self {
            id,
            world,
            cases: Vec::new(),
            names: HashMap::new(),
            tests: 0,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.id
    }

    pub(crate) fn full(&self) -> bool {
        self.cases.len() > MAX_CASES
    }
}

/// A packet in one family.
type Sent<'t> = (&'t PacketDraft, Family);

impl TestDraft {
    fn text(&self, probe: &PacketDraft) -> String {
        let service = &probe.text;
        match &self.name {
            Some(name) if self.probes.len() == 1 => name.clone(),
            Some(name) => format!("{name} ({service})"),
            None if probe.of_any => format!("{} any ({service})", self.arrow),
            None => format!("{} {service}", self.arrow),
        }
    }
}

impl Reader<'_> {
    pub(crate) fn expand(&mut self, test: TestDraft, expander: &mut Expander<'_>) {
        let before = self.problems.len();
        let Some(sent) = self.sent(&test) else {
            return;
        };
        self.check_outcome(&test, &sent);
        self.check_names(&test, &sent, expander);
        if self.problems.len() > before {
            return;
        }
        let at = self.sources.location(test.at);
        for (probe, family) in sent {
            let (Some(packet), Some(source), Some(destination)) = (
                probe.in_family(family),
                expander.world.address(test.ends.from, family),
                expander.world.address(test.ends.to, family),
            ) else {
                continue;
            };
            let text = test.text(probe);
            let source = packet.source.unwrap_or(source);
            let destination = packet.destination.unwrap_or(destination);
            if !self.fits_the_link(&packet, probe, source, destination) {
                return;
            }
            let send = Send {
                from: test.ends.from,
                to: test.ends.to,
                source,
                destination,
                packet,
                connection: None,
                repeat: test.repeat,
                user: test.user.clone(),
                mark: test.mark,
                expect: test.outcome.expectation.clone(),
            };
            expander.cases.push(Case {
                name: format!("{} :: {text} [{family}]", expander.id),
                at: at.clone(),
                family,
                cell: test.cell.clone(),
                steps: vec![Step {
                    text,
                    at: at.clone(),
                    action: Action::Send(Box::new(send)),
                }],
            });
        }
    }

    /// Whether the links of the lab carry every piece of a packet.
    fn fits_the_link(
        &mut self,
        packet: &PacketSpec,
        probe: &PacketDraft,
        source: IpAddr,
        destination: IpAddr,
    ) -> bool {
        // There may be a hundred thousand of these.
        let short = matches!(
            &packet.transport,
            Transport::Tcp(Tcp {
                payload: Payload::Usual,
                ..
            }) | Transport::Udp(Udp {
                payload: Payload::Usual,
                ..
            })
        );
        if short && packet.ip == Ip::default() && packet.cut == Cut::default() {
            return true;
        }
        let pieces = pieces(&packet.between(source, destination, 1, 1));
        let longest = pieces.iter().map(Vec::len).max().unwrap_or_default();
        if longest > LINK_MTU {
            let message = format!(
                "this packet has {longest} bytes, and the links of the lab carry {LINK_MTU}"
            );
            self.problem(probe.at, message)
                .help("cut it with `fragments`");
        }
        if pieces.is_empty() {
            self.problem(probe.at, "none of the fragments that are to be sent exists");
        }
        (1..=LINK_MTU).contains(&longest)
    }

    /// The families that the ends of a test share, or only the one that it asks for.
    pub(crate) fn narrowed(
        &mut self,
        shared: &[Family],
        only: Option<(Family, Span)>,
        arrow: &str,
    ) -> Option<Vec<Family>> {
        let Some((only, at)) = only else {
            return Some(shared.to_vec());
        };
        if shared.contains(&only) {
            return Some(vec![only]);
        }
        let message = format!(
            "the ends of this test share no {} addresses",
            family_name(only)
        );
        let shared = family_names(shared);
        self.problem(at, message)
            .label(format!("{} can only be tested with {shared}", quote(arrow)));
        None
    }

    /// Every packet in every family that it is sent in; `None` when one would be sent in none.
    fn sent<'t>(&mut self, test: &'t TestDraft) -> Option<Vec<Sent<'t>>> {
        let families = self.narrowed(&test.ends.families, test.family, &test.arrow)?;
        let mut sent = Vec::new();
        for probe in &test.probes {
            if let (Party::Firewall(_), Some((at, field))) =
                (test.ends.from, probe.not_from_firewall)
            {
                let message = format!(
                    "{} cannot be said of a packet that the firewall itself sends",
                    quote(field)
                );
                self.problem(at, message)
                    .label("its kernel writes this part");
                return None;
            }
            if let (Party::Host(_), true) = (test.ends.to, probe.packet.transport.is_arp()) {
                self.problem(probe.at, "ARP does not go beyond the link")
                    .label("the receiver must be the firewall");
                return None;
            }
            let exists = |family: &Family| probe.in_family(*family).is_some();
            let mine: Vec<Family> = families.iter().copied().filter(exists).collect();
            if mine.is_empty() {
                let here = family_names(&families);
                let message = format!("{} does not exist in {here}", quote(&probe.text));
                self.problem(probe.at, message)
                    .label(format!("this test can only be made with {here}"));
                return None;
            }
            if let Some(at) = probe.icmp.as_ref().and_then(|icmp| icmp.ambiguous)
                && mine.len() > 1
            {
                self.problem(
                    at,
                    "this number means one thing in ICMP for IPv4 and another in ICMPv6",
                )
                .help("write its name, or `icmpv4` or `icmpv6` instead of `icmp`");
                return None;
            }
            sent.extend(mine.into_iter().map(|family| (probe, family)));
        }
        Some(sent)
    }

    /// Reports an outcome that one of the packets cannot have.
    fn check_outcome(&mut self, test: &TestDraft, sent: &[Sent<'_>]) {
        if let Some(at) = test.outcome.tcp_reset {
            let other = sent
                .iter()
                .find(|(probe, _)| !matches!(probe.packet.transport, Transport::Tcp(_)));
            if let Some((probe, _)) = other {
                let message = format!("only TCP can be rejected with {}", quote("tcp-reset"));
                self.problem(at, message)
                    .also(probe.at, format!("this sends {}", probe.text));
            }
        }
        for (why, family, at) in &test.outcome.bound {
            let misfit = |sent: &&Sent<'_>| sent.1 != *family;
            let Some((_, other)) = sent.iter().find(misfit) else {
                continue;
            };
            let other = family_name(*other);
            if sent.iter().all(|sent| misfit(&sent)) {
                self.problem(
                    *at,
                    format!("{why}, and this test is made only with {other}"),
                );
                continue;
            }
            let how = if test.short {
                "write the test in the long form and add"
            } else {
                "add"
            };
            self.problem(
                *at,
                format!("{why}, and this test is made with {other} too"),
            )
            .help(format!("{how} `family: {family}`"));
        }
    }

    /// Takes a name for a test of one case, unless another has it.
    pub(crate) fn claim_name(
        &mut self,
        text: &str,
        family: Family,
        subject: Span,
        expander: &mut Expander<'_>,
    ) {
        expander.tests += 1;
        let key = (text.to_owned(), family);
        let mine = (expander.tests, subject);
        if let Some((_, first)) = expander.names.insert(key, mine) {
            self.problem(subject, format!("two tests are called {}", quote(text)))
                .also(first, "the first is here")
                .help("give each a name of its own");
        }
    }

    /// Reports names that another test has.
    fn check_names(&mut self, test: &TestDraft, sent: &[Sent<'_>], expander: &mut Expander<'_>) {
        let mut reported = false;
        expander.tests += 1;
        let number = expander.tests;
        for (probe, family) in sent {
            let text = test.text(probe);
            let Some((owner, first)) = expander.names.get(&(text.clone(), *family)).copied() else {
                expander
                    .names
                    .insert((text, *family), (number, test.subject));
                continue;
            };
            if reported {
                continue;
            }
            reported = true;
            if owner == number {
                self.problem(probe.at, format!("{} is listed twice", quote(&probe.text)));
            } else if first == test.subject {
                self.problem(first, "an alias repeats this test");
            } else if test.name.is_some() {
                self.problem(
                    test.subject,
                    format!("two tests are called {}", quote(&text)),
                )
                .also(first, "the first is here")
                .help("give each a name of its own");
            } else {
                self.problem(
                    test.subject,
                    format!("two tests say what happens to {}", quote(&text)),
                )
                .also(first, "the first is here");
            }
        }
    }
}
