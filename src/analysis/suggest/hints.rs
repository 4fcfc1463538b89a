//! What a rule asks of a packet, as far as its text tells. These are hints where to look: whether a packet
//! matches is seen in the lab, so what is not understood here costs a suggestion and never a wrong one.

use std::collections::BTreeMap;

use super::words::words;

/// A property of a packet that rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Field {
    Family,
    Protocol,
    Source,
    Destination,
    Sport,
    Dport,
    Iif,
    Oif,
    IcmpType,
    IcmpCode,
    Flags,
    State,
    Ttl,
    Dscp,
    Mark,
    User,
}

/// Some fields together have one of these values, or none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) fields: Vec<Field>,
    pub(super) negated: bool,
    pub(super) values: Vec<Vec<String>>,
}

/// The elements of named sets and maps, by name: each with what a map leads it to.
pub(super) type Sets = BTreeMap<String, Vec<(String, String)>>;

impl Condition {
    fn one(field: Field, value: &str) -> Self {
        Self {
            fields: vec![field],
            negated: false,
            values: vec![vec![value.to_owned()]],
        }
    }
}

/// What a field says beside its own value.
type Also = Option<(Field, &'static str)>;

/// The words of nft for fields, and what else each says of the packet.
const NFT: [(&[&str], Field, Also); 38] = {
    use Field::{
        Destination, Dport, Dscp, Family, Flags, IcmpCode, IcmpType, Iif, Mark, Oif, Protocol,
        Source, Sport, State, Ttl, User,
    };
    const V4: Also = Some((Family, "ipv4"));
    const V6: Also = Some((Family, "ipv6"));
    [
        (&["ip", "saddr"], Source, V4),
        (&["ip", "daddr"], Destination, V4),
        (&["ip", "protocol"], Protocol, V4),
        (&["ip", "ttl"], Ttl, V4),
        (&["ip", "dscp"], Dscp, V4),
        (&["ip6", "saddr"], Source, V6),
        (&["ip6", "daddr"], Destination, V6),
        (&["ip6", "nexthdr"], Protocol, V6),
        (&["ip6", "hoplimit"], Ttl, V6),
        (&["ip6", "dscp"], Dscp, V6),
        (&["tcp", "sport"], Sport, Some((Protocol, "tcp"))),
        (&["tcp", "dport"], Dport, Some((Protocol, "tcp"))),
        (&["tcp", "flags"], Flags, Some((Protocol, "tcp"))),
        (&["udp", "sport"], Sport, Some((Protocol, "udp"))),
        (&["udp", "dport"], Dport, Some((Protocol, "udp"))),
        (&["sctp", "sport"], Sport, Some((Protocol, "sctp"))),
        (&["sctp", "dport"], Dport, Some((Protocol, "sctp"))),
        (&["udplite", "dport"], Dport, Some((Protocol, "udplite"))),
        (&["th", "sport"], Sport, None),
        (&["th", "dport"], Dport, None),
        (&["icmp", "type"], IcmpType, Some((Protocol, "icmp"))),
        (&["icmp", "code"], IcmpCode, Some((Protocol, "icmp"))),
        (&["icmpv6", "type"], IcmpType, Some((Protocol, "ipv6-icmp"))),
        (&["icmpv6", "code"], IcmpCode, Some((Protocol, "ipv6-icmp"))),
        (&["ct", "state"], State, None),
        (&["meta", "l4proto"], Protocol, None),
        (&["meta", "nfproto"], Family, None),
        (&["meta", "mark"], Mark, None),
        (&["meta", "skuid"], User, None),
        (&["meta", "iifname"], Iif, None),
        (&["meta", "oifname"], Oif, None),
        (&["meta", "iif"], Iif, None),
        (&["meta", "oif"], Oif, None),
        (&["iifname"], Iif, None),
        (&["oifname"], Oif, None),
        (&["iif"], Iif, None),
        (&["oif"], Oif, None),
        (&["mark"], Mark, None),
    ]
};

/// What a rule asks for, in the words of nft; `to` is the chain that it is to lead to, if it is met on the
/// way to another rule.
pub(super) fn nft(text: &str, to: Option<&str>, sets: &Sets) -> Vec<Condition> {
    let tokens = words(text);
    let mut left = tokens.as_slice();
    let mut found = Vec::new();
    while !left.is_empty() {
        let skipped = match left[0].as_str() {
            // What a rule does is not what it asks for.
            "set" | "reject" | "dnat" | "snat" | "redirect" | "masquerade" => break,
            "comment" => 2,
            "log" if left.get(1).is_some_and(|word| word == "prefix") => 3,
            "fib" => {
                let is_result = |word: &String| matches!(word.as_str(), "type" | "oif" | "oifname");
                left.iter().position(is_result).unwrap_or_default() + 2
            }
            "ct" if left.get(1).is_some_and(|word| word != "state") => 2,
            _ => 0,
        };
        if skipped > 0 {
            left = left.get(skipped..).unwrap_or_default();
            continue;
        }
        match condition(left, to, sets) {
            Some((mut more, rest)) => {
                found.append(&mut more);
                left = rest;
            }
            None => left = &left[1..],
        }
    }
    found
}

type Found<'t> = Option<(Vec<Condition>, &'t [String])>;

fn field(tokens: &[String]) -> Option<(Field, Also, &[String])> {
    NFT.iter().find_map(|(words, field, also)| {
        let rest = tokens.get(words.len()..)?;
        let same = words.iter().zip(tokens).all(|(word, token)| word == token);
        same.then_some((*field, *also, rest))
    })
}

fn condition<'t>(tokens: &'t [String], to: Option<&str>, sets: &Sets) -> Found<'t> {
    let (first, also, mut left) = field(tokens)?;
    let mut fields = vec![first];
    let mut implied: Vec<Condition> = Vec::new();
    implied.extend(also.map(|(field, value)| Condition::one(field, value)));
    while let [dot, rest @ ..] = left
        && dot == "."
    {
        let (next, also, rest) = field(rest)?;
        fields.push(next);
        implied.extend(also.map(|(field, value)| Condition::one(field, value)));
        left = rest;
    }
    let mut negated = false;
    let mut adjust = 0_i64;
    let mut map = false;
    while let [operator, rest @ ..] = left {
        match operator.as_str() {
            "!=" | "!" => negated = true,
            "==" => {}
            ">" => adjust = 1,
            "<" => adjust = -1,
            ">=" | "<=" => {}
            "vmap" | "map" => map = true,
            // `tcp flags & (fin | syn) == syn`: what counts is behind the comparison.
            "&" => {
                let compared = rest.iter().position(|word| word == "==" || word == "!=")?;
                negated = rest[compared] == "!=";
                left = &rest[compared + 1..];
                continue;
            }
            _ => break,
        }
        left = rest;
    }
    let is_set = left.first().is_some_and(|word| word == "{");
    let (texts, rest) = values(left, map.then_some(to).flatten(), sets);
    left = rest;
    // The mask of `tcp flags syn / fin,syn,rst,ack`.
    if let [slash, _, rest @ ..] = left
        && slash == "/"
    {
        left = rest;
        while let [comma, _, rest @ ..] = left
            && comma == ","
        {
            left = rest;
        }
    }
    // All bits of a list are set together.
    let texts = match fields.as_slice() {
        [Field::Flags] if !is_set && texts.len() > 1 => vec![texts.join("|")],
        _ => texts,
    };
    let tuple = |text: &String| -> Vec<String> {
        let parts = text.split(" . ").map(str::trim);
        parts
            .map(|part| match (adjust, part.parse::<i64>()) {
                (1 | -1, Ok(number)) => (number + adjust).to_string(),
                (_, Ok(_) | Err(_)) => part.to_owned(),
            })
            .collect()
    };
    let values: Vec<Vec<String>> = texts
        .iter()
        .map(tuple)
        .filter(|tuple| tuple.len() == fields.len())
        .collect();
    implied.push(Condition {
        fields,
        negated,
        values,
    });
    Some((implied, left))
}

/// The values of a comparison: a set, a list, a named set, or one; of a map's, those that lead to a chain.
fn values<'t>(tokens: &'t [String], to: Option<&str>, sets: &Sets) -> (Vec<String>, &'t [String]) {
    let [first, rest @ ..] = tokens else {
        return (Vec::new(), tokens);
    };
    if first == "{" {
        let end = rest.iter().position(|token| token == "}");
        let (inside, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let elements = inside.split(|token| token == ",");
        let elements = elements.filter_map(|element| {
            let colon = element.iter().position(|token| token == ":");
            let (key, verdict) = element.split_at(colon.unwrap_or(element.len()));
            let leads = to.is_none_or(|to| verdict.last().is_some_and(|last| last == to));
            leads.then(|| key.join(" "))
        });
        return (elements.collect(), behind.get(1..).unwrap_or_default());
    }
    if let Some(name) = first.strip_prefix('@') {
        let elements = sets.get(name).map_or(&[][..], Vec::as_slice);
        let meant = elements
            .iter()
            .filter(|(_, verdict)| to.is_none_or(|to| verdict.rsplit(' ').next() == Some(to)));
        return (meant.map(|(element, _)| element.clone()).collect(), rest);
    }
    let mut list = vec![first.clone()];
    let mut left = rest;
    // `established,related` is one of them, `fin | syn` all of them.
    while let [separator, next, rest @ ..] = left
        && matches!(separator.as_str(), "," | "|")
    {
        match separator.as_str() {
            "|" => {
                if let Some(last) = list.last_mut() {
                    *last += &format!("|{next}");
                }
            }
            _ => list.push(next.clone()),
        }
        left = rest;
    }
    (list, left)
}

/// What a rule asks for, in the words of iptables.
pub(super) fn iptables(text: &str, sets: &Sets) -> Vec<Condition> {
    let words: Vec<String> = words(&text.replace(',', "\u{1}"))
        .into_iter()
        .map(|word| word.replace('\u{1}', ","))
        .collect();
    let mut found = Vec::new();
    let mut negated = false;
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let field = match word {
            "!" => {
                negated = true;
                continue;
            }
            "-s" | "--source" => Field::Source,
            "-d" | "--destination" => Field::Destination,
            "-p" | "--protocol" => Field::Protocol,
            "-i" | "--in-interface" => Field::Iif,
            "-o" | "--out-interface" => Field::Oif,
            "--sport" | "--sports" | "--source-port" | "--source-ports" => Field::Sport,
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => Field::Dport,
            "--icmp-type" | "--icmpv6-type" => Field::IcmpType,
            "--ctstate" | "--state" => Field::State,
            "--ttl-eq" | "--hl-eq" => Field::Ttl,
            "--mark" => Field::Mark,
            "--uid-owner" => Field::User,
            "--tcp-flags" => {
                // The mask is not what is set.
                words.next();
                Field::Flags
            }
            "--syn" => {
                found.push(Condition {
                    negated,
                    ..Condition::one(Field::Flags, "syn")
                });
                negated = false;
                continue;
            }
            "--match-set" => {
                let name = words.next().unwrap_or_default();
                let directions = words.next().unwrap_or_default();
                let fields = directions.split(',').map(|direction| match direction {
                    "src" => Field::Source,
                    _ => Field::Destination,
                });
                let elements = sets.get(name).map_or(&[][..], Vec::as_slice);
                let elements = elements.iter().map(|(element, _)| vec![element.clone()]);
                found.push(Condition {
                    fields: fields.take(1).collect(),
                    negated,
                    values: elements.collect(),
                });
                negated = false;
                continue;
            }
            _ => {
                negated = false;
                continue;
            }
        };
        let value = words.next().unwrap_or_default();
        let values: Vec<String> = match field {
            Field::Flags => vec![value.replace(',', "|").to_lowercase()],
            Field::State => value.split(',').map(str::to_lowercase).collect(),
            Field::Sport | Field::Dport => value
                .split(',')
                .map(|ports| ports.replace(':', "-"))
                .collect(),
            Field::IcmpType => value.split('/').take(1).map(str::to_owned).collect(),
            _ => vec![value.to_owned()],
        };
        if let (Field::IcmpType, Some((_, code))) = (field, value.split_once('/')) {
            found.push(Condition::one(Field::IcmpCode, code));
        }
        found.push(Condition {
            fields: vec![field],
            negated,
            values: values.into_iter().map(|value| vec![value]).collect(),
        });
        negated = false;
    }
    found
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn told(conditions: &[Condition]) -> String {
        let one = |condition: &Condition| {
            let values: Vec<String> = condition.values.iter().map(|of| of.join(" . ")).collect();
            let not = if condition.negated { "not " } else { "" };
            format!("{:?} {not}{}", condition.fields, values.join("/"))
        };
        conditions.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[rstest]
    #[case("tcp dport 22 accept", "[Protocol] tcp; [Dport] 22")]
    #[case(
        "tcp dport { 80, 443, 8000-8010 } accept",
        "[Protocol] tcp; [Dport] 80/443/8000-8010"
    )]
    #[case(
        "iifname \"eth0\" ip saddr 10.0.0.0/8 counter packets 0 bytes 0 drop",
        "[Iif] eth0; [Family] ipv4; [Source] 10.0.0.0/8"
    )]
    #[case("iifname != \"eth0\" drop", "[Iif] not eth0")]
    #[case("ct state established,related accept", "[State] established/related")]
    #[case(
        "ct state vmap { invalid : drop, established : accept }",
        "[State] invalid/established"
    )]
    #[case("ip saddr @office accept", "[Family] ipv4; [Source] 192.0.2.1")]
    #[case(
        "tcp flags & (fin | syn) == fin | syn drop",
        "[Protocol] tcp; [Flags] fin|syn"
    )]
    #[case(
        "tcp flags syn / fin,syn,rst,ack accept",
        "[Protocol] tcp; [Flags] syn"
    )]
    #[case(
        "tcp flags fin,psh,urg / fin,syn,rst,psh,ack,urg drop",
        "[Protocol] tcp; [Flags] fin|psh|urg"
    )]
    #[case("meta l4proto { icmp, ipv6-icmp } accept", "[Protocol] icmp/ipv6-icmp")]
    #[case(
        "ip saddr . tcp dport { 10.0.0.1 . 22, 10.0.0.2 . 80 } accept",
        "[Family] ipv4; [Protocol] tcp; [Source, Dport] 10.0.0.1 . 22/10.0.0.2 . 80"
    )]
    #[case("ip6 hoplimit < 5 drop", "[Family] ipv6; [Ttl] 4")]
    #[case("log prefix \"tcp dport 1 \" level info", "")]
    #[case("drop comment \"tcp dport 1\"", "")]
    #[case("tcp dport 25 reject with tcp reset", "[Protocol] tcp; [Dport] 25")]
    #[case("fib saddr . iif oif missing drop", "")]
    #[case("fib daddr type local tcp dport 5 drop", "[Protocol] tcp; [Dport] 5")]
    #[case("ct mark 5 accept", "")]
    fn a_rule_of_nft_tells_what_it_asks_for(#[case] rule: &str, #[case] expected: &str) {
        let sets = Sets::from([(
            "office".to_owned(),
            vec![("192.0.2.1".to_owned(), String::new())],
        )]);
        assert_eq!(told(&nft(rule, None, &sets)), expected, "{rule}");
    }

    #[test]
    fn of_a_map_those_values_count_that_lead_to_the_chain() {
        let rule = "tcp dport vmap { 22 : jump ssh, 80 : jump web, 443 : jump web }";
        let told = told(&nft(rule, Some("web"), &Sets::new()));
        assert_eq!(told, "[Protocol] tcp; [Dport] 80/443");
    }

    #[rstest]
    #[case(
        "-A INPUT -i eth0 -p tcp -m multiport --dports 80,443,8000:8010 -j ACCEPT",
        "[Iif] eth0; [Protocol] tcp; [Dport] 80/443/8000-8010"
    )]
    #[case("! -i lo -s 10.0.0.0/8 -j DROP", "[Iif] not lo; [Source] 10.0.0.0/8")]
    #[case(
        "-p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP",
        "[Protocol] tcp; [Flags] fin|syn"
    )]
    #[case(
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "[State] related/established"
    )]
    #[case(
        "-p icmp -m icmp --icmp-type 3/4 -j ACCEPT",
        "[Protocol] icmp; [IcmpCode] 4; [IcmpType] 3"
    )]
    #[case("-m comment --comment \"-p tcp\" -j DROP", "")]
    fn a_rule_of_iptables_tells_what_it_asks_for(#[case] rule: &str, #[case] expected: &str) {
        assert_eq!(told(&iptables(rule, &Sets::new())), expected, "{rule}");
    }
}
