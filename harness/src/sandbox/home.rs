//! What surrounds the sandbox, and where things are in it.

/// What is around the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// The user's machine.
    Machine,
    /// A disposable container whose root we are, with `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`. That root may
    /// well be the host's, so what is namespaced by nothing else has to be kept from it here.
    Container,
}

/// The folder of the agent in the container, which no candidate sees: the private root covers it.
pub(crate) const AGENT_FOLDER: &str = "/.firedrill";

/// Where programs are looked up inside the sandbox.
pub(crate) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
