//! The machine under test, and the hosts around it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use ipnet::IpNet;

use crate::dialect::{Config, Layer};

/// Where the lab is built: whose programs load the candidate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// In a sandbox on this machine, with its programs.
    #[default]
    Machine,
    /// In a disposable container, with the programs of an image.
    Container(ContainerImage),
}

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerImage {
    /// `image:`, as the container engine knows it: `debian:12`.
    Named(String),
    /// `dockerfile:`, to be built.
    Dockerfile {
        /// A folder with a `Dockerfile`, or a file like one.
        path: PathBuf,
        /// `base:`, the build argument `BASE`.
        base: Option<String>,
    },
}

/// The machine that runs the candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// The configuration under test.
    pub candidate: Config,
    /// `candidates:`, all that the same tests are made against, in the order written, if they have names;
    /// `candidate` is one of them.
    pub candidates: Vec<Candidate>,
    /// `layers:`, in the order of loading; the candidate exactly once among them.
    pub layers: Vec<Layer>,
    /// `files:`, further files the candidate needs: absolute path inside the sandbox → file or folder
    /// on disk.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The interfaces as the candidate knows them; [`Host::behind`] and others index this.
    pub interfaces: Vec<Interface>,
    /// Whether the kernel forwards between interfaces (`forwarding:`, true when not given: the
    /// firewall is under test, not the sysctl).
    pub forwarding: bool,
    /// `routes:` beyond the interfaces' own prefixes.
    pub routes: Vec<Route>,
    /// `sysctl:`, names with dots, below `net.`.
    pub sysctl: Vec<(String, String)>,
}

/// One of the configurations that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What reports call it.
    pub name: String,
    /// What it is.
    pub config: Config,
}

/// An interface of the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name (1 to 15 bytes, Linux `IFNAMSIZ`).
    pub name: String,
    /// Its own addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// What it is a VLAN of.
    pub vlan: Option<Vlan>,
}

/// An interface that is a VLAN of another (IEEE 802.1Q).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// Index into [`Firewall::interfaces`], before its own.
    pub on: usize,
    /// VLAN identifier, 1 to 4094.
    pub id: u16,
    /// With service tags (IEEE 802.1ad).
    pub service: bool,
}

/// A route of the firewall through a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What is reached.
    pub destination: IpNet,
    /// The gateway, on the link of `interface`.
    pub via: IpAddr,
    /// Index into [`Firewall::interfaces`].
    pub interface: usize,
}

/// A host of the world around the firewall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the scenario.
    pub name: String,
    /// Index into [`Firewall::interfaces`]: the side of the firewall it is on.
    pub behind: usize,
    /// At least one of `ipv4` and `ipv6` is given.
    pub ipv4: Option<Ipv4Addr>,
    /// See `ipv4`.
    pub ipv6: Option<Ipv6Addr>,
}
