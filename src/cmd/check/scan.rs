//! What a request with this body carries. The gate's own program scans it, with the values that are at hand: it alone knows
//! what must not leave, and in which forms. Values are written to its standard input and nowhere else.

use super::judge::CheckedRequest;
use crate::exit::UserError;
use crate::manifest::Bottle;
use crate::plan;
use crate::probe::{self, Processor};
use crate::render::{Answer, BodyFinding, Carried, Skipped};
use crate::secrets;
use anyhow::Result;
use std::env::consts::ARCH;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use wire::{Trial, TrialFinding, TrialResult};

const HINT: &str = "`make build` builds one for this machine; or name it in `CLAUDE_BOTTLE_GATE`";

/// The body that is scanned. An error names it by `name`.
pub struct Body {
    name: PathBuf,
    from: Box<dyn Read + Send>,
}

/// `-` is the standard input.
pub fn open(path: &Path) -> Result<Body, UserError> {
    let from: Box<dyn Read + Send> = match path == Path::new("-") {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path).map_err(|error| unreadable(path, &error))?),
    };
    Ok(Body { name: path.to_owned(), from })
}

fn unreadable(path: &Path, error: &io::Error) -> UserError {
    UserError::new(format!("cannot read `{}`: {error}", path.display()))
}

/// Adds to `answer`, which is what the policy says, what the gate finds in the request with this body.
///
/// # Errors
/// The gate's program cannot be run or does not know `scan`, or the body cannot be read.
pub fn scan_body(bottle: &Bottle, asked: CheckedRequest, body: Body, answer: Answer) -> Result<Answer> {
    let sources = plan::sources(bottle, &probe::upstream_proxy()?);
    let (values, missing) = secrets::available(&sources);
    let document = serde_json::to_string(&plan::trial_document(bottle, values))?;
    let head = format!("{document}\n{}\n", serde_json::to_string(&trial(asked))?);
    let tried = run_gate(head, body)?;
    let source = |name: &str| sources.get(name).cloned();
    let findings = tried.findings.into_iter().map(|TrialFinding { finding, value, done }| {
        let value = value.as_deref().and_then(source);
        BodyFinding { finding, value, done }
    });
    let why = missing.into_iter().map(|(name, why)| (name, why.to_owned())).chain(tried.unmatched);
    let skipped = why.filter_map(|(name, why)| Some(Skipped { value: source(&name)?, why }));
    let carries = Carried { read: tried.read, findings: findings.collect(), skipped: without_repeats(skipped) };
    Ok(answer.carrying(carries, tried.denied))
}

/// A variable of the host may stand for several values, and is named once.
fn without_repeats(all: impl Iterator<Item = Skipped>) -> Vec<Skipped> {
    let mut distinct = Vec::new();
    all.for_each(|skipped| {
        if !distinct.contains(&skipped) {
            distinct.push(skipped);
        }
    });
    distinct
}

/// The head as a program would send it. A WebSocket's URL has the headers that ask for one.
fn trial(asked: CheckedRequest) -> Trial {
    let CheckedRequest { method, url, mut headers } = asked;
    let fields: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    if url.scheme.is_websocket() && !policy::is_websocket_upgrade(&fields) {
        headers
            .extend([("connection", "upgrade"), ("upgrade", "websocket")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
    let query = url.query.map_or_else(String::new, |query| format!("?{query}"));
    Trial { host: url.host, port: url.port, method, target: url.path + &query, headers }
}

/// `head`: the lines of the document and of the request's head.
fn run_gate(head: String, body: Body) -> Result<TrialResult, UserError> {
    let gate = probe::gate_binary(ARCH)?.path;
    let cannot = |what: &str| UserError::new(format!("`{}` {what}", gate.display())).hint(HINT);
    if is_of_another_machine(&gate) {
        return Err(cannot("is for another machine"));
    }
    let Body { name, mut from } = body;
    let feed = move |into: &mut std::process::ChildStdin| {
        into.write_all(head.as_bytes())?;
        io::copy(&mut from, into).map(drop)
    };
    let ended =
        sys::child::run_fed(&gate, &["scan"], feed).map_err(|error| cannot(&format!("cannot be run: {error}")))?;
    if let Some(error) = ended.feed_error {
        return Err(unreadable(&name, &error));
    }
    serde_json::from_slice(&ended.output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&ended.output.stderr);
        match said.trim().strip_prefix("claude-bottle-gate: ") {
            Some(why) if !why.starts_with("usage") => UserError::new(why),
            // This is another program, or a gate of another version.
            _ => cannot("cannot search a body"),
        }
    })
}

/// Whether the program is for another processor: the C library would hand it to the shell.
fn is_of_another_machine(program: &Path) -> bool {
    let of = |path: &Path| Processor::of(path).ok().flatten();
    let own = std::env::current_exe().ok().and_then(|me| of(&me));
    of(program).is_some_and(|processor| Some(processor) != own)
}
