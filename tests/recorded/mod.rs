//! A recorded run: what an agent was told, and what it reported.

use std::{fs, path::Path};

use firedrill::{
    ruleset::listing::Ruleset,
    scenario::{self, Case, Scenario},
};
use firedrill_harness::protocol::{Evidence, Loaded, Plan, Probe, Record, Step, Task};

pub struct Recording {
    pub scenario: Scenario,
    pub plan: Plan,
    pub loaded: Loaded,
    pub ruleset: Ruleset,
    pub evidence: Vec<Evidence>,
}

impl Recording {
    pub fn read() -> Self {
        let folder = Path::new("tests/recorded");
        let file = folder.join("verdicts.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let scenario = scenario::parse(&text, &file, "verdicts").unwrap().remove(0);
        let recording = fs::read_to_string(folder.join("verdicts.jsonl")).unwrap();
        let mut lines = recording.lines();
        let plan = serde_json::from_str(lines.next().unwrap()).unwrap();
        let (mut loaded, mut ruleset, mut evidence) = (None, None, Vec::new());
        for line in lines {
            match serde_json::from_str(line).unwrap() {
                Record::Loaded(record) => loaded = Some(record),
                Record::Ruleset(listing) => ruleset = Some(Ruleset::parse(&listing)),
                Record::Evidence(record) => evidence.push(*record),
                Record::Lab { .. } | Record::Sealed { .. } | Record::Done { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        Self {
            scenario,
            plan,
            loaded: loaded.unwrap(),
            ruleset: ruleset.unwrap(),
            evidence,
        }
    }

    pub fn probe(&self, number: usize) -> &Probe {
        let Task::Drill(conversations) = &self.plan.task else {
            panic!("the recording of a shell");
        };
        match conversations[number].steps.as_slice() {
            [Step::Probe(probe)] => probe,
            other => panic!("{other:?}"),
        }
    }

    pub fn case(&self, number: usize) -> &Case {
        &self.scenario.cases[number]
    }
}
