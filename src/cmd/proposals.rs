//! `proposals`: what agents asked for, the oldest first, and below it what was refused and could be allowed.

use crate::cli::{ListFormat, ProposalsArgs};
use crate::exit::Exit;
use crate::render;
use crate::say;
use crate::state::{Home, OpenAsks};
use crate::supervise::SupervisedSession;
use crate::text::one_line;
use crate::trail::{Candidate, PendingProposal};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;
use sys::clock;

/// What can be decided about one session.
#[derive(Serialize)]
struct Waiting {
    identity: String,
    proposals: Vec<PendingProposal>,
    refused: Vec<Candidate>,
}

impl Waiting {
    /// A row for each. An agent's words stay inert text.
    fn show(&self, text: &mut String) {
        let identity = &self.identity;
        for PendingProposal { id, change, reason, since, .. } in &self.proposals {
            let change = render::change_text(change);
            let _ = writeln!(text, "{identity}/{id}  asked    {change}  {}", local_time(since));
            if !reason.is_empty() {
                let _ = writeln!(text, "    {}", one_line(reason));
            }
        }
        for Candidate { id, change, count, last, example, .. } in &self.refused {
            let (change, count) = (render::change_text(change), render::times(*count));
            let (last, denial) = (local_time(last), one_line(&example.denial));
            let _ = writeln!(text, "{identity}/{id}  refused  {change}  {count}, last {last} ({denial})");
        }
    }
}

/// A gate's time in this machine's zone.
fn local_time(text: &str) -> String {
    match render::seconds(text).and_then(clock::local) {
        Some((day, time)) => format!("{day} {time}"),
        None => one_line(text),
    }
}

pub fn run(asked: &ProposalsArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let all: Vec<Waiting> = match &asked.identity {
        Some(identity) => vec![waiting(SupervisedSession::open(&home, Some(identity))?)?],
        None => home.folders().iter().filter_map(|folder| of_folder(&home, &folder.identity)).collect(),
    };
    if asked.format == ListFormat::Json {
        say::json(&all)?;
        return Ok(Exit::OK);
    }
    let mut text = String::new();
    for one in &all {
        one.show(&mut text);
    }
    if text.is_empty() {
        say::note("nothing waits for a decision");
        return Ok(Exit::OK);
    }
    say::out(&text)?;
    say::suggest("`claude-bottle approve ID`, `claude-bottle reject ID`");
    Ok(Exit::OK)
}

/// One of all sessions: one whose engine does not answer is told, and does not stop the others.
fn of_folder(home: &Home, identity: &str) -> Option<Waiting> {
    // A session that is being made has no plan yet.
    let session = SupervisedSession::open(home, Some(identity)).ok()?;
    match waiting(session) {
        Ok(waiting) => Some(waiting),
        Err(error) => {
            say::error(&error.context(format!("`{identity}`")));
            None
        }
    }
}

fn waiting(session: SupervisedSession) -> Result<Waiting> {
    let trail = session.trail()?;
    for route in &session.left_out {
        say::line(&format!("route {} of `{}` is left out: {}", route.id, session.folder.identity, route.why));
    }
    let OpenAsks { proposals, refused } = session.folder.open_asks(&trail);
    Ok(Waiting { identity: session.folder.identity, proposals, refused })
}
