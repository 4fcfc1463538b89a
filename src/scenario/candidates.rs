//! Several candidates under the same tests: one scenario for each, which differ in nothing else.

use std::path::PathBuf;

use crate::{
    dialect::{CANDIDATE, Config, Replacement},
    scenario::{Action, Candidate, Scenario, format::words::quote},
};

/// What stands between the name of a scenario and that of its candidate.
const AT: char = '@';

impl Scenario {
    /// Its identity, without the candidate: that of its file.
    #[must_use]
    pub fn stem(&self) -> &str {
        let behind = |name: &String| self.id.strip_suffix(name.as_str())?.strip_suffix(AT);
        self.against.as_ref().and_then(behind).unwrap_or(&self.id)
    }

    /// The same against another candidate, which has this name if there are several.
    fn against(&self, name: Option<&str>, config: Config) -> Self {
        let stem = self.stem().to_owned();
        let id = match name {
            Some(name) => format!("{stem}{AT}{name}"),
            None => stem,
        };
        let mut other = self.clone();
        for case in &mut other.cases {
            if let Some(rest) = case.name.strip_prefix(&self.id) {
                case.name = format!("{id}{rest}");
            }
            for step in &mut case.steps {
                let Action::Reload(reload) = &mut step.action else {
                    continue;
                };
                let mine = reload.of_each.iter().find(|(of, _)| Some(&**of) == name);
                if let Some((_, file)) = mine {
                    reload.candidate.clone_from(file);
                }
            }
        }
        other.id = id;
        other.against = name.map(str::to_owned);
        other.firewall.candidate = config;
        other
    }

    /// The first reload of which this cannot be made against `candidate`, in words.
    fn cannot_reload(&self, name: Option<&str>, config: &Config) -> Option<String> {
        let steps = self.cases.iter().flat_map(|case| &case.steps);
        let reloads = steps.filter_map(|step| match &step.action {
            Action::Reload(reload) => Some(reload),
            Action::Send(_) | Action::Wait(_) | Action::Sweep(_) => None,
        });
        let own = self.firewall.candidate.dialect();
        reloads.into_iter().find_map(|reload| {
            let known = |name: &str| reload.of_each.iter().any(|(of, _)| of == name);
            let of = |path: &PathBuf| quote(&path.to_string_lossy());
            if reload.of_each.is_empty() {
                let other = config.dialect() != own;
                other.then(|| {
                    format!(
                        "{} reloads {}, which is for {}, and {} is for {}",
                        self.stem(),
                        of(&reload.candidate),
                        own.key,
                        of(&config.main()),
                        config.dialect().key
                    )
                })
            } else {
                (!name.is_some_and(known)).then(|| {
                    format!(
                        "{} reloads a file for each of its candidates, and none for {}",
                        self.stem(),
                        of(&config.main())
                    )
                })
            }
        })
    }
}

/// A scenario for each of the candidates of a file.
pub(super) fn against_each(scenario: Scenario) -> Vec<Scenario> {
    if scenario.firewall.candidates.is_empty() {
        return vec![scenario];
    }
    let candidates = scenario.firewall.candidates.iter();
    candidates
        .map(|one| scenario.against(Some(&one.name), one.config.clone()))
        .collect()
}

/// The scenarios that stand beside each other and are of one file, a slice for each file.
pub fn group(scenarios: &[Scenario]) -> impl Iterator<Item = &[Scenario]> {
    scenarios.chunk_by(|one, next| one.file == next.file && one.stem() == next.stem())
}

/// The same scenarios with what the command line puts in the place of their candidates, or beside them.
///
/// One without a name takes the place of all candidates; if it is the name of one of them, that one is
/// meant. One with a name takes the place of the candidate of that name, or comes beside those that are
/// there; the only candidate of a scenario is then called `candidate`.
///
/// # Errors
///
/// What is wrong with a replacement, in words.
pub fn replace(
    scenarios: Vec<Scenario>,
    replacements: &[Replacement],
) -> Result<Vec<Scenario>, String> {
    if replacements.is_empty() {
        return Ok(scenarios);
    }
    let mut all = Vec::new();
    for of_file in group(&scenarios) {
        all.extend(replace_in(of_file, replacements)?);
    }
    Ok(all)
}

/// The scenarios of one file, of which there is at least one.
fn replace_in(
    scenarios: &[Scenario],
    replacements: &[Replacement],
) -> Result<Vec<Scenario>, String> {
    let (unnamed, named): (Vec<&Replacement>, Vec<&Replacement>) = replacements
        .iter()
        .partition(|replacement| replacement.name().is_none());
    if unnamed.len() > 1 {
        return Err(
            "only one candidate can take the place of the scenarios' own\n\
             (give the others names to run against them as well: `--candidate NAME=FILE`)"
                .to_owned(),
        );
    }
    let own = scenarios.iter();
    let own: Vec<(Option<&str>, Config)> = own
        .map(|one| (one.against.as_deref(), one.firewall.candidate.clone()))
        .collect();
    let mut list = own.clone();
    if let Some(replacement) = unnamed.first() {
        let meant =
            |(name, _): &&(Option<&str>, Config)| name.is_some() && *name == replacement.bare();
        list = match own.iter().find(meant) {
            Some(one) => vec![one.clone()],
            None => vec![(None, replacement.among(own.iter().map(|(_, own)| own))?)],
        };
    }
    for replacement in &named {
        let name = replacement.name();
        let called = |(other, _): &(Option<&str>, Config)| other.or(Some(CANDIDATE)) == name;
        match list.iter_mut().find(|one| called(one)) {
            Some((_, config)) => *config = replacement.among(std::iter::once(&*config))?,
            None => {
                let config = replacement.among(list.iter().map(|(_, other)| other))?;
                list.push((name, config));
            }
        }
    }
    let Some(first) = scenarios.first() else {
        return Ok(Vec::new());
    };
    let several = list.len() > 1;
    let rename = |(name, config): (Option<&'_ str>, Config)| {
        let name = name.or(several.then_some(CANDIDATE));
        (name.map(str::to_owned), config)
    };
    let list: Vec<(Option<String>, Config)> = list.into_iter().map(rename).collect();
    let mut replaced = Vec::new();
    for (name, config) in &list {
        if let Some(why) = first.cannot_reload(name.as_deref(), config) {
            return Err(why);
        }
        let mut scenario = first.against(name.as_deref(), config.clone());
        let named = list.iter().filter_map(|(name, config)| {
            Some(Candidate {
                name: name.clone()?,
                config: config.clone(),
            })
        });
        scenario.firewall.candidates = named.collect();
        replaced.push(scenario);
    }
    Ok(replaced)
}
