//! The validated scenario: names are resolved to indices, tests are expanded to one [`Case`] per
//! expectation and address family.

mod expectation;
mod firewall;
mod packet;
mod sweep;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

pub(crate) use self::expectation::net_text;
pub use self::{
    expectation::{
        Also, CtState, Expectation, ExpectedVerdict, Log, Looks, PortRange, RejectKind, Share,
    },
    firewall::{Candidate, ContainerImage, Firewall, Host, Interface, Route, Sandbox, Vlan},
    packet::{PacketSpec, TcpFlags},
    sweep::{Over, Sweep},
};
pub(crate) use self::{
    packet::{USUAL_SPI, portless},
    sweep::PROTOCOLS,
};

/// One YAML file, against one of its candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Identity: the path below the folder it was found in, without extension, parts joined by `/`
    /// (`outage/app-server`); with the candidate behind it, where the file has several
    /// (`migration@new`).
    pub id: String,
    /// Which of the candidates of its file it is about, if they have names.
    pub against: Option<String>,
    /// The file as the user named it.
    pub file: PathBuf,
    /// `name:`, for people; the identity when the file gives none.
    pub name: String,
    /// `purpose:`, free text.
    pub purpose: Option<String>,
    /// `tags:`, in the order written.
    pub tags: Vec<String>,
    /// `sandbox:`, where the firewall stands.
    pub sandbox: Sandbox,
    /// The machine under test.
    pub firewall: Firewall,
    /// Who sends and receives; [`Party::Host`] indexes this.
    pub hosts: Vec<Host>,
    /// Every expectation, once per address family, in the order written. Never empty.
    pub cases: Vec<Case>,
}

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// One end of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// The firewall itself, by its address on this interface (index into [`Firewall::interfaces`]).
    Firewall(usize),
    /// The firewall itself, by its loopback address.
    Loopback,
    /// Index into [`Scenario::hosts`].
    Host(usize),
}

/// What is told pass or fail: one expectation, or a conversation of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The identity everywhere: `outage/app-server :: internet -> firewall tcp/443 [ipv4]`. Unique
    /// in a run.
    pub name: String,
    /// Where the test stands.
    pub at: Location,
    /// The family of this case.
    pub family: Family,
    /// Its place in a matrix, if it is of one.
    pub cell: Option<Cell>,
    /// What happens, in this order; one step unless it is a conversation. Never empty.
    pub steps: Vec<Step>,
}

/// Every sender to every receiver with every service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// `name:`.
    pub name: Option<String>,
    /// Where it stands.
    #[serde(flatten)]
    pub at: Location,
    /// The senders, as written.
    pub from: Vec<String>,
    /// The receivers, as written.
    pub to: Vec<String>,
    /// The services, as in the names of cases.
    pub services: Vec<String>,
}

/// A place in a matrix: indices into its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The matrix.
    pub matrix: Arc<Matrix>,
    /// The sender.
    pub from: usize,
    /// The receiver.
    pub to: usize,
    /// The service.
    pub service: usize,
}

/// One thing that happens in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// In the scenario's words: `internet -> firewall tcp/443`, `reply syn-ack`.
    pub text: String,
    /// Where it stands.
    pub at: Location,
    /// What happens.
    pub action: Action,
}

/// What happens in a [`Step`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A packet is sent.
    Send(Box<Send>),
    /// Time passes.
    Wait(Duration),
    /// Another configuration is loaded over the present one.
    Reload(Box<Reload>),
    /// A packet is sent to every port.
    Sweep(Box<Sweep>),
}

/// A packet, and what should become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Who sends. Never the same party as `to`.
    pub from: Party,
    /// Who should receive.
    pub to: Party,
    /// The packet's source: the sender's address (of the case's family), unless the packet says another.
    pub source: IpAddr,
    /// The packet's destination: the receiver's address (of the case's family), unless the packet says
    /// another.
    pub destination: IpAddr,
    /// What is sent; as the packet that opened its connection would be, also in replies.
    pub packet: PacketSpec,
    /// The connection that it belongs to, if others of it come before or after.
    pub connection: Option<Connection>,
    /// It is sent more than once.
    pub repeat: Option<Repeat>,
    /// `as:`, the user whose socket sends it; only from the firewall itself.
    pub user: Option<String>,
    /// `mark:`, `SO_MARK` of the socket that sends it; only from the firewall itself.
    pub mark: Option<u32>,
    /// What the firewall should do.
    pub expect: Expectation,
}

/// The place of a packet in a connection of its case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Which connection of the case, from 0.
    pub number: usize,
    /// Against the direction of its first packet.
    pub reply: bool,
}

/// `repeat:`, a packet that is sent several times, each time as one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How often, at least twice.
    pub count: u32,
    /// Evenly spread over this time; one after the other without a pause when not given.
    pub within: Option<Duration>,
}

/// `reload:`, a change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reload {
    /// The main file of the configuration that is loaded, in the candidate's dialect.
    pub candidate: PathBuf,
    /// The file for each of [`Firewall::candidates`] by name, if it is not the same for all.
    pub of_each: Vec<(String, PathBuf)>,
    /// Sent again and again while it is loaded, and what should become of each.
    pub meanwhile: Option<Send>,
}

impl Case {
    /// What is sent, in order.
    pub fn sends(&self) -> impl Iterator<Item = &Send> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Send(send) => Some(&**send),
            Action::Reload(reload) => reload.meanwhile.as_ref(),
            Action::Wait(_) | Action::Sweep(_) => None,
        })
    }
}

/// A place in a file; line and column count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The file as the user named it (of the include, where the test came from one).
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}
