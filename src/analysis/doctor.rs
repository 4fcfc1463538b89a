//! Finds out what this machine can run, by running it: a small drill in a real sandbox, then the same
//! drill with each of the harness's senses taken away, which must not pass.

use std::{collections::BTreeSet, fs, net::Ipv4Addr, path::PathBuf, sync::Arc};

use firedrill_harness::protocol::Blind;

use crate::{
    dialect::{self, Config, Dialect, Layer, nftables},
    judge::verdict::Outcome,
    record::{
        CaseRecord, ScenarioRecord,
        failure::ScenarioError,
        finding::{Finding, FindingPlace, Level},
    },
    run::{launch::Launchers, options::Options, queue::Selected},
    scenario::{
        Action, Case, Expectation, ExpectedVerdict, Family, Firewall, Host, Interface, Location,
        Looks, PacketSpec, Party, RejectKind, Sandbox, Scenario, Send, Step, TcpFlags,
    },
};

/// What was found of one thing that scenarios need.
fn finding(subject: &str, level: Level, sentence: impl Into<String>) -> Finding {
    Finding {
        id: format!("doctor/{subject}"),
        level,
        place: FindingPlace::none("it is about this machine"),
        sentence: sentence.into(),
        witnesses: Vec::new(),
        remedies: Vec::new(),
    }
}

/// A ruleset in which accept, drop and reject all happen.
const RULESET: &str = "table inet doctor {
    chain input {
        type filter hook input priority filter; policy drop;
        tcp dport 80 accept
        tcp dport 22 reject with tcp reset
    }
}
";

/// Looks at everything that scenarios need with these launchers. Must be called inside a tokio runtime with
/// I/O enabled. `progress` gets lines of what takes its time.
pub async fn examine(
    launchers: Launchers,
    progress: &mut (dyn FnMut(&str) + std::marker::Send),
) -> Vec<Finding> {
    let launchers = Arc::new(launchers);
    let mut findings = Vec::new();
    let in_containers = !launchers.embeds(&Sandbox::Machine);
    if in_containers {
        launchers.prepare([&Sandbox::Machine], progress).await;
        findings.push(engine(&launchers).await);
        if findings.iter().any(|finding| finding.level != Level::Pass) {
            return findings;
        }
    } else {
        findings.push(programs());
        findings.extend(dialect::ALL.iter().filter_map(|dialect| loaders(dialect)));
    }
    let record = drill(None, &launchers).await;
    let works = record.error.is_none();
    findings.push(sandbox(&record, in_containers));
    if works {
        findings.push(verdicts(&record));
        findings.push(blindness(&launchers).await);
    }
    launchers.close();
    findings.extend(containers());
    findings
}

/// Whether this program was built without containers.
fn containers() -> Option<Finding> {
    (!cfg!(feature = "docker")).then(|| {
        let sentence = "not in this program; build it with `--features docker` to have them";
        finding("containers", Level::Pass, sentence)
    })
}

/// The container engine.
async fn engine(launchers: &Launchers) -> Finding {
    match launchers.engine().await {
        Ok(version) => finding("engine", Level::Pass, version),
        Err(
            ScenarioError::Input(message)
            | ScenarioError::Lab(message)
            | ScenarioError::Skipped(message),
        ) => {
            let mut lines = message.lines().map(|line| line.trim_matches(['(', ')']));
            let sentence = lines.next().unwrap_or_default();
            Finding {
                remedies: lines.map(str::to_owned).collect(),
                ..finding("engine", Level::Error, sentence)
            }
        }
    }
}

fn programs() -> Finding {
    match firedrill_harness::launcher::embedded::nft_version() {
        Some(version) => finding("nft", Level::Pass, version),
        None => Finding {
            remedies: vec![
                "Debian, Ubuntu: apt-get install nftables".to_owned(),
                "Fedora, RHEL: dnf install nftables".to_owned(),
                "Alpine: apk add nftables".to_owned(),
            ],
            ..finding(
                "nft",
                Level::Error,
                "the program that loads nftables candidates is missing",
            )
        },
    }
}

/// The programs of a dialect other than nftables. None of them is needed; scenarios that need one that is
/// not there are skipped.
fn loaders(dialect: &Dialect) -> Option<Finding> {
    let own = dialect
        .programs
        .iter()
        .filter(|(program, _)| *program != "nft");
    let (there, missing): (Vec<_>, Vec<_>) =
        own.partition(|(program, _)| firedrill_harness::is_installed(program));
    let names = |programs: &[&(&str, &str)]| {
        let names: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let mut detail = match there.as_slice() {
        [] => String::new(),
        there => names(there),
    };
    if !missing.is_empty() {
        let packages: BTreeSet<&str> = missing.iter().map(|(_, package)| *package).collect();
        let packages = packages.into_iter().collect::<Vec<_>>().join(" ");
        let separator = if detail.is_empty() { "" } else { "; " };
        detail += &format!(
            "{separator}without {}, scenarios that need it are skipped (apt-get install {packages})",
            names(&missing)
        );
    }
    (!detail.is_empty()).then(|| finding(dialect.key, Level::Pass, detail))
}

fn sandbox(record: &ScenarioRecord, in_container: bool) -> Finding {
    let where_to = if in_container {
        "in a container"
    } else {
        "without privileges on the host"
    };
    match &record.error {
        None => {
            let kernel = record.kernel.as_deref().unwrap_or("unknown");
            let sentence =
                format!("namespaces, private root and lab work {where_to} (kernel {kernel})");
            finding("sandbox", Level::Pass, sentence)
        }
        Some(
            ScenarioError::Input(message)
            | ScenarioError::Lab(message)
            | ScenarioError::Skipped(message),
        ) => Finding {
            remedies: if in_container {
                message.lines().skip(1).map(str::to_owned).collect()
            } else {
                remedies(message)
            },
            ..finding(
                "sandbox",
                Level::Error,
                message.lines().next().unwrap_or_default(),
            )
        },
    }
}

fn verdicts(record: &ScenarioRecord) -> Finding {
    let bad: Vec<String> = record
        .cases
        .iter()
        .map(CaseRecord::telling)
        .filter(|step| step.judgement.outcome != Outcome::Pass)
        .map(|step| format!("{} was {}", step.expected, step.judgement.verdict))
        .collect();
    if bad.is_empty() {
        let sentence = "accept, drop and reject are proven by trace, capture and barrier";
        return finding("verdicts", Level::Pass, sentence);
    }
    Finding {
        remedies: vec![
            "the kernel needs CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET, CONFIG_NFT_REJECT and \
             CONFIG_VETH (as modules: modprobe nf_tables veth)"
                .to_owned(),
        ],
        ..finding("verdicts", Level::Error, bad.join("; "))
    }
}

async fn blindness(launchers: &Arc<Launchers>) -> Finding {
    let mut unnoticed = Vec::new();
    for blind in Blind::SENSES {
        let record = drill(Some(blind), launchers).await;
        if record.count(Outcome::Pass) > 0 {
            unnoticed.push(blind.word());
        }
    }
    if unnoticed.is_empty() {
        let senses = Blind::SENSES.len();
        let sentence = format!("nothing passes with any of {senses} senses taken away");
        return finding("self-test", Level::Pass, sentence);
    }
    let sentence = format!("something passes with {}", unnoticed.join(", "));
    Finding {
        remedies: vec!["do not trust verdicts of this machine, and report this".to_owned()],
        ..finding("self-test", Level::Error, sentence)
    }
}

/// What usually stands in the way of a sandbox, as far as this machine shows it.
fn remedies(message: &str) -> Vec<String> {
    let setting = |name: &str| {
        fs::read_to_string(format!("/proc/sys/{name}"))
            .map(|text| text.trim().to_owned())
            .ok()
    };
    let mut found = Vec::new();
    if setting("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        found.push(
            "AppArmor restricts user namespaces (Ubuntu 23.10 and later). Either allow it for this \
             program, with a profile /etc/apparmor.d/firedrill: \
             `abi <abi/4.0>, profile firedrill /path/to/firedrill flags=(unconfined) { userns, }` \
             and `systemctl reload apparmor`; or for all: \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
                .to_owned(),
        );
    }
    if setting("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        found.push(
            "user namespaces are switched off for ordinary users: \
             `sysctl kernel.unprivileged_userns_clone=1`"
                .to_owned(),
        );
    }
    if setting("user/max_user_namespaces").as_deref() == Some("0") {
        found.push(
            "no user namespaces are allowed: `sysctl user.max_user_namespaces=15000`".to_owned(),
        );
    }
    if PathBuf::from("/.dockerenv").exists() || PathBuf::from("/run/.containerenv").exists() {
        found.push(
            "this is a container: start it with `--security-opt seccomp=unconfined \
             --security-opt apparmor=unconfined --security-opt systempaths=unconfined`, \
             or run firedrill on the machine itself"
                .to_owned(),
        );
    }
    if message.contains("apt-get install") {
        found.push("install the missing program".to_owned());
    }
    if found.is_empty() {
        found.push(
            "the kernel needs user, network, mount and PID namespaces, overlayfs in user \
             namespaces (Linux 5.11 or later), veth and nf_tables"
                .to_owned(),
        );
    }
    found
}

async fn drill(blind: Option<Blind>, launchers: &Arc<Launchers>) -> ScenarioRecord {
    let prepared = nftables::literal("doctor.nft", RULESET);
    let options = Options {
        blind,
        launchers: Arc::clone(launchers),
        ..Options::default()
    };
    crate::run::scenario::run_prepared(&Selected::all(scenario()), &prepared, &options).await
}

/// One host in front of a firewall, and a packet for each verdict.
fn scenario() -> Scenario {
    let file = PathBuf::from("doctor");
    let outside = Ipv4Addr::new(192, 0, 2, 77);
    let inside = Ipv4Addr::new(192, 0, 2, 1);
    let here = Location {
        file: file.clone(),
        line: 1,
        column: 1,
    };
    let case = |dport: u16, verdict: ExpectedVerdict| Case {
        name: format!("doctor :: outside -> firewall tcp/{dport} [ipv4]"),
        at: here.clone(),
        family: Family::Ipv4,
        cell: None,
        steps: vec![Step {
            text: format!("outside -> firewall tcp/{dport}"),
            at: here.clone(),
            action: Action::Send(Box::new(Send {
                from: Party::Host(0),
                to: Party::Firewall(0),
                source: outside.into(),
                destination: inside.into(),
                packet: PacketSpec::tcp(dport, TcpFlags(2)),
                connection: None,
                repeat: None,
                user: None,
                mark: None,
                expect: Expectation::of(verdict),
            })),
        }],
    };
    Scenario {
        id: "doctor".to_owned(),
        against: None,
        file: file.clone(),
        name: "doctor".to_owned(),
        purpose: None,
        tags: Vec::new(),
        sandbox: Sandbox::Machine,
        firewall: Firewall {
            candidate: Config::of(&nftables::DIALECT, "doctor.nft"),
            candidates: Vec::new(),
            layers: vec![Layer::Candidate],
            files: Vec::new(),
            interfaces: vec![Interface {
                name: "eth0".to_owned(),
                addresses: ipnet::Ipv4Net::new(inside, 24)
                    .into_iter()
                    .map(Into::into)
                    .collect(),
                vlan: None,
            }],
            forwarding: true,
            routes: Vec::new(),
            sysctl: Vec::new(),
        },
        hosts: vec![Host {
            name: "outside".to_owned(),
            behind: 0,
            ipv4: Some(outside),
            ipv6: None,
        }],
        cases: vec![
            case(80, ExpectedVerdict::Accept(Looks::default())),
            case(22, ExpectedVerdict::Reject(Some(RejectKind::TcpReset))),
            case(23, ExpectedVerdict::Drop),
        ],
    }
}
