//! Holds the conversations of a plan: in one lab where they may share it, in a fresh one each where
//! they may not.

use std::{collections::BTreeSet, thread::JoinHandle, time::Instant};

use firedrill_wire::protocol::{
    Blind, Broken, CandidateSpec, Control, Conversation, Evidence, Listing, Loaded, Plan, Probe,
    Record, Reload, Reloaded, Step, Task, Watch, micros,
};

use crate::{
    agent::{conversation::Talk, records::Records, sweep},
    candidate::{self, Listed, Root},
    kernel::{dump::program_dump, netns::NetNs, nftables::NftSocket},
    lab::Lab,
    prober::{Prober, Senses, stay_on_this_cpu},
};

/// The number of the lab in which the control run is made.
const CONTROL_LAB: u32 = 1;

/// What the whole drill needs.
pub(crate) struct Drill<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) world: &'a NetNs,
    pub(crate) records: &'a mut Records,
    pub(crate) started: Instant,
    /// Probers that are letting their sockets go.
    pub(crate) leaving: Vec<JoinHandle<()>>,
}

/// A lab with a candidate in it.
struct Sitting {
    lab: Lab,
    nft: NftSocket,
}

/// What is left of the control run, in the order of the probes.
type Controls = std::vec::IntoIter<Control>;

impl Drill<'_> {
    /// Holds all conversations, the first of them in `lab`, where nothing is loaded yet. Ends early,
    /// with the last record sent, where a candidate's own program refuses it.
    pub(crate) fn hold(mut self, conversations: &[Conversation], lab: Lab) -> Result<(), Broken> {
        let shared = conversations.iter().take_while(|one| !one.isolated).count();
        let (first, rest) = conversations.split_at(shared.max(1).min(conversations.len()));
        let watch = first.first().map(|one| one.watch.clone());
        let sitting = self.sit_down(lab, &watch.unwrap_or_default(), Root::Untouched)?;
        let Some(sitting) = sitting else {
            return Ok(());
        };
        // The listing is made by another process while the control run is under way.
        let list = || Listed::start(&self.plan.candidate.list);
        let listed = sitting.lab.firewall.run(self.world, list)?;
        let mut controls = self.control(conversations)?;
        let finish = || listed.finish();
        let listing = sitting.lab.firewall.run(self.world, finish)?;
        self.records.send(&Record::Ruleset(listing.clone()));
        let known = listing.clone();
        if !self.sit(sitting, listing, first, &mut controls)? {
            return Ok(());
        }
        for (number, conversation) in (CONTROL_LAB + 1..).zip(rest) {
            let lab = self.lab(number)?;
            let sitting = self.sit_down(lab, &conversation.watch, Root::Prepared)?;
            let Some(sitting) = sitting else {
                return Ok(());
            };
            let listing = self.list_again(&sitting.lab, &known)?;
            self.records.send(&Record::Ruleset(listing.clone()));
            let alone = std::slice::from_ref(conversation);
            if !self.sit(sitting, listing, alone, &mut controls)? {
                return Ok(());
            }
        }
        self.records.send(&Record::Done {
            elapsed_us: micros(self.started),
        });
        // The launcher has its answer before the sockets close.
        self.records.flush();
        for leaving in self.leaving {
            // A thread that only closes does not panic.
            let _ = leaving.join();
        }
        Ok(())
    }

    /// Whether any probe of the plan is an ARP message.
    fn has_arp(&self) -> bool {
        let conversations = match &self.plan.task {
            Task::Drill(conversations) => conversations.as_slice(),
            Task::Shell(_) => &[],
        };
        let mut probes = conversations.iter().flat_map(probes_of);
        probes.any(|probe| probe.packet.is_arp())
    }

    /// A fresh lab.
    fn lab(&self, number: u32) -> Result<Lab, Broken> {
        let firewall = NetNs::fresh(self.world)?;
        let lab = Lab::build(&self.plan.lab, self.world, firewall, number)?;
        lab.set_sysctls(&self.plan.lab, self.world)??;
        Ok(lab)
    }

    /// Sends every probe through a lab without a candidate.
    fn control(&self, conversations: &[Conversation]) -> Result<Controls, Broken> {
        let lab = self.lab(CONTROL_LAB)?;
        stay_on_this_cpu()?;
        let probes: Vec<&Probe> = conversations.iter().flat_map(probes_of).collect();
        let blind = self.plan.blind;
        let mut prober = Prober::open(&lab, self.world, &probes, Senses::default(), blind)?;
        let controls = prober.control(&probes)?;
        prober.stay();
        Ok(controls.into_iter())
    }

    /// Loads the candidate and switches the trace on; `None` if its own program refuses it.
    fn sit_down(&mut self, lab: Lab, watch: &Watch, root: Root) -> Result<Option<Sitting>, Broken> {
        let mut nft = lab.firewall.run(self.world, NftSocket::open)?;
        let Some(mut loaded) = self.load(&lab, root, &mut nft)? else {
            return Ok(None);
        };
        let names: Vec<&str> = lab.links.iter().map(|link| link.name.as_str()).collect();
        nft.trace_everything(&names, self.has_arp())?;
        if watch.state {
            nft.trace_states()?;
        }
        loaded.generation_probed = nft.generation()?;
        self.loaded(loaded);
        Ok(Some(Sitting { lab, nft }))
    }

    fn load(
        &mut self,
        lab: &Lab,
        root: Root,
        nft: &mut NftSocket,
    ) -> Result<Option<Loaded>, Broken> {
        let blind = self.plan.blind == Some(Blind::CandidateNotLoaded);
        let load = || candidate::load(&self.plan.candidate, root, nft, blind, None);
        match lab.firewall.run(self.world, load)? {
            Ok(loaded) => Ok(Some(loaded)),
            Err(failure) => {
                self.records.send(&Record::LoadFailed(failure));
                Ok(None)
            }
        }
    }

    fn loaded(&mut self, mut loaded: Loaded) {
        loaded.elapsed_us = micros(self.started);
        self.records.send(&Record::Loaded(loaded));
        self.records.flush();
    }

    fn list(&self, lab: &Lab, candidate: &CandidateSpec) -> Result<Listing, Broken> {
        let list = || Listed::start(&candidate.list)?.finish();
        lab.firewall.run(self.world, list)
    }

    /// Lists the rules of the candidate in a further lab; the kernel tells whether they are what they were.
    fn list_again(&self, lab: &Lab, known: &Listing) -> Result<Listing, Broken> {
        let list = || match program_dump() {
            Ok(dump) if known.program.as_ref() == Some(&dump) => {
                let mut listing = Listing {
                    listing: known.listing.clone(),
                    program: Some(dump),
                    ..Listing::default()
                };
                candidate::list_legacy(&mut listing)?;
                Ok(listing)
            }
            Ok(_) | Err(_) => Listed::start(&self.plan.candidate.list)?.finish(),
        };
        lab.firewall.run(self.world, list)
    }

    /// The rules with their counters and the elements of their sets.
    fn list_state(&self, lab: &Lab) -> Result<String, Broken> {
        let list = || Listed::start(&self.plan.candidate.list_state)?.text();
        lab.firewall.run(self.world, list)
    }

    /// The numbers that the rules, or the sets of ports that they look at, name.
    fn named(&self, lab: &Lab, listing: &Listing) -> Result<BTreeSet<u16>, Broken> {
        let mut named = sweep::numbers(&listing.iptables);
        named.append(&mut sweep::numbers(&listing.ip6tables));
        // The elements of named sets are not part of the listing.
        if listing.listing.contains("inet_service") {
            named.append(&mut sweep::numbers(&self.list_state(lab)?));
        } else {
            named.append(&mut sweep::numbers(&listing.listing));
        }
        Ok(named)
    }

    /// The last look at the rules that evidence is about.
    fn seal(&mut self, lab: &Lab, nft: &mut NftSocket, legacy: &Listing) -> Result<(), Broken> {
        let mut now = Listing::default();
        lab.firewall
            .run(self.world, || candidate::list_legacy(&mut now))?;
        let rules = |of: &Listing| (of.iptables.clone(), of.ip6tables.clone());
        self.records.send(&Record::Sealed {
            generation: nft.generation()?,
            legacy_changed: rules(&now) != rules(legacy),
        });
        Ok(())
    }

    /// Holds conversations in one lab and seals what was found; false if a configuration that replaces
    /// the candidate was refused.
    fn sit(
        &mut self,
        sitting: Sitting,
        mut listing: Listing,
        conversations: &[Conversation],
        controls: &mut Controls,
    ) -> Result<bool, Broken> {
        let Sitting { lab, mut nft } = sitting;
        let probes: Vec<&Probe> = conversations.iter().flat_map(probes_of).collect();
        let groups = conversations.iter().flat_map(|one| &one.watch.log_groups);
        let groups: Vec<u16> = groups.copied().collect();
        let senses = || Senses::open(&groups, self.plan.blind);
        let senses = lab.firewall.run(self.world, senses)?;
        let mut prober = Prober::open(&lab, self.world, &probes, senses, self.plan.blind)?;
        for conversation in conversations {
            let mut talk = Talk::default();
            let mut looked = false;
            for step in &conversation.steps {
                match step {
                    Step::Wait(us) => Talk::wait(*us),
                    Step::Probe(probe) => {
                        let look = conversation.watch.listing && !looked;
                        let before = look.then(|| self.list_state(&lab)).transpose()?;
                        looked |= look;
                        let mut evidence = talk.probe(&mut prober, probe)?;
                        evidence.listing_before = before;
                        evidence.control = controls.next().unwrap_or_default();
                        if conversation.watch.listing {
                            evidence.listing = Some(self.list_state(&lab)?);
                        }
                        self.records.send(&Record::Evidence(Box::new(evidence)));
                    }
                    Step::Sweep(sweep) => {
                        let control = controls.next().unwrap_or_default();
                        let named = self.named(&lab, &listing)?;
                        let records = &mut *self.records;
                        let swept =
                            sweep::sweep(&mut prober, &mut nft, sweep, &named, |evidence| {
                                records.send(&Record::Evidence(Box::new(Evidence {
                                    control: control.clone(),
                                    ..evidence
                                })));
                            })?;
                        self.records.send(&Record::Swept(swept));
                    }
                    Step::Reload(reload) => {
                        let control = reload.meanwhile.as_ref().and_then(|_| controls.next());
                        self.seal(&lab, &mut nft, &listing)?;
                        let Some(other) =
                            self.reload(reload, &lab, &mut nft, &mut prober, control)?
                        else {
                            return Ok(false);
                        };
                        listing = other;
                        looked = false;
                    }
                }
            }
        }
        self.seal(&lab, &mut nft, &listing)?;
        self.leaving.push(prober.leave());
        Ok(true)
    }

    /// Loads another configuration while packets go on coming; the rules that result, unless its own
    /// program refuses it.
    fn reload(
        &mut self,
        reload: &Reload,
        lab: &Lab,
        nft: &mut NftSocket,
        prober: &mut Prober<'_>,
        control: Option<Control>,
    ) -> Result<Option<Listing>, Broken> {
        let Some(candidate) = self.plan.reloads.get(reload.candidate) else {
            return Err(Broken::new(
                "read the plan",
                "no such configuration to load",
            ));
        };
        let started = Instant::now();
        let mut reloaded = Reloaded {
            id: reload.id,
            barrier: true,
            control: control.unwrap_or_default(),
            ..Reloaded::default()
        };
        // The commands run in the firewall's namespace, the prober in the world's.
        let mut meanwhile = || {
            let Some(probe) = &reload.meanwhile else {
                return Ok(());
            };
            lab.firewall
                .leave(self.world, || prober.pass_by(probe, &mut reloaded))
        };
        let load = || candidate::load(candidate, Root::Prepared, nft, false, Some(&mut meanwhile));
        match lab.firewall.run(self.world, load)? {
            Ok(mut loaded) => {
                loaded.candidate = reload.candidate + 1;
                reloaded.duration_us = micros(started);
                self.records.send(&Record::Reloaded(reloaded));
                self.loaded(loaded);
                let listing = self.list(lab, candidate)?;
                self.records.send(&Record::Ruleset(listing.clone()));
                Ok(Some(listing))
            }
            Err(mut failure) => {
                failure.candidate = reload.candidate + 1;
                self.records.send(&Record::LoadFailed(failure));
                Ok(None)
            }
        }
    }
}

/// The probes of a conversation that need a control, in its order.
fn probes_of(conversation: &Conversation) -> impl Iterator<Item = &Probe> {
    conversation.steps.iter().filter_map(|step| match step {
        Step::Probe(probe) => Some(&**probe),
        Step::Reload(reload) => reload.meanwhile.as_deref(),
        Step::Sweep(sweep) => Some(&sweep.probe),
        Step::Wait(_) => None,
    })
}
