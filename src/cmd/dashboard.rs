//! `dashboard`: all bottles of this home on one screen, and what waits for a decision. On a terminal it is drawn and keyed;
//! elsewhere each change is a line.

mod decisions;
mod feeds;
mod notices;
mod screen;
mod verbs;

use crate::cli::{DashboardArgs, ListFormat};
use crate::dashboard::{self, Asked, BottleRow, Model};
use crate::exit::Exit;
use crate::say;
use crate::state::Home;
use anyhow::Result;
use feeds::{Feeds, Progress, read_once};
use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use sys::{clock, pipe, signals, tty};

/// Between two looks at what has changed.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

pub fn run(asked: &DashboardArgs) -> Result<Exit> {
    let home = Home::locate()?;
    let mut model = Model::default();
    model.set_now(now());
    if asked.once || asked.format == ListFormat::Json {
        model.set_bottles(read_once(&home));
        return print(&model, asked.format);
    }
    // A line of an engine's log wakes the loop, which then does not wait for its next look.
    let (wake, woken) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    woken.set_nonblocking(true)?;
    let feeds = Feeds::new(home.clone(), wake);
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match tty::attached() && !is_dumb {
        true => screen::run(home, feeds, model, woken),
        false => follow_in_lines(feeds, model),
    }
}

fn print(model: &Model, format: ListFormat) -> Result<Exit> {
    match format {
        ListFormat::Json => say::json(&model.bottles().iter().map(|row| &**row).collect::<Vec<&BottleRow>>())?,
        ListFormat::Text => say::out(&dashboard::table(model))?,
    }
    Ok(Exit::OK)
}

/// Without a terminal that can be drawn on: what there is, and then a line for each thing that comes or goes.
fn follow_in_lines(mut feeds: Feeds, mut model: Model) -> Result<Exit> {
    let signals = signals::catch()?;
    let mut before: Option<HashSet<String>> = None;
    loop {
        while feeds.step() == Progress::More {}
        if let Some(rows) = feeds.changed_rows() {
            let lines = lines(&rows);
            model.set_bottles(rows);
            let mut text = String::new();
            match &before {
                None => text = dashboard::table(&model),
                Some(before) => {
                    for line in lines.iter().filter(|line| !before.contains(*line)) {
                        text.push_str(&format!("{line}\n"));
                    }
                    for line in before.iter().filter(|line| !lines.contains(line)) {
                        text.push_str(&format!("gone: {line}\n"));
                    }
                }
            }
            before = Some(lines.into_iter().collect());
            if !text.is_empty() && !say::stream_out(text.as_bytes())? {
                return Ok(Exit::OK);
            }
        }
        if pipe::stdout_is_broken() {
            return Ok(Exit::OK);
        }
        if let Some(number) = signals.recv_timeout(POLL_INTERVAL) {
            return Ok(Exit::signal(number));
        }
    }
}

/// What is told of the bottles: that they are there, and what their agents ask for.
fn lines(rows: &[Rc<BottleRow>]) -> Vec<String> {
    let mut lines = Vec::new();
    for row in rows {
        lines.push(format!("bottle  {} is {}", crate::text::one_line(&row.identity), row.state));
        let proposals = row.asks.iter().filter(|ask| ask.asked == Asked::Proposed);
        lines.extend(proposals.map(|ask| dashboard::ask_line(row, ask)));
    }
    lines
}

fn now() -> u64 {
    clock::since_1970().as_secs()
}
