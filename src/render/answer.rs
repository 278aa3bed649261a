//! What `check` has found, as a value and as text. It holds no token, and of a URL neither user nor query.

use super::size;
use crate::plan::Source;
use crate::text::{one_line, shell_command};
use policy::{Denial, Reads, RequestUrl};
use serde::Serialize;
use std::fmt::Write;
use wire::{Done, TrialDenial};

/// The answer about one request. What was not decided is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// `allow` or `deny`.
    verdict: &'static str,
    pub method: String,
    /// Without user, query and fragment.
    url: String,
    /// Normalised, where it is allowed and the gate reads it.
    pub path: String,
    /// The reason of a denial, as a word for programs.
    reason: Option<String>,
    /// What the agent would be told.
    text: Option<String>,
    /// `file:line` of the deciding route, or of the nearest one.
    pub rule: Option<String>,
    /// The gate answers in its own name.
    gate: bool,
    pub reads: Reads,
    pub git_fetch: bool,
    pub adds: Option<Injected>,
    /// The agent's own headers that the gate removes.
    pub takes_off: Vec<String>,
    pub dials: Option<Dial>,
    /// What may be asked of the same host.
    pub allowed_there: Vec<String>,
    /// The least route that lets the request pass, as a manifest has it; `None` where its host is on a route.
    #[serde(skip)]
    pub route: Option<String>,
    /// What the body carries; null where none was given, or the gate would not read it.
    pub carries: Option<Carried>,
}

/// The credential that the gate adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Injected {
    pub header: String,
    /// The word before the token, where there is one.
    pub scheme: Option<String>,
    pub token: TokenPlace,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenPlace {
    /// A variable of the host.
    Env(String),
    /// Program and arguments.
    Command(Vec<String>),
}

/// What the gate would find in a request, and which values it does not look for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Carried {
    /// Bytes of the body, as far as it would be read.
    pub read: u64,
    pub findings: Vec<BodyFinding>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BodyFinding {
    /// In the audit trail's words: what was found, in which part, in which encoding.
    pub finding: String,
    /// Where the value comes from; null where a pattern was found.
    pub value: Option<Source>,
    pub done: Done,
}

/// A value that the gate does not look for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub value: Source,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dial {
    pub host: String,
    pub port: u16,
    /// The gate itself speaks TLS there.
    pub tls: bool,
    /// The address may be a private one.
    pub private: bool,
    /// File of certificates that are trusted beside the host's.
    pub upstream_ca: Option<String>,
    /// The host's proxy resolves and dials.
    pub proxy: bool,
    /// The host has a proxy, and it is not asked: the route says so or is `private`, or the upstream is one of
    /// `CLAUDE_BOTTLE_NO_PROXY`.
    #[serde(skip)]
    pub is_past_proxy: bool,
}

impl Answer {
    /// An answer that denies, until it is decided.
    pub fn new(method: &str, url: &RequestUrl) -> Answer {
        let RequestUrl { scheme, host, port, path, .. } = url;
        let usual = matches!((scheme.name(), port), ("http" | "ws", 80) | ("https" | "wss", 443));
        let port = if usual { String::new() } else { format!(":{port}") };
        let url = format!("{}://{host}{port}{path}", scheme.name());
        Answer { verdict: "deny", method: method.to_owned(), url, path: path.clone(), ..Answer::default() }
    }

    /// The answer about a URL that no request can have.
    pub fn denied(method: &str, denial: &Denial) -> Answer {
        Answer { verdict: "deny", method: method.to_owned(), ..Answer::default() }.refuse(denial)
    }

    pub fn refuse(mut self, denial: &Denial) -> Answer {
        self.reason = Some(denial.reason.to_string());
        self.text = Some(denial.text.clone());
        self
    }

    pub fn allow(mut self) -> Answer {
        self.verdict = "allow";
        self.allowed_there.clear();
        self
    }

    /// Allowed: the gate itself answers.
    pub fn by_the_gate_itself(mut self) -> Answer {
        self.gate = true;
        self.allow()
    }

    /// Adds what an allowed request carries; `refusal` is why it is denied for that.
    pub fn carrying(self, carries: Carried, refusal: Option<TrialDenial>) -> Answer {
        let answer = Answer { carries: Some(carries), ..self };
        match refusal {
            None => answer,
            Some(TrialDenial { reason, text }) => Answer {
                verdict: "deny",
                reason: Some(reason),
                text: Some(text),
                adds: None,
                takes_off: Vec::new(),
                dials: None,
                ..answer
            },
        }
    }

    /// Would the gate read what the request carries?
    pub fn is_read(&self) -> bool {
        self.is_allowed() && !self.gate && self.reads == Reads::Http
    }

    pub fn is_allowed(&self) -> bool {
        self.verdict == "allow"
    }
}

/// The answer for a person.
pub fn answer(answer: &Answer) -> String {
    let asked = [answer.method.as_str(), answer.url.as_str()].join(" ");
    let mut rows: Vec<(&str, String)> = Vec::new();
    match (&answer.text, &answer.reason) {
        (Some(text), Some(reason)) => {
            rows.push(("denied", asked.trim().to_owned()));
            rows.push(("why", format!("{text} ({reason})")));
            let near = if answer.carries.is_some() { "rule" } else { "nearest" };
            rows.extend(answer.rule.clone().map(|rule| (near, rule)));
            rows.extend(answer.allowed_there.iter().map(|line| ("instead", line.clone())));
            rows.extend(answer.route.clone().map(|route| ("route", route)));
        }
        _ => {
            rows.push(("allowed", asked));
            rows.extend(allowed_rows(answer));
            rows.extend(answer.carries.as_ref().map(|carries| ("carries", carried_text(carries))));
        }
    }
    rows.extend(answer.carries.iter().flat_map(finding_rows));
    let mut text = String::new();
    let mut last = "";
    for (title, value) in rows {
        // A list has its title once.
        let shown = if title == last { "" } else { title };
        let _ = writeln!(text, "{shown:<8} {}", one_line(&value));
        last = title;
    }
    text
}

fn carried_text(carries: &Carried) -> String {
    let found = match carries.findings.iter().map(|finding| finding.done).collect::<Vec<_>>() {
        done if done.is_empty() => "and nothing that must not leave",
        done if done.contains(&Done::Masked) => "and leaves with what was found overwritten",
        _ => "and passes with what was found",
    };
    format!("{}, {found}", size(carries.read))
}

fn finding_rows(carries: &Carried) -> Vec<(&'static str, String)> {
    let findings = carries.findings.iter().map(|BodyFinding { finding, value, done }| {
        let done = match done {
            Done::Blocked => "blocked",
            Done::Masked => "masked",
            Done::Passed => "warned",
        };
        (done, value.as_ref().map_or_else(|| finding.clone(), |value| format!("{finding}: {}", source_text(value))))
    });
    let skipped =
        carries.skipped.iter().map(|Skipped { value, why }| ("skipped", format!("{}: {why}", source_text(value))));
    findings.chain(skipped).collect()
}

fn source_text(value: &Source) -> String {
    match value {
        Source::Env(name) | Source::EnvOrEmpty(name) => format!("the host's `{name}`"),
        Source::Command(argv) => {
            format!("what `{}` prints", shell_command(argv.iter().map(String::as_str)))
        }
        Source::Ask(question) => format!("the answer to `{question}`"),
        Source::File(path) => format!("`{}`", path.display()),
    }
}

fn allowed_rows(answer: &Answer) -> Vec<(&'static str, String)> {
    if answer.gate {
        return vec![("by", "the gate itself answers".to_owned())];
    }
    let mut rows: Vec<(&str, String)> = answer.rule.clone().map(|rule| ("rule", rule)).into_iter().collect();
    match answer.reads {
        Reads::Http if !answer.url.ends_with(&answer.path) => rows.push(("path", answer.path.clone())),
        Reads::Http => {}
        Reads::Names => rows.push(("reads", "names alone: TLS passes untouched, with any method and path".to_owned())),
        Reads::Nothing => rows.push(("reads", "nothing: raw bytes pass".to_owned())),
    }
    if answer.git_fetch {
        rows.push(("git", "counts as a fetch".to_owned()));
    }
    if let Some(Injected { header, scheme, token }) = &answer.adds {
        let scheme = scheme.as_ref().map_or(String::new(), |scheme| format!("{scheme} "));
        let token = match token {
            TokenPlace::Env(name) => format!("of the host's `{name}`"),
            TokenPlace::Command(argv) => {
                format!("that `{}` prints", shell_command(argv.iter().map(String::as_str)))
            }
        };
        rows.push(("adds", format!("`{header}: {scheme}…`, the token {token}")));
    }
    if !answer.takes_off.is_empty() {
        rows.push(("removes", format!("{}: headers that stay behind", answer.takes_off.join(", "))));
    }
    rows.extend(answer.dials.as_ref().map(|dial| ("dials", dial_text(dial, answer.reads))));
    rows
}

fn dial_text(dial: &Dial, reads: Reads) -> String {
    let host = if dial.host.contains(':') { format!("[{}]", dial.host) } else { dial.host.clone() };
    let mut words = vec![format!("{host}:{}", dial.port)];
    if reads == Reads::Http {
        words.push(if dial.tls { "TLS" } else { "plain HTTP" }.to_owned());
    }
    if let Some(path) = &dial.upstream_ca {
        words.push(format!("trusting {path}, too"));
    }
    words.push(match (dial.proxy, dial.private) {
        (true, _) => "by the host's proxy, which resolves the name".to_owned(),
        (_, true) => "also a private address".to_owned(),
        _ => "refused where that is a private address".to_owned(),
    });
    if dial.is_past_proxy {
        words.insert(1, "past the host's proxy".to_owned());
    }
    words.join(", ")
}
