//! Where the agents of a run live: on this machine, or in containers.

use std::str::FromStr;

use firedrill_harness::{
    launcher::{Session, embedded},
    protocol::Plan,
};

use super::failure::lab_error;
#[cfg(feature = "docker")]
use super::image::Containers;
use crate::{record::failure::ScenarioError, scenario::Sandbox};

/// Which launcher to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Launcher {
    /// What the scenario asks for, else the embedded one.
    #[default]
    Auto,
    /// This machine, whatever the scenario asks for.
    Embedded,
    /// A container, also for scenarios that do not ask for one.
    Docker,
}

impl Launcher {
    /// Every launcher.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Embedded, Self::Docker];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Embedded => "embedded",
            Self::Docker => "docker",
        }
    }
}

impl FromStr for Launcher {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|one| one.word() == word);
        known.ok_or_else(|| format!("it is one of {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// The launchers of a run. A container engine is looked for when the first scenario needs it.
#[derive(Debug, Default)]
pub struct Launchers {
    wanted: Launcher,
    #[cfg(feature = "docker")]
    containers: Containers,
}

impl Launchers {
    /// Launchers for a run; `image` is what scenarios that name none run in.
    #[must_use]
    pub fn new(wanted: Launcher, image: Option<Sandbox>) -> Self {
        #[cfg(not(feature = "docker"))]
        let _ = image;
        Self {
            wanted,
            #[cfg(feature = "docker")]
            containers: Containers::new(image),
        }
    }

    /// Starts an agent in such a sandbox.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Lab`] if it cannot be started there, [`ScenarioError::Input`] if what the scenario
    /// asks for cannot be read.
    pub async fn start(&self, sandbox: &Sandbox, plan: &Plan) -> Result<Session, ScenarioError> {
        if self.embeds(sandbox) {
            let session = embedded::start(plan).await;
            return session.map_err(|error| lab_error(&error));
        }
        #[cfg(feature = "docker")]
        return self.containers.start(sandbox, plan).await;
        #[cfg(not(feature = "docker"))]
        Err(without_containers())
    }

    /// Makes sure that the images of these sandboxes are there; `progress` gets lines of what is going on.
    /// Errors are kept for the scenarios that need them.
    pub async fn prepare<'a>(
        &self,
        sandboxes: impl IntoIterator<Item = &'a Sandbox>,
        progress: &mut (dyn FnMut(&str) + Send),
    ) {
        for sandbox in sandboxes {
            if self.embeds(sandbox) {
                continue;
            }
            #[cfg(feature = "docker")]
            let _ = self.containers.image(sandbox, progress).await;
            #[cfg(not(feature = "docker"))]
            let _ = &progress;
        }
    }

    /// Lets go what the run made, which then ends and is removed by itself; also when the run is killed.
    pub fn close(&self) {
        #[cfg(feature = "docker")]
        self.containers.close();
    }

    /// Whose programs load the candidate in this sandbox, as in "there is no program …".
    pub(crate) fn whose_programs(&self, sandbox: &Sandbox) -> &'static str {
        if self.embeds(sandbox) {
            "on this machine"
        } else {
            "in the container's image"
        }
    }

    /// What the container engine calls itself.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Lab`] if there is none.
    pub async fn engine(&self) -> Result<String, ScenarioError> {
        #[cfg(feature = "docker")]
        return Ok(self.containers.docker().await?.version().to_owned());
        #[cfg(not(feature = "docker"))]
        Err(without_containers())
    }

    pub(crate) fn embeds(&self, sandbox: &Sandbox) -> bool {
        match (self.wanted, sandbox) {
            (Launcher::Embedded, _) | (Launcher::Auto, Sandbox::Machine) => true,
            (Launcher::Docker, _) | (Launcher::Auto, Sandbox::Container(_)) => false,
        }
    }
}

/// What a program without containers says where one is needed.
#[cfg(not(feature = "docker"))]
pub(crate) const WITHOUT_CONTAINERS: &str = "this firedrill was built without containers\n\
     (build it with `--features docker`)";

#[cfg(not(feature = "docker"))]
fn without_containers() -> ScenarioError {
    ScenarioError::Lab(WITHOUT_CONTAINERS.to_owned())
}
