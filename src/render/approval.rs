//! What an approval would do, in rows. An agent's words, and the host and path that it chose, stay inert text.

use super::trail::change_text;
use crate::plan::{Approval, Plan};
use crate::text::one_line;
use policy::{Route, Widening};
use std::fmt::Write;
use wire::Change;

/// Lines of a difference that are shown.
const MAX_LINES: usize = 12;

/// `plan`: the session's; `words`: the agent's; `refused`: how often it was refused.
pub fn approval(approval: &Approval, plan: &Plan, words: Option<&str>, refused: u64) -> String {
    let mut rows: Vec<(&str, String)> = vec![("asked", change_text(&approval.change))];
    match words {
        Some(words) => rows.push(("agent", one_line(words))),
        None if refused > 0 => rows.push(("refused", times(refused))),
        None => {}
    }
    if let Some(route) = &approval.route {
        rows.push(("route", one_line(&super::route(&route.addition.route, &plan.values_of(route)))));
    }
    let lines = &approval.differences.lines;
    rows.extend(lines.iter().take(MAX_LINES).map(|line| ("opens", one_line(&line.to_string()))));
    if lines.len() > MAX_LINES || approval.differences.is_partial {
        rows.push(("opens", format!("and {} more", lines.len().saturating_sub(MAX_LINES).max(1))));
    }
    rows.extend(approval.risks.iter().map(|risk| ("WARNING", one_line(risk))));
    rows.extend(approval.notes.iter().map(|note| ("note", one_line(note))));
    rows.extend(approval.wider.iter().map(|(step, wider)| {
        let step = match step {
            Widening::Folder => "folder",
            Widening::Tree => "tree",
            Widening::Host => "host",
        };
        ("wider", format!("--widen {step}: {}", requests(&wider.route)))
    }));
    let mut text = String::new();
    for (label, value) in rows {
        let _ = writeln!(text, "{label:<8} {value}");
    }
    text
}

/// What an approval of packages would do. `before`, `after`: the session's Dockerfile.
pub fn packages(change: &Change, words: Option<&str>, before: Option<&str>, after: &str) -> String {
    let mut rows = vec![("asked", change_text(change))];
    rows.extend(words.map(|words| ("agent", one_line(words))));
    let known: Vec<&str> = before.unwrap_or_default().lines().collect();
    let new = after.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !known.contains(line));
    rows.extend(new.map(|line| ("builds", one_line(line))));
    rows.push(("note", "the build has the engine's network, and runs what these packages bring".to_owned()));
    rows.into_iter().map(|(label, value)| format!("{label:<8} {value}\n")).collect()
}

/// Methods and URLs of a route.
fn requests(route: &Route) -> String {
    let paths: Vec<String> = route.paths.iter().map(|path| format!("{}{}", route.base_url(), path.as_str())).collect();
    format!("{} {}", route.methods.join(" "), one_line(&paths.join(" ")))
}

/// `once`, `7 times`.
pub fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}
