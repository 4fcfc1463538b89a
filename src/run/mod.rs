//! Runs selected scenarios, each in a lab of its own, and emits events. It prints nothing and judges
//! nothing itself.

mod collector;
pub mod failure;
pub mod filter;
#[cfg(feature = "docker")]
pub mod image;
pub mod launch;
pub mod options;
pub mod queue;
mod recording;
mod results;
mod round;
pub mod scenario;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use firedrill_harness::protocol::micros;
use tokio::task::JoinSet;

use self::{options::Options, queue::Queued, scenario::run_queued};
use crate::record::{
    ScenarioRecord, compare,
    event::{Event, Summary},
};

/// The most cases that wait, run, for a scenario before theirs to be told of.
const MOST_WAITING: usize = 20_000;

/// Runs everything that waits; events come in the order of `queued`. The last of them, [`Event::Ended`] with the totals
/// that this returns, is left to the caller, who may have something to add before it.
///
/// Must be called inside a tokio runtime with I/O enabled.
pub async fn run(queued: Vec<Queued>, options: Options, mut emit: impl FnMut(Event)) -> Summary {
    let started = Instant::now();
    emit(Event::Started {
        scenarios: queued.len(),
        cases: queued.iter().map(|queued| queued.cases.len()).sum(),
        part: options.part.clone(),
    });
    let jobs = options.jobs.max(1);
    let mut summary = Summary {
        deny_skips: options.deny_skips,
        shard: options.part.is_some(),
        ..Summary::default()
    };
    let options = Arc::new(options);
    // Whether the next is of another file, so that all candidates of this one are through.
    let last: Vec<bool> = (1..=queued.len())
        .map(|next| {
            let this = &queued[next - 1].entry;
            let other = |next: &Queued| next.entry.stem != this.stem;
            queued.get(next).is_none_or(other)
        })
        .collect();
    let mut of_file = Vec::new();
    // Nothing is set aside for a scenario before its turn.
    let mut rest = queued.into_iter().enumerate();
    let mut tasks = JoinSet::new();
    let begin = |tasks: &mut JoinSet<_>, (number, queued): (usize, Queued)| {
        let options = Arc::clone(&options);
        tasks.spawn(async move { (number, run_queued(&queued, &options).await) });
    };
    rest.by_ref()
        .take(jobs)
        .for_each(|one| begin(&mut tasks, one));
    let mut waiting: BTreeMap<usize, ScenarioRecord> = BTreeMap::new();
    let mut next = 0;
    while let Some(finished) = tasks.join_next().await {
        let cases: usize = waiting.values().map(|record| record.cases.len()).sum();
        // The one that they wait for is under way.
        if cases < MOST_WAITING {
            rest.by_ref()
                .take(jobs - tasks.len())
                .for_each(|one| begin(&mut tasks, one));
        }
        match finished {
            Ok((number, record)) => {
                waiting.insert(number, record);
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        while let Some(record) = waiting.remove(&next) {
            summary.add(&record);
            of_file.push(record);
            if last[next] {
                let comparison = compare::between(&of_file);
                let finished = of_file.drain(..).map(Box::new).map(Event::Finished);
                finished.for_each(&mut emit);
                comparison.map(Event::Compared).map(&mut emit);
            }
            next += 1;
        }
    }
    summary.duration_us = micros(started);
    summary
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, io, rc::Rc};

    use super::*;
    use crate::{
        record::exit::Exit,
        report::{JUnit, Json, Reporter, Terminal, Versions},
        scenario,
    };

    /// What is written, for those who look later.
    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_scenario_that_changed_before_its_turn_is_bad_input_in_every_report() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let text = |verdict: &str| {
            format!(
                "firewall: {{ nftables: a.nft, interfaces: {{ eth0: 192.0.2.1/24 }} }}\n\
                 hosts: {{ a: {{ behind: eth0, address: 192.0.2.2 }} }}\n\
                 tests: [a -> firewall tcp/22: {verdict}]\n"
            )
        };
        fs::write(folder.path().join("a.nft"), "").unwrap();
        fs::write(&file, text("drop")).unwrap();
        let mut queued = Vec::new();
        scenario::each(std::slice::from_ref(&file), &[], |entry, _| {
            queued.push(Queued {
                entry,
                cases: vec![0],
                position: 0,
            });
        })
        .unwrap();
        fs::write(&file, text("accept")).unwrap();
        let written: [Written; 3] = Default::default();
        let out = |index: usize| Box::new(written[index].clone());
        let mut reporters: [Box<dyn Reporter>; 3] = [
            Box::new(Terminal::new(out(0), false)),
            Box::new(Json::new(out(1), Versions::default())),
            Box::new(JUnit::new(out(2))),
        ];
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let summary = runtime.block_on(run(queued, Options::default(), |event| {
            for reporter in &mut reporters {
                reporter.event(&event).unwrap();
            }
        }));
        for reporter in &mut reporters {
            reporter.event(&Event::Ended(summary)).unwrap();
        }
        assert_eq!(summary.exit(), Exit::BadInput);
        for written in written {
            let text = String::from_utf8(written.0.take()).unwrap();
            assert!(
                text.contains("a.yaml` was changed while the run was under way"),
                "{text}"
            );
        }
    }
}
