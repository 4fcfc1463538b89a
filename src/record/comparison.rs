//! What several candidates did with the same packets.

use serde::{Deserialize, Serialize};

use super::StepRecord;

/// What several candidates did with the same packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The scenario, without a candidate.
    pub scenario: String,
    /// The candidates' names, at least two.
    pub candidates: Vec<String>,
    /// How many cases all candidates treat alike.
    pub same: usize,
    /// The cases that two candidates treat differently, in the scenario's order.
    pub different: Vec<Difference>,
    /// The cases of which nobody can tell, as a candidate has no verdict on them; without the scenario.
    pub not_compared: Vec<String>,
}

/// A case that candidates treat differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The case, without the scenario.
    pub case: String,
    /// Which of its steps is the first that differs, if it has several: `2 of 3: reply syn-ack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// As many as there are candidates.
    pub by_candidate: Vec<Side>,
}

/// What one candidate did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The candidate's name.
    pub candidate: String,
    /// The verdict in words, with what differs of a packet that came out: `accept (source 192.0.2.10)`.
    pub verdict_text: String,
    /// The step that differs, without the way of its packet, which is told with its scenario.
    #[serde(flatten)]
    pub step: StepRecord,
}
