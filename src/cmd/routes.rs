//! `routes`: what was added to a session's policy while it ran, and changes of it by the operator's own hand.

use super::consent::{Confirmation, collect_values};
use super::text_editor::{self, Edited, EditedText};
use crate::cli::{ListFormat, RoutesAddArgs, RoutesArgs, RoutesEditArgs, RoutesListArgs, RoutesRemoveArgs, RoutesVerb};
use crate::exit::{Exit, UserError};
use crate::plan::{self, SessionRoute, SessionRoutes, Source, session_route_id};
use crate::render;
use crate::say;
use crate::state::Home;
use crate::supervise::{Deed, SupervisedSession, signed};
use crate::text::one_line;
use anyhow::Result;
use policy::{Addition, Position, diff, risks};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use sys::signals;
use wire::Values;

pub fn run(asked: RoutesArgs) -> Result<Exit> {
    match asked.verb {
        RoutesVerb::List(asked) => list(&asked),
        RoutesVerb::Add(asked) => add(&asked),
        RoutesVerb::Remove(asked) => remove(&asked),
        RoutesVerb::Edit(asked) => edit(&asked),
    }
}

/// One route of a session's policy.
#[derive(Serialize)]
struct Row {
    /// Null for a route of the bottle's manifest.
    id: Option<String>,
    /// As a manifest has it.
    route: serde_json::Value,
    /// `file:line` of a route of the manifest.
    origin: Option<String>,
    /// The person who added it; null for a route of the manifest.
    by: Option<String>,
    at: Option<String>,
    /// Why the policy does not have it.
    left_out: Option<String>,
}

fn list(asked: &RoutesListArgs) -> Result<Exit> {
    let session = SupervisedSession::open(&Home::locate()?, asked.identity.as_deref())?;
    let row = |route: &policy::Route, left_out: Option<String>| {
        let id = session_route_id(route);
        let added = id.and_then(|id| session.routes.find(id));
        Row {
            id: id.map(str::to_owned),
            route: serde_json::from_str(&render::route(route, &session.plan.values)).unwrap_or_default(),
            origin: id.is_none().then(|| route.origin.clone()),
            by: added.map(|added| added.by.clone()),
            at: added.map(|added| added.at.clone()),
            left_out,
        }
    };
    let mut rows: Vec<Row> = session.plan.policy.routes.iter().map(|route| row(route, None)).collect();
    for left_out in &session.left_out {
        let route = session.routes.find(&left_out.id).map(|added| &added.addition.route);
        rows.extend(route.map(|route| row(route, Some(left_out.why.clone()))));
    }
    if asked.format == ListFormat::Json {
        say::json(&rows)?;
        return Ok(Exit::OK);
    }
    let mut text = String::new();
    for Row { id, route, origin, by, at, left_out } in &rows {
        let (words, id) = (one_line(&route.to_string()), id.as_deref().unwrap_or_default());
        let whence = match (origin, by, at) {
            (_, Some(by), Some(at)) => format!("by {by}, {at}"),
            (origin, ..) => origin.clone().unwrap_or_default(),
        };
        let _ = writeln!(text, "{id:<6}  {words}  {}", one_line(&whence));
        if let Some(why) = left_out {
            let _ = writeln!(text, "        LEFT OUT: {}", one_line(why));
        }
    }
    say::out(&text)?;
    Ok(Exit::OK)
}

fn add(asked: &RoutesAddArgs) -> Result<Exit> {
    let mut session = SupervisedSession::open(&Home::locate()?, Some(&asked.identity))?;
    let signals = signals::catch()?;
    let route = route(&session, &asked.route)?;
    if session.routes.find(&route.id).is_some() {
        say::note("the session has this route already");
        return Ok(Exit::OK);
    }
    let mut routes = session.routes.clone();
    let sources = route.values.clone();
    routes.add(signed(route));
    let confirmation = Confirmation { yes: asked.yes, signals: &signals };
    RoutesChange { action: "add", routes, sources }.make(&mut session, &confirmation)
}

/// # Errors
/// `UserError` for what is no route.
fn route(session: &SupervisedSession, text: &str) -> Result<SessionRoute, UserError> {
    let read = session.read_route(text)?;
    let values = plan::sources_of_route(&read).collect();
    if read.policy.deny {
        return Err(UserError::new("a route that denies would be asked last, and deny nothing that passes now")
            .hint("take away the route that lets it pass, or change the manifest and resume"));
    }
    Ok(session.plan.session_route(None, Addition { route: read.policy, position: Position::Last }, values))
}

fn remove(asked: &RoutesRemoveArgs) -> Result<Exit> {
    let mut session = SupervisedSession::open(&Home::locate()?, Some(&asked.identity))?;
    let mut routes = session.routes.clone();
    routes.routes.retain(|route| route.id != asked.id);
    if routes == session.routes {
        let what = format!("no route `{}` was added to `{}`", one_line(&asked.id), asked.identity);
        let known: Vec<String> = session.routes.routes.iter().map(|route| route.id.clone()).collect();
        return Err(UserError::new(what).meant(&asked.id, known.iter().map(String::as_str)).into());
    }
    let deed = session.set_routes("remove", routes, Values::new())?;
    report(deed, &asked.identity);
    Ok(Exit::OK)
}

/// A list of the added routes, one a line; those that are not touched keep their ids.
fn edit(asked: &RoutesEditArgs) -> Result<Exit> {
    let mut session = SupervisedSession::open(&Home::locate()?, Some(&asked.identity))?;
    let signals = signals::catch()?;
    let mut text = "// One route a line, as in a manifest. The bottle's own come first.\n".to_owned();
    let words = |route: &SessionRoute| render::route(&route.addition.route, &session.plan.values_of(route));
    let known: BTreeMap<String, &SessionRoute> =
        session.routes.routes.iter().map(|route| (words(route), route)).collect();
    session.routes.routes.iter().for_each(|route| text.push_str(&format!("{}\n", words(route))));
    let check = |written: &str| -> Result<SessionRoutes, UserError> {
        let mut routes = SessionRoutes::default();
        for line in written.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")) {
            routes.add(match known.get(line) {
                Some(known) => SessionRoute::clone(known),
                None => signed(route(&session, line)?),
            });
        }
        let (_, left_out) = session.plan.with_session_routes(&routes);
        left_out.into_iter().next().map_or(Ok(routes), |left_out| Err(UserError::new(left_out.why)))
    };
    let edited = EditedText {
        text: text.trim_end(),
        what: "a route",
        suffix: ".jsonc",
        without_terminal: "`routes add` and `routes remove` need none",
    };
    let routes = match text_editor::edit(&edited, check, &signals)? {
        Edited::Done(routes) => routes,
        Edited::Left(exit) => return Ok(exit),
    };
    if routes == session.routes {
        say::note("nothing was changed");
        return Ok(Exit::OK);
    }
    let is_new = |route: &&SessionRoute| session.routes.find(&route.id).is_none();
    let sources = routes.routes.iter().filter(is_new).flat_map(|route| route.values.clone()).collect();
    let confirmation = Confirmation { yes: asked.yes, signals: &signals };
    RoutesChange { action: "edit", routes, sources }.make(&mut session, &confirmation)
}

/// Other routes for a session.
struct RoutesChange {
    action: &'static str,
    routes: SessionRoutes,
    /// Where the values come from that only new routes name.
    sources: BTreeMap<String, Source>,
}

impl RoutesChange {
    /// Shows what it opens, asks, and makes it.
    fn make(self, session: &mut SupervisedSession, confirmation: &Confirmation) -> Result<Exit> {
        let (after, _) = session.plan.with_session_routes(&self.routes);
        let mut text = String::new();
        for line in diff(&session.plan.policy, &after.policy).lines {
            let _ = writeln!(text, "changes  {}", one_line(&line.to_string()));
        }
        let is_new = |route: &&policy::Route| !session.plan.policy.routes.contains(*route);
        for risk in after.policy.routes.iter().filter(is_new).flat_map(risks) {
            let _ = writeln!(text, "WARNING  {}", one_line(&risk));
        }
        say::plan(&text);
        if let Some(exit) = confirmation.ask("change the routes of this session? [y/N] ")? {
            return Ok(exit);
        }
        let values = match collect_values(&self.sources, session, confirmation.signals)? {
            Ok(values) => values,
            Err(exit) => return Ok(exit),
        };
        let deed = session.set_routes(self.action, self.routes, values)?;
        report(deed, &session.folder.identity);
        Ok(Exit::OK)
    }
}

fn report(deed: Deed, identity: &str) {
    say::note(&match deed {
        Deed::InForce => format!("the gate of `{identity}` has it"),
        Deed::AtResume => format!("it counts when `{identity}` is resumed"),
    });
}
