//! `suggest`: the routes that would have let pass what was refused, from the audit trails. Nothing is changed.

use super::age::parse_age;
use super::live::recorded;
use crate::cli::{ListFormat, SuggestArgs};
use crate::exit::{Exit, UserError};
use crate::manifest;
use crate::plan::{Plan, Source, sources_of_route};
use crate::render::{self, BottleSuggestions};
use crate::say;
use crate::session::audit;
use crate::state::{Folder, Home};
use crate::trail::{Candidate, Trail, suggest};
use anyhow::Result;
use policy::Policy;
use std::collections::BTreeMap;
use sys::clock;

/// What was refused in the sessions of one bottle.
struct BottleRefusals {
    /// The plan of the last session.
    plan: Plan,
    candidates: Vec<Candidate>,
}

pub fn run(asked: &SuggestArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let refusals = match (&asked.since, &asked.name) {
        (None, Some(identity)) => {
            let (folder, plan) = recorded(&home, identity.as_str())?;
            let trail = audit::read(&folder, &plan)?;
            BTreeMap::from([(plan.bottle.clone(), BottleRefusals { plan, candidates: trail.candidates() })])
        }
        (Some(age), agent) => {
            let since = clock::since_1970().saturating_sub(parse_age(age)?).as_secs_f64();
            all_since(&home, since, agent.as_deref())
        }
        (None, None) => {
            return Err(UserError::new("no session is named")
                .hint("an identity of `claude-bottle list`, or `--since 7d`")
                .into());
        }
    };
    let all: Vec<BottleSuggestions> =
        refusals.into_iter().map(|(bottle, refusals)| answer(&home, bottle, refusals)).collect();
    match asked.format {
        ListFormat::Json => say::json(&all.iter().map(render::suggestions_json).collect::<Vec<_>>())?,
        ListFormat::Text
            if all.iter().all(|one| one.suggestions.routes.is_empty() && one.suggestions.unanswered.is_empty()) =>
        {
            say::note("nothing was refused that today's manifest refuses");
        }
        ListFormat::Text => say::out(&all.iter().map(render::suggestions).collect::<String>())?,
    }
    Ok(Exit::OK)
}

/// The refusals since then in all sessions that are on disk, or those of one agent, by bottle.
fn all_since(home: &Home, since: f64, agent: Option<&str>) -> BTreeMap<String, BottleRefusals> {
    let mut all: BTreeMap<String, BottleRefusals> = BTreeMap::new();
    let is_meant =
        |folder: &Folder| folder.summary().is_some_and(|plan| agent.is_none_or(|agent| plan.spec.agent == agent));
    for folder in home.folders().into_iter().filter(is_meant) {
        let read = || -> Result<(Plan, Trail)> {
            let (plan, mut trail) = (folder.plan()?, Trail::since(since));
            audit::read_lines(&folder, &plan, |line| trail.add(line))?;
            Ok((plan, trail))
        };
        match read() {
            Ok((plan, trail)) => {
                let candidates = trail.candidates();
                match all.get_mut(&plan.bottle) {
                    Some(known) => known.candidates.extend(candidates),
                    None => drop(all.insert(plan.bottle.clone(), BottleRefusals { plan, candidates })),
                }
            }
            // The others have been read; this one is not silently left out.
            Err(error) => say::line(&format!("`{}` is left out: {error:#}", folder.identity)),
        }
    }
    all
}

/// By today's manifest; where that has the agent no more, by the policy of the session.
fn answer(home: &Home, bottle: String, refusals: BottleRefusals) -> BottleSuggestions {
    let BottleRefusals { plan, candidates } = refusals;
    let chosen = manifest::load(home.path(), &plan.spec.cwd).and_then(|manifest| manifest.choose(&plan.spec.agent));
    let (policy, values): (Policy, BTreeMap<String, Source>) = match chosen {
        Ok(chosen) => (chosen.bottle.policy(), chosen.bottle.routes.iter().flat_map(sources_of_route).collect()),
        Err(_) => (plan.policy, plan.values),
    };
    BottleSuggestions { bottle, suggestions: suggest(&policy, &candidates), values }
}
