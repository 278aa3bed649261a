//! The plan's remotes as text: where git of the bottle goes, with which key, and what it may push there.

use crate::plan::{Plan, Source};
use crate::text;
use policy::RefPattern;
use std::fmt::Write;
use wire::{GitRemote, GitUpstream};

/// Empty for a bottle without remotes.
pub fn remotes(plan: &Plan) -> String {
    let Some(git) = plan.git.as_ref().filter(|git| !git.remotes.is_empty()) else { return String::new() };
    let mut text =
        "REMOTES  what git can fetch and push, and where; pushes are searched for secrets first\n".to_owned();
    let width = git.remotes.iter().map(|remote| remote.name.len()).max().unwrap_or_default();
    for remote in &git.remotes {
        let [name, to, may] =
            [&remote.name, &address(&remote.upstream), &rights(plan, remote)].map(|part| text::one_line(part));
        let _ = writeln!(text, "{}", format!("  {name:<width$}  {to}  {may}").trim_end());
    }
    text
}

/// The upstream as a URL.
fn address(upstream: &GitUpstream) -> String {
    let authority = |host: &str, port: u16, default: u16| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        if port == default { host } else { format!("{host}:{port}") }
    };
    match upstream {
        GitUpstream::Ssh { user, host, port, path, .. } => {
            // A path that is relative to a home has no form as a URL.
            let slash = if path.starts_with('/') { "" } else { "/" };
            format!("ssh://{user}@{}{slash}{path}", authority(host, *port, 22))
        }
        GitUpstream::Https { host, port, path, .. } => format!("https://{}{path}", authority(host, *port, 443)),
        GitUpstream::Local { .. } => "kept by the gate for `work fetch`".to_owned(),
    }
}

fn rights(plan: &Plan, remote: &GitRemote) -> String {
    let patterns = |patterns: &[RefPattern]| patterns.iter().map(RefPattern::as_str).collect::<Vec<_>>().join(" ");
    let rules = &remote.rules;
    let mut words = vec![patterns(&rules.refs)];
    if !rules.protected.is_empty() {
        words.push(format!("[never changed: {}]", patterns(&rules.protected)));
    }
    if rules.allow_force {
        words.push("[HISTORY MAY BE REWRITTEN]".to_owned());
    }
    if rules.allow_delete {
        words.push("[REFS MAY BE DELETED]".to_owned());
    }
    if remote.private {
        words.push("[private address]".to_owned());
    }
    let source = |name: &String| plan.values.get(name);
    match &remote.upstream {
        GitUpstream::Ssh { key, .. } => {
            if let Some(Source::File(path)) = source(&key.key) {
                let asked = if key.passphrase.is_some() { ", its passphrase is asked" } else { "" };
                words.push(format!("[key {}{asked}]", text::path(path)));
            }
        }
        GitUpstream::Https { token: Some(_), user, .. } => words.push(format!("[token, as {user}]")),
        GitUpstream::Https { .. } | GitUpstream::Local { .. } => {}
    }
    words.join(" ")
}
