//! The difference between two plans of one session: the lines of their text that are not in both.

use super::text;
use crate::facts::Terminal;
use crate::plan::{LeftOutRoute, Plan};
use crate::spec::{Beginning, Mode};
use crate::text::one_line;
use std::fmt::Write;

/// The changed lines; empty where nothing has changed. How each session begins, and on which terminal, does not count.
pub fn changes(old: &Plan, new: &Plan) -> String {
    let (old, new) = (comparable(old), comparable(new));
    let changed = difference(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    if changed.is_empty() {
        return String::new();
    }
    let mut shown = "CHANGED  since it was kept\n".to_owned();
    for (sign, line) in changed {
        let _ = writeln!(shown, "  {sign} {line}");
    }
    shown
}

/// The session's own routes that its plan cannot have; empty where there is none.
pub fn left_out(routes: &[LeftOutRoute]) -> String {
    let lines = routes.iter().map(|LeftOutRoute { id, why }| format!("  {id}: {}\n", one_line(why)));
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => format!("LEFT OUT routes of this session that contradict its bottle\n{lines}"),
    }
}

/// The text of a plan without what belongs to one launch. Images count by their tags, whether they are built or not.
fn comparable(plan: &Plan) -> String {
    let mut plan = plan.clone();
    // The prompt is the last word, behind a `--`.
    if plan.spec.prompt.take().is_some() {
        plan.go.command.truncate(plan.go.command.len().saturating_sub(2));
    }
    plan.go.command.retain(|word| word != "--continue" && word != "--print");
    for name in ["COLORTERM", "TERM", "TZ"] {
        plan.go.env.remove(name);
    }
    plan.spec.beginning = Beginning::New;
    plan.spec.mode = Mode::Interactive;
    plan.terminal = Terminal::Pipes;
    plan.workspace = None;
    // A line that moved in its file is the same line.
    if let Some((file, _)) = plan.origin.at.rsplit_once(':') {
        plan.origin.at = file.to_owned();
    }
    let images = &mut plan.images;
    images.source = format!("{}\n{}\n{}", images.source, images.agent, images.gate);
    images.builds.clear();
    text(&plan, &[])
}

/// The removed (`-`) and added (`+`) lines, in order. The lines that stay are the longest common subsequence.
pub fn difference<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    // `common[i][j]`: the length of the longest common subsequence of `old[i..]` and `new[j..]`.
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = match old[i] == new[j] {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut changed) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            changed.push(('-', old[i]));
            i += 1;
        } else {
            changed.push(('+', new[j]));
            j += 1;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn what_went_and_what_came_in_order() {
        let changed = |old: &str, new: &str| {
            let lines = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
            let (old, new) = (old.to_owned().leak(), new.to_owned().leak());
            difference(&lines(old), &lines(new)).iter().map(|(sign, line)| format!("{sign}{line}")).collect::<Vec<_>>()
        };
        assert_eq!(changed("a b c", "a b c"), [""; 0]);
        assert_eq!(changed("a b c", "a x c d"), ["-b", "+x", "+d"]);
        // The first match decides: another order is a change.
        assert_eq!(changed("a b", "b a"), ["-a", "+a"]);
        assert_eq!(changed("", "a"), ["+a"]);
    }
}
