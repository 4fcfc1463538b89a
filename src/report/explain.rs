//! What happens to a packet, for people and for programs.

use std::{
    borrow::Cow,
    io::{self, Write},
    path::Path,
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{plural, terminal::clean, walk::lines};
use crate::{
    analysis::explain::{Accepted, Explained, Explanation, MADE_UP, Nearest},
    judge::verdict::{Arrival, Verdict},
    record::{
        CandidateRecord, StepRecord,
        failure::ScenarioError,
        json::{DeciderJson, VERSION, WayJson, arrival, verdict_text},
    },
    ruleset::origin::{Generated, Origin},
    scenario::Scenario,
    trace::decider::Decider,
};

const STRONG: Style = Style::new().bold();
const ACCEPT: Style = AnsiColor::Green.on_default().bold();
const DROP: Style = AnsiColor::Red.on_default().bold();
const DOUBT: Style = AnsiColor::Yellow.on_default().bold();

/// How many near packets are shown to people.
const MAX_SHOWN: usize = 8;

/// Writes an explanation for people, with escape sequences if `color`.
///
/// # Errors
///
/// If it cannot be written.
pub fn terminal(explanation: &Explanation, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Text { out, color };
    for line in explanation.output.lines() {
        writeln!(text.out, "{}", clean(line))?;
    }
    if explanation.scenario.file == Path::new(MADE_UP) {
        text.world(&explanation.scenario)?;
    }
    for (number, packet) in explanation.packets.iter().enumerate() {
        if number > 0 {
            writeln!(text.out)?;
        }
        text.packet(packet)?;
    }
    text.out.flush()
}

struct Text<'a> {
    out: &'a mut dyn Write,
    color: bool,
}

impl Text<'_> {
    fn paint(&self, style: Style, text: &str) -> String {
        if self.color {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    fn fact(&mut self, name: &str, value: &str) -> io::Result<()> {
        writeln!(self.out, "  {name:<8}  {}", clean(value))
    }

    /// What was made up, because the answer may depend on it.
    fn world(&mut self, scenario: &Scenario) -> io::Result<()> {
        let head = self.paint(STRONG, "around the ruleset, made up:");
        writeln!(self.out, "{head}")?;
        for (number, interface) in scenario.firewall.interfaces.iter().enumerate() {
            let addresses = interface.addresses.iter().map(ToString::to_string);
            let behind = scenario.hosts.iter().filter(|host| host.behind == number);
            let hosts: Vec<&str> = behind.map(|host| host.name.as_str()).collect();
            let hosts = match hosts.as_slice() {
                [] => String::new(),
                hosts => format!(", before {}", hosts.join(", ")),
            };
            let addresses: Vec<String> = addresses.collect();
            self.fact(&interface.name, &format!("{}{hosts}", addresses.join(", ")))?;
        }
        writeln!(self.out)
    }

    fn packet(&mut self, packet: &Explained) -> io::Result<()> {
        for (number, step) in packet.steps.iter().enumerate() {
            if number > 0 {
                writeln!(self.out)?;
            }
            self.step(&format!("{} [{}]", step.text, packet.case.family), step)?;
        }
        if let Some(answer) = &packet.answer {
            writeln!(self.out)?;
            self.step("its answer", answer)?;
        }
        match &packet.nearest {
            Some(nearest) => {
                writeln!(self.out)?;
                self.nearest(nearest)
            }
            None => Ok(()),
        }
    }

    fn step(&mut self, name: &str, step: &StepRecord) -> io::Result<()> {
        let judgement = &step.judgement;
        let verdict = &judgement.verdict;
        let style = match verdict {
            Verdict::Accept(_) => ACCEPT,
            Verdict::Drop | Verdict::Reject(_) => DROP,
            Verdict::Inconclusive(_) => DOUBT,
        };
        let word = verdict_text(verdict);
        let name = self.paint(STRONG, &clean(name));
        let word = self.paint(style, &word);
        writeln!(self.out, "{name}: {word}")?;
        if let Some(decider) = &judgement.decider {
            self.fact("by", &decider.to_string())?;
            if let Some(line) = decider.written_otherwise() {
                self.fact("source", line)?;
            }
            if let Some(Origin::Known(line)) = decider.origin() {
                for (file, line) in &line.included_from {
                    self.fact("included", &format!("by {}:{line}", file.display()))?;
                }
                if let Some(Generated { file, line, text }) = &line.generated {
                    self.fact("through", &format!("{file}, line {line}: {text}"))?;
                }
            }
        }
        self.fact("because", &because(verdict, judgement.decider.as_ref()))?;
        if step.packet.is_empty() {
            return Ok(());
        }
        self.fact("packet", &step.packet)?;
        let Some(walk) = &step.walk else {
            return Ok(());
        };
        for line in lines(&walk.passages, None) {
            writeln!(self.out, "    {}", clean(&line))?;
        }
        // What is closed answers with an error too, but that is not the firewall's.
        if !matches!(verdict, Verdict::Accept(_)) && !walk.error.is_empty() {
            writeln!(self.out, "  the error that was sent because of it")?;
            for line in lines(&walk.error, None) {
                writeln!(self.out, "    {}", clean(&line))?;
            }
        }
        Ok(())
    }

    fn nearest(&mut self, nearest: &Nearest) -> io::Result<()> {
        let tried = plural(nearest.tried, "other packet");
        let head = match nearest.accepted.as_slice() {
            [] if nearest.tried == 0 => "no other packet was tried".to_owned(),
            [] => format!("none of {tried} that were tried passes"),
            _ => format!("what would pass, of {tried} that were tried:"),
        };
        let head = self.paint(STRONG, &head);
        writeln!(self.out, "{head}")?;
        for Accepted {
            differences,
            record,
        } in nearest.accepted.iter().take(MAX_SHOWN)
        {
            let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
            let by = match &record.judgement.decider {
                Some(decider) => place(decider),
                None => String::new(),
            };
            let text = format!("the same {}{by}", differences.join(" "));
            writeln!(self.out, "  {}", clean(&text))?;
        }
        let more = nearest.accepted.len().saturating_sub(MAX_SHOWN);
        if more > 0 {
            writeln!(self.out, "  and {more} more")?;
        }
        if nearest.inconclusive > 0 {
            let text = format!("of {} nothing is proven", nearest.inconclusive);
            writeln!(self.out, "  {text}")?;
        }
        Ok(())
    }
}

/// Where the one stands that lets a packet pass, for a line.
fn place(decider: &Decider) -> String {
    match decider.origin() {
        Some(Origin::Known(line)) => format!("  ({line})"),
        Some(Origin::Unknown(_)) | None => match decider.chain() {
            Some(chain) => format!("  ({chain})"),
            None => String::new(),
        },
    }
}

/// What proves the verdict, in words.
fn because(verdict: &Verdict, decider: Option<&Decider>) -> String {
    match (verdict, decider) {
        (Verdict::Inconclusive(reason), _) => reason.to_string(),
        (Verdict::Accept(arrival), _) => arrived(arrival),
        (Verdict::Drop, Some(Decider::Kernel(reason))) => {
            format!("no chain threw it away, the kernel did: {reason}")
        }
        (Verdict::Drop, _) => {
            "the trace shows that it was thrown away there, and nothing came back".to_owned()
        }
        (Verdict::Reject(_), _) => {
            "the trace shows that it was thrown away there, and an error came back".to_owned()
        }
    }
}

fn arrived(arrival: &Arrival) -> String {
    let end = |address: std::net::IpAddr, port: Option<u16>| match port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    };
    let ends = format!(
        "{} -> {}",
        end(arrival.source, arrival.sport),
        end(arrival.destination, arrival.dport)
    );
    match &arrival.interface {
        Some(interface) => format!("it came out on {interface} as {ends}"),
        None => format!("it reached the firewall itself as {ends}"),
    }
}

#[derive(Serialize)]
struct JsonExplanation<'a> {
    version: u32,
    tool: JsonTool,
    scenario: &'a Path,
    candidate: &'a CandidateRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    packets: Vec<JsonPacket<'a>>,
    exit_code: u8,
    duration_us: u64,
    kernel: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonTool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct JsonPacket<'a> {
    family: String,
    steps: Vec<JsonStep<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<JsonStep<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<JsonNearest<'a>>,
}

#[derive(Serialize)]
struct JsonStep<'a> {
    step: &'a str,
    verdict: String,
    reason: String,
    #[serde(flatten)]
    decider: DeciderJson<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrival: Option<Cow<'a, Arrival>>,
    packet: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<WayJson<'a>>,
}

#[derive(Serialize)]
struct JsonNearest<'a> {
    tried: usize,
    inconclusive: usize,
    accepted: Vec<JsonAccepted<'a>>,
}

#[derive(Serialize)]
struct JsonAccepted<'a> {
    differences: Vec<JsonDifference>,
    #[serde(flatten)]
    told: JsonStep<'a>,
}

#[derive(Serialize)]
struct JsonDifference {
    kind: &'static str,
    text: String,
}

/// Writes an explanation for programs: one JSON document.
///
/// # Errors
///
/// If it cannot be written.
pub fn json(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    let json = JsonExplanation {
        version: VERSION,
        tool: JsonTool {
            name: "firedrill",
            version: env!("CARGO_PKG_VERSION"),
        },
        scenario: &explanation.scenario.file,
        candidate: &explanation.candidate,
        error: explanation.error.as_ref().map(ScenarioError::message),
        packets: explanation.packets.iter().map(json_packet).collect(),
        exit_code: explanation.exit().code(),
        duration_us: explanation.duration_us,
        kernel: explanation.kernel.as_deref(),
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)?;
    out.flush()
}

fn json_packet(packet: &Explained) -> JsonPacket<'_> {
    JsonPacket {
        family: packet.case.family.to_string(),
        steps: packet.steps.iter().map(json_step).collect(),
        answer: packet.answer.as_ref().map(json_step),
        nearest: packet.nearest.as_ref().map(|nearest| JsonNearest {
            tried: nearest.tried,
            inconclusive: nearest.inconclusive,
            accepted: nearest
                .accepted
                .iter()
                .map(|accepted| JsonAccepted {
                    differences: accepted
                        .differences
                        .iter()
                        .map(|difference| JsonDifference {
                            kind: difference.kind(),
                            text: difference.to_string(),
                        })
                        .collect(),
                    told: json_step(&accepted.record),
                })
                .collect(),
        }),
    }
}

fn json_step(step: &StepRecord) -> JsonStep<'_> {
    let judgement = &step.judgement;
    JsonStep {
        step: &step.text,
        verdict: verdict_text(&judgement.verdict),
        reason: because(&judgement.verdict, judgement.decider.as_ref()),
        decider: DeciderJson::of(judgement.decider.as_ref()),
        arrival: arrival(&judgement.verdict),
        packet: &step.packet,
        way: step.walk.as_deref().map(WayJson::of),
    }
}
