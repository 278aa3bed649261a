//! What `check` has found of a fetch or a push by git, as a value and as text.

use crate::text::one_line;
use serde::Serialize;
use std::fmt::Write;
use wire::GitOperation;

/// The answer about one operation. A push is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitAnswer {
    /// `allow` or `deny`.
    pub verdict: &'static str,
    pub operation: GitOperation,
    pub remote: String,
    /// Why there is no such remote.
    pub text: Option<String>,
    /// `file:line` of the remote.
    pub rule: Option<String>,
    /// Its URL inside.
    pub url: Option<String>,
    /// As the manifest has it; null for a local remote, too.
    pub upstream: Option<String>,
    /// Patterns of the refs that exist inside.
    pub shown: Vec<String>,
    pub refs: Vec<RefAnswer>,
}

/// The answer about one ref of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefAnswer {
    pub name: String,
    /// `forward` (or made), `force` or `delete`.
    pub change: &'static str,
    /// Why it is refused; null where it is not.
    pub text: Option<String>,
}

impl GitAnswer {
    /// An answer that denies, until it is decided.
    pub fn denied(operation: GitOperation, remote: &str) -> GitAnswer {
        GitAnswer {
            verdict: "deny",
            operation,
            remote: remote.to_owned(),
            text: None,
            rule: None,
            url: None,
            upstream: None,
            shown: Vec::new(),
            refs: Vec::new(),
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.verdict == "allow"
    }
}

/// The answer for a person.
pub fn git_answer(answer: &GitAnswer) -> String {
    let GitAnswer { remote, refs, .. } = answer;
    let verb = if answer.operation == GitOperation::Push { "push" } else { "fetch" };
    let named = refs.iter().map(|it| {
        let how = match it.change {
            "force" => "+",
            "delete" => ":",
            _ => "",
        };
        format!(" {how}{}", it.name)
    });
    let asked = format!("git {verb} {remote}{}", named.collect::<String>());
    let mut rows = vec![(if answer.is_allowed() { "allowed" } else { "denied" }, asked)];
    rows.extend(
        answer.text.iter().chain(refs.iter().filter_map(|it| it.text.as_ref())).map(|why| ("why", why.clone())),
    );
    rows.extend(answer.rule.iter().map(|rule| ("rule", rule.clone())));
    if answer.is_allowed() {
        let upstream = answer.upstream.as_deref().unwrap_or("kept by the gate for `work fetch`");
        rows.push(("upstream", upstream.to_owned()));
        if verb == "fetch" {
            rows.push(("refs", answer.shown.join(" ")));
        } else if refs.iter().any(|it| it.change != "delete") {
            let open = "what is in it: each commit is searched, and a branch only moves forward unless it is forced";
            rows.push(("open", open.to_owned()));
        }
    }
    let mut text = String::new();
    for (title, value) in rows {
        let _ = writeln!(text, "{title:<8} {}", one_line(&value));
    }
    text
}
