//! What a replay found, as text. Hosts, paths and reasons come from inside a bottle, or from any file: each stays on its
//! line, and hidden characters are made visible.

use super::trail::request_text;
use crate::text::one_line;
use crate::trail::{After, Replay, Replayed};
use std::fmt::Write;

/// The changes, a line each, those that would be refused first; then the sum.
pub fn replay(replay: &Replay) -> String {
    let mut text = String::new();
    for wanted in [After::Refused, After::Passes, After::Untold] {
        for change in replay.changes.iter().filter(|change| change.after == wanted) {
            let _ = writeln!(text, "{}", change_line(change));
        }
    }
    if replay.more > 0 {
        let _ = writeln!(text, "… and {} more that change", replay.more);
    }
    let Replay { judged, refused, passed, untold, unreadable, .. } = replay;
    let rest = judged.saturating_sub(refused + passed + untold);
    let _ = write!(text, "{judged} judged: {refused} would be refused, {passed} would pass that were refused, ");
    let _ = write!(text, "{untold} cannot be told, {rest} stay as they were");
    if *unreadable > 0 {
        let _ = write!(text, "; {unreadable} lines are no gate's");
    }
    text.push('\n');
    text
}

fn change_line(change: &Replayed) -> String {
    let Replayed { after, host, port, method, path, count, line, why, rule, .. } = change;
    let after = match after {
        After::Refused => "REFUSED",
        After::Passes => "passes ",
        After::Untold => "?      ",
    };
    let asked = match method.as_str() {
        "fetch" | "push" => format!("git {method} {}", one_line(host)),
        _ => request_text(method, host, *port, path),
    };
    let count = if *count > 1 { format!(", {count} of them") } else { String::new() };
    let was = if matches!(change.after, After::Passes) { "was: " } else { "" };
    let rule = rule.as_ref().map(|rule| format!(" [{}]", one_line(rule.rsplit('/').next().unwrap_or(rule))));
    format!("{after} {asked} (line {line}{count}): {was}{}{}", one_line(why), rule.unwrap_or_default())
}
