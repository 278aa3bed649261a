//! Writes an approved route into the manifest at home, in place: shown as a difference, asked for, and proved by reading it.

use super::consent::Confirmation;
use crate::exit::{Exit, UserError};
use crate::manifest::{self, Chosen, FILE, Place, Proposed};
use crate::plan::{Approval, SessionRoute};
use crate::render;
use crate::say;
use crate::state::{Draft, Home};
use crate::supervise::Decidable;
use crate::text;
use anyhow::Result;
use policy::{Addition, Auth, Difference, Differences, Policy, Position, Reason, Route, diff};
use std::fs;
use std::path::Path;

/// Lines around a change that are shown.
const CONTEXT_LINES: usize = 2;

/// # Errors
/// `UserError` where the manifest cannot take the route, or was changed meanwhile. The session keeps what was approved.
pub fn save(home: &Home, wanted: &Decidable, approval: &Approval, confirmation: &Confirmation) -> Result<Exit> {
    let file = home.path().join(FILE);
    let draft = Draft::of(&file)?;
    let before = String::from_utf8(fs::read(draft.path())?).map_err(|_| UserError::new("the manifest is not UTF-8"))?;
    let after = with_route(home.path(), wanted, approval, &before)?;
    say::plan(&shown(&file, &before, &after));
    if let Some(exit) = confirmation.ask("write this into the manifest? [y/N] ")? {
        say::note("the manifest stays as it is; the session has the route");
        return Ok(exit);
    }
    fs::write(draft.path(), &after)?;
    draft.replace_target()?;
    say::note(&format!("saved in `{}`", text::path(&file)));
    Ok(Exit::OK)
}

/// The manifest's text with the route in the session's bottle.
///
/// # Errors
/// `UserError` where there is no route, or the new text is not a manifest by which this route, and nothing else, came.
fn with_route(home: &Path, wanted: &Decidable, approval: &Approval, before: &str) -> Result<String, UserError> {
    let Some(route) = &approval.route else {
        return Err(UserError::new("only routes are saved: this approval holds for the session"));
    };
    let file = home.join(FILE);
    let plan = &wanted.session.plan;
    let load = |text: &str| -> Result<Chosen, UserError> {
        let proposed = Proposed { file: file.clone(), bytes: text.as_bytes().to_vec() };
        manifest::load_proposed(home, &plan.spec.cwd, proposed)?.choose(&plan.spec.agent)
    };
    let old = load(before)?;
    if old.bottle.name != plan.bottle {
        let what = format!(
            "agent `{}` is in bottle `{}` now, the session in `{}`",
            plan.spec.agent, old.bottle.name, plan.bottle
        );
        return Err(UserError::new(what).hint("`claude-bottle edit` opens the manifest"));
    }
    if old.bottle.policy().routes.iter().any(|known| known.is_same(&route.addition.route)) {
        return Err(UserError::new("the manifest has this route already"));
    }
    let words = render::route(&route.addition.route, &plan.values_of(route));
    let line_of = |origin: &str| origin.strip_prefix(&format!("{}:", file.display()))?.parse::<u32>().ok();
    let mut before_line = None;
    // Each turn moves the route in front of a `deny` that is nearer to the front. The session's own place for it is that of
    // another text, which was edited since or has other routes.
    loop {
        let after = manifest::insert_route(&file, before, &Place { bottle: &plan.bottle, before_line }, &words)?;
        let new = load(&after)?.bottle.policy();
        let Some(denial) = wanted.request().judged_by(&new)? else {
            check(&old.bottle.policy(), &new, route, &approval.differences)?;
            return Ok(after);
        };
        let denying = denial.route.filter(|_| denial.reason == Reason::Rule);
        let line = denying.and_then(|index| line_of(&new.routes[index].origin));
        if line.is_none() || before_line.is_some_and(|before| line >= Some(before)) {
            return Err(UserError::new(format!("by the manifest of today it would be refused still: {}", denial.text))
                .hint("`claude-bottle edit` opens it"));
        }
        before_line = line;
    }
}

/// # Errors
/// `UserError` where the manifest would let pass what the approval did not show: a bottle's own routes come before those of the
/// bottles that it extends, and are asked before a `deny` of theirs. `shown`: what the approval opened.
fn check(old: &Policy, new: &Policy, route: &SessionRoute, shown: &Differences) -> Result<(), UserError> {
    let behind_all = old.with(&Addition { position: Position::Last, ..route.addition.clone() });
    let is_least = behind_all.is_ok_and(|least| {
        let differences = diff(&unnamed(&least), &unnamed(new));
        differences.lines.is_empty() && !differences.is_partial
    });
    let opened = diff(old, new);
    let is_shown = |line: &Difference| {
        shown.lines.iter().any(|shown| {
            (&shown.host, shown.port, &shown.methods, &shown.path) == (&line.host, line.port, &line.methods, &line.path)
        })
    };
    let is_approved = is_least || (!opened.is_partial && opened.lines.iter().all(is_shown));
    if new.routes.len() != old.routes.len() + 1 || !is_approved {
        return Err(UserError::new("in the manifest, this route would let pass something else than what was approved")
            .hint("`claude-bottle edit` opens it; the session keeps what was approved"));
    }
    Ok(())
}

/// The policy without names of values, which are others in a session and in a manifest.
fn unnamed(policy: &Policy) -> Policy {
    let unnamed = |route: &Route| {
        let auth = route.auth.clone().map(|auth| Auth { token: String::new(), ..auth });
        Route { upstream_ca: None, auth, ..route.clone() }
    };
    Policy { routes: policy.routes.iter().map(unnamed).collect() }
}

/// The changed lines with some around them.
fn shown(file: &Path, before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // Only the middle is compared: a manifest may be long, and one place of it is changed.
    let same_before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let left = old.len().min(new.len()) - same_before;
    let same_after = old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(old, new)| old == new).count();
    let start = same_before.saturating_sub(CONTEXT_LINES);
    let mut text = format!("MANIFEST {}\n", text::path(file));
    let mut push = |sign: char, line: &str| text.push_str(&format!("  {sign} {}\n", text::unbroken(line)));
    old[start..same_before].iter().for_each(|line| push(' ', line));
    for (sign, line) in
        render::difference(&old[same_before..old.len() - same_after], &new[same_before..new.len() - same_after])
    {
        push(sign, line);
    }
    old[old.len() - same_after..].iter().take(CONTEXT_LINES).for_each(|line| push(' ', line));
    text
}
