//! `approve`: what an agent asked for, or what was refused, may pass: shown first with all that it opens, then done.

use super::approve_packages;
use super::consent::{Confirmation, collect_values};
use super::save_route;
use super::text_editor::{self, Edited, EditedText};
use crate::cli::{ApproveArgs, Widen};
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::plan::Approval;
use crate::render;
use crate::say;
use crate::state::Home;
use crate::supervise::{ApprovalScope, Decidable, Deed};
use anyhow::Result;
use policy::Widening;
use serde_json::json;
use sys::signals::{self, Signals};
use wire::Change;

pub fn run(asked: &ApproveArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let signals = signals::catch()?;
    let mut wanted = Decidable::find(&home, &asked.id)?;
    let scope = match (asked.once, asked.save) {
        (true, _) => ApprovalScope::Once,
        (_, true) => ApprovalScope::Save,
        _ => ApprovalScope::Session,
    };
    if let Change::Packages(packages) = wanted.change.clone() {
        return approve_packages::run(asked, &mut wanted, &packages, &signals);
    }
    if !wanted.session.plan.has_remotes() && matches!(wanted.change, Change::Git { .. }) {
        return Err(UserError::new("the bottle has no remotes any more").into());
    }
    let approval = match approval(asked, &wanted, &signals)? {
        Ok(approval) => approval,
        Err(exit) => return Ok(exit),
    };
    // A question is never asked without what it is about, even with `--quiet`.
    if !asked.yes || !say::is_quiet() {
        say::plan(&render::approval(&approval, &wanted.session.plan, wanted.words.as_deref(), wanted.refused));
    }
    let confirmation = Confirmation { yes: asked.yes, signals: &signals };
    if let Some(exit) = confirmation.ask(match scope {
        ApprovalScope::Once => "approve this once? [y/N] ",
        ApprovalScope::Session if matches!(wanted.change, Change::Git { .. }) => {
            "approve this for the next push? [y/N] "
        }
        ApprovalScope::Session => "approve this for the session? [y/N] ",
        ApprovalScope::Save => "approve this for the session, and save it? [y/N] ",
    })? {
        return Ok(exit);
    }
    let sources = approval.route.as_ref().map(|route| route.values.clone()).unwrap_or_default();
    let values = match collect_values(&sources, &wanted.session, &signals)? {
        Ok(values) => values,
        Err(exit) => return Ok(exit),
    };
    let deed = wanted.session.approve(&approval, scope, values)?;
    report(&wanted, scope, deed);
    match scope {
        ApprovalScope::Save => save_route::save(&home, &wanted, &approval, &confirmation),
        _ => Ok(Exit::OK),
    }
}

/// The approval as it was asked for; an exit code where the editor was left without one.
fn approval(asked: &ApproveArgs, wanted: &Decidable, signals: &Signals) -> Result<Result<Approval, Exit>> {
    if asked.edit {
        let least = match wanted.change {
            Change::Egress { .. } => wanted.approval(),
            _ => return Err(UserError::new("there is no route to edit: this is not about one").into()),
        };
        // What no least route answers to may have one of the operator's own.
        let text = least.ok().and_then(|least| least.route).map_or_else(
            || written(&wanted.change, wanted.example.as_deref()),
            |route| render::route(&route.addition.route, &wanted.session.plan.values_of(&route)),
        );
        let check = |text: &str| wanted.approval_by(&wanted.session.read_route(text)?);
        let edited =
            EditedText { text: &text, what: "a route", suffix: ".jsonc", without_terminal: "leave `--edit` out" };
        return Ok(match text_editor::edit(&edited, check, signals)? {
            Edited::Done(approval) => Ok(approval),
            Edited::Left(exit) => Err(exit),
        });
    }
    let least = wanted.approval().map_err(|error| match error.hint {
        Some(_) => error,
        None => error.hint(hint!("`claude-bottle approve --edit {}` lets you write a route", asked.id)),
    })?;
    let step = asked.widen.map(|widen| match widen {
        Widen::Folder => Widening::Folder,
        Widen::Tree => Widening::Tree,
        Widen::Host => Widening::Host,
    });
    Ok(Ok(match step {
        Some(step) => least.widened(&wanted.session.plan, step, wanted.request())?,
        None => least,
    }))
}

/// The one request as a route, for the editor.
fn written(change: &Change, example: Option<&str>) -> String {
    match change {
        Change::Egress { host, port, method, path } => {
            let path = example.unwrap_or(path);
            json!({ "host": host, "port": port, "methods": [method], "paths": [path] }).to_string()
        }
        Change::Packages(_) | Change::Git { .. } => String::new(),
    }
}

fn report(wanted: &Decidable, scope: ApprovalScope, deed: Deed) {
    let identity = &wanted.session.folder.identity;
    if let Change::Git { remote, .. } = &wanted.change {
        say::note(&format!("approved: the next push to `{remote}` may bring these commits"));
        return;
    }
    say::note(&match (scope, deed) {
        (ApprovalScope::Once, _) => format!("one request of `{identity}` may pass, within a minute"),
        (_, Deed::InForce) => format!("approved: `{identity}` may do it from now on"),
        (_, Deed::AtResume) => format!("approved: it counts when `{identity}` is resumed"),
    });
    if scope == ApprovalScope::Session && deed == Deed::InForce {
        say::suggest(hint!("`claude-bottle routes list {}` shows it, `routes remove` takes it back", identity));
    }
}
