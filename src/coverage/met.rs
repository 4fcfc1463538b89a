//! The way of a packet through a chain: which rules it came to, which of them matched.
//!
//! The trace shows the rules that matched, and where each led. The rules between two of them in a chain were
//! tried, because a chain is walked rule by rule; behind the last one only if the trace shows the chain's
//! end. Where the trace and the listing do not agree, nothing more is concluded.

use std::ops::Range;

use firedrill_harness::protocol::{TraceEvent, TraceKind, TraceVerdict};

use super::inventory::{Inventory, Row};
use crate::trace::way::Traversal;

/// What a packet met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Walk {
    /// The items that it came to, some maybe more than once.
    pub(super) tried: Vec<Range<usize>>,
    /// The items that matched, in this order.
    pub(super) matched: Vec<usize>,
    /// The items that ended the way through a base chain.
    pub(super) ended: Vec<usize>,
}

/// A chain on the way, by its name, and the position of the rule that is next in it.
struct Frame<'a> {
    name: &'a str,
    row: &'a Row,
    next: usize,
}

impl Walk {
    /// Adds the way through a base chain and those that it leads to.
    pub(super) fn add<'a>(&mut self, inventory: &'a Inventory, traversal: &'a Traversal<'a>) {
        let start = inventory.row(&traversal.chain).map(|row| Frame {
            name: traversal.chain.name.as_str(),
            row,
            next: 0,
        });
        let mut stack: Vec<Frame<'_>> = start.into_iter().collect();
        for event in &traversal.events {
            if event.kind == TraceKind::Policy {
                if let [base] = stack.as_mut_slice() {
                    self.rest(base);
                }
                stack.clear();
                let policy = inventory
                    .row(&traversal.chain_named(&event.chain))
                    .and_then(|row| row.policy);
                self.matched.extend(policy);
                self.ended.extend(policy);
                continue;
            }
            // What does not follow from what was seen before was not seen from its beginning.
            let Some(frame) = stack.last_mut().filter(|frame| frame.name == event.chain) else {
                stack.clear();
                self.only_matched(inventory, traversal, event);
                continue;
            };
            let Some(handle) = event.handle else {
                self.rest(frame);
                stack.pop();
                continue;
            };
            let left = &frame.row.handles[frame.next..];
            let Some(ahead) = left.iter().position(|listed| *listed == handle) else {
                stack.clear();
                self.only_matched(inventory, traversal, event);
                continue;
            };
            let position = frame.next + ahead;
            self.tried.push(frame.row.items(frame.next..position + 1));
            frame.next = position + 1;
            let item = frame.row.first + position;
            self.matched.push(item);
            let into = |name: &'a str| {
                let by_name = || inventory.row(&traversal.chain_named(name));
                let row = inventory.inline(item).or_else(by_name);
                row.map(|row| Frame { name, row, next: 0 })
            };
            match &event.verdict {
                TraceVerdict::Jump(name) => match into(name) {
                    Some(frame) => stack.push(frame),
                    None => stack.clear(),
                },
                TraceVerdict::Goto(name) => {
                    stack.pop();
                    match into(name) {
                        Some(frame) => stack.push(frame),
                        None => stack.clear(),
                    }
                }
                TraceVerdict::Return => {
                    stack.pop();
                }
                TraceVerdict::Accept
                | TraceVerdict::Drop
                | TraceVerdict::Queue
                | TraceVerdict::Stolen => {
                    self.ended.push(item);
                    stack.clear();
                }
                TraceVerdict::Continue
                | TraceVerdict::Break
                | TraceVerdict::Untold
                | TraceVerdict::Other(_) => {}
            }
        }
    }

    /// All that is left of a chain was tried, in vain.
    fn rest(&mut self, frame: &mut Frame<'_>) {
        let end = frame.row.handles.len();
        if frame.next < end {
            self.tried.push(frame.row.items(frame.next..end));
        }
        frame.next = end;
    }

    /// A rule that matched, on a way that is not known.
    fn only_matched(
        &mut self,
        inventory: &Inventory,
        traversal: &Traversal<'_>,
        event: &TraceEvent,
    ) {
        let chain = traversal.chain_named(&event.chain);
        let rule = event.handle;
        if let Some(item) = rule.and_then(|handle| inventory.item(&chain, handle)) {
            self.tried.push(item..item + 1);
            self.matched.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use firedrill_harness::{
        packet::{Packet, Tcp, Transport, craft},
        protocol::{Bytes, Listing, Trace},
    };

    use super::*;
    use crate::{ruleset::listing::Ruleset, trace::way::Way};

    const LISTING: &str = "table ip t { # handle 1\n\
        \tchain base { # handle 1\n\
        \t\ttype filter hook input priority filter; policy drop;\n\
        \t\tudp dport 1 accept # handle 11\n\
        \t\ttcp dport 1 jump sub # handle 12\n\
        \t\ttcp dport 2 goto sub # handle 13\n\
        \t\ttcp dport 3 accept # handle 14\n\
        \t\ttcp dport 4 return # handle 15\n\
        \t\tcounter # handle 16\n\
        \t}\n\
        \tchain sub { # handle 2\n\
        \t\tudp dport 5 accept # handle 21\n\
        \t\ttcp sport 6 return # handle 22\n\
        \t\ttcp sport 7 drop # handle 23\n\
        \t}\n\
        }\n";

    fn probe() -> Packet {
        let ends = ["198.51.100.7", "192.0.2.1"].map(|address| address.parse().unwrap());
        let tcp = Transport::Tcp(Tcp::default());
        Packet::new(ends[0], ends[1], 7, tcp)
    }

    /// What a trace of some events says: the handles that were tried and matched, and what ended the way.
    /// 0 is the policy.
    fn walk(events: &[(&str, Option<u64>, TraceKind, TraceVerdict)]) -> [Vec<u64>; 3] {
        let ruleset = Ruleset::parse(&Listing {
            listing: LISTING.to_owned(),
            ..Listing::default()
        });
        let inventory = Inventory::of(&ruleset);
        let event = |(number, (chain, handle, kind, verdict)): (
            usize,
            &(&str, Option<u64>, TraceKind, TraceVerdict),
        )| TraceEvent {
            id: 1,
            family: "ip".to_owned(),
            table: "t".to_owned(),
            chain: (*chain).to_owned(),
            handle: *handle,
            kind: *kind,
            verdict: verdict.clone(),
            iif: None,
            oif: None,
            mark: 0,
            packet: (number == 0).then(|| Bytes(craft(&probe()))),
        };
        let trace = Trace {
            lost: false,
            events: events.iter().enumerate().map(event).collect(),
        };
        let probe = probe();
        let way = Way::of(&trace, &probe);
        let mut walk = Walk::default();
        for traversal in &way.traversals {
            walk.add(&inventory, traversal);
        }
        let mut unlisted = Walk::default();
        for traversal in &way.traversals {
            unlisted.add(&Inventory::default(), traversal);
        }
        assert_eq!(unlisted, Walk::default());
        let handle = |item: usize| inventory.items[item].handle.unwrap_or(0);
        [
            walk.tried.into_iter().flatten().map(handle).collect(),
            walk.matched.into_iter().map(handle).collect(),
            walk.ended.into_iter().map(handle).collect(),
        ]
    }

    fn jump() -> TraceVerdict {
        TraceVerdict::Jump("sub".to_owned())
    }

    use TraceKind::{Policy, Return, Rule};
    use TraceVerdict::{Accept, Continue, Drop};

    #[test]
    fn a_chain_is_tried_up_to_the_rule_that_ends_the_way() {
        let [tried, matched, ended] = walk(&[("base", Some(14), Rule, Accept)]);
        assert_eq!(tried, [11, 12, 13, 14]);
        assert_eq!((matched, ended), (vec![14], vec![14]));
    }

    #[test]
    fn behind_a_chain_that_was_jumped_to_the_way_goes_on() {
        let [tried, matched, ended] = walk(&[
            ("base", Some(12), Rule, jump()),
            ("sub", Some(22), Rule, TraceVerdict::Return),
            ("base", Some(16), Rule, Continue),
            ("base", None, Return, Continue),
            ("base", None, Policy, Drop),
        ]);
        assert_eq!(tried, [11, 12, 21, 22, 13, 14, 15, 16]);
        assert_eq!((matched, ended), (vec![12, 22, 16, 0], vec![0]));
    }

    #[test]
    fn the_end_of_a_chain_says_that_all_of_it_was_tried() {
        let [tried, matched, ended] = walk(&[
            ("base", Some(12), Rule, jump()),
            ("sub", None, Return, Continue),
            ("base", Some(14), Rule, Accept),
        ]);
        assert_eq!(tried, [11, 12, 21, 22, 23, 13, 14]);
        assert_eq!((matched, ended), (vec![12, 14], vec![14]));
    }

    #[test]
    fn a_goto_does_not_come_back_to_the_chain_that_it_left() {
        let [tried, matched, ended] = walk(&[
            ("base", Some(13), Rule, TraceVerdict::Goto("sub".to_owned())),
            ("sub", None, Return, Continue),
            ("base", None, Policy, Drop),
        ]);
        assert_eq!(tried, [11, 12, 13, 21, 22, 23]);
        assert_eq!((matched, ended), (vec![13, 0], vec![0]));
    }

    #[test]
    fn a_return_from_a_base_chain_leaves_the_rest_of_it_untried() {
        let [tried, matched, ended] = walk(&[
            ("base", Some(15), Rule, TraceVerdict::Return),
            ("base", None, Policy, Drop),
        ]);
        assert_eq!(tried, [11, 12, 13, 14, 15]);
        assert_eq!((matched, ended), (vec![15, 0], vec![0]));
    }

    #[test]
    fn legacy_iptables_shows_the_policy_without_the_end_of_the_chain() {
        let [tried, matched, _] = walk(&[("base", None, Policy, Drop)]);
        assert_eq!(tried, [11, 12, 13, 14, 15, 16]);
        assert_eq!(matched, [0]);
    }

    /// Such as those behind `meta nftrace set 0`, or a rule that the listing does not have.
    #[test]
    fn nothing_is_concluded_where_trace_and_listing_do_not_agree() {
        let [tried, matched, _] = walk(&[
            ("base", Some(12), Rule, jump()),
            ("other", Some(1), Rule, Continue),
            ("sub", Some(23), Rule, Drop),
        ]);
        assert_eq!((tried, matched), (vec![11, 12, 23], vec![12, 23]));
        let [tried, matched, _] = walk(&[
            ("base", Some(99), Rule, Continue),
            ("base", Some(14), Rule, Accept),
        ]);
        assert_eq!((tried, matched), (vec![14], vec![14]));
        // What was not seen to the end was not tried.
        let [tried, ..] = walk(&[("base", Some(11), Rule, Continue)]);
        assert_eq!(tried, [11]);
    }
}
