//! The tools of an agent: three propose a change of its bottle and wait for the operator, two tell how things stand.
//!
//! All input is hostile: it is read strictly, has bounds, and a proposal holds no secret.

use crate::audit::redaction::redact;
use crate::egress::Egress;
use crate::egress::request::askable::change_for;
use crate::egress::request::reconsider::shows_secret;
use crate::git::service::GitService;
use crate::pages;
use crate::proposals::{MAX_PENDING, ProposalState, TooMany};
use policy::{Reason, Request, RequestUrl, UrlError, UrlScheme};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::{Change, Decision, MAX_SUPERVISE_REASON_BYTES, Packages, Proposal, Verdict, one_line};

/// Bytes of a URL, its query included.
const MAX_URL_BYTES: usize = 8 * 1024;
/// Calls that wait at once. Further ones are answered without waiting.
const MAX_WAITING: usize = 64;

pub struct AgentTools {
    egress: Arc<Egress>,
    /// `None`: the bottle has no remotes.
    git: Option<Arc<GitService>>,
    waiting: Semaphore,
}

/// A tool, as a client is told of it.
pub struct Described {
    pub name: &'static str,
    pub description: &'static str,
    /// A JSON Schema of its arguments.
    pub schema: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EgressBlock {
    url: String,
    method: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CapabilityBlock {
    packages: Packages,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GitBlock {
    remote: String,
    commits: Vec<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListEgressRoutes {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProposalStatus {
    id: Option<String>,
}

pub fn list() -> Vec<Described> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let texts =
        |description: &str| json!({ "type": "array", "items": { "type": "string" }, "description": description });
    let object = |properties: Value, required: &[&str]| {
        Map::from_iter([
            ("type".to_owned(), json!("object")),
            ("properties".to_owned(), properties),
            ("required".to_owned(), json!(required)),
            ("additionalProperties".to_owned(), json!(false)),
        ])
    };
    let reason = text("What it is needed for, in one or two sentences: the operator decides by it.");
    let packages = object(
        json!({
            "apt": texts("Debian packages"),
            "npm": texts("npm packages, installed globally"),
            "pip": texts("Python packages"),
            "cargo": texts("Rust programs"),
        }),
        &[],
    );
    vec![
        Described {
            name: "egress_block",
            description: "Ask the operator to allow a network request that this bottle refused. Waits for the answer; \
                          when it is approved, repeat the request.",
            schema: object(
                json!({
                    "url": text("The whole URL that was refused, as in https://api.example.org/v1/items"),
                    "method": text("Its HTTP method; GET if not given"),
                    "reason": reason,
                }),
                &["url", "reason"],
            ),
        },
        Described {
            name: "capability_block",
            description: "Ask the operator to install packages in this bottle. When it is approved, the bottle ends, and \
                          goes on with the packages once the operator resumes it.",
            schema: object(json!({ "packages": packages, "reason": reason }), &["packages", "reason"]),
        },
        Described {
            name: "git_block",
            description: "Ask the operator to let commits pass once whose push was refused for what looks like a secret in \
                          them, and is none. Waits for the answer; when it is approved, push again.",
            schema: object(
                json!({
                    "remote": text("The name of the remote"),
                    "commits": texts("The commits that the refusal named"),
                    "reason": reason,
                }),
                &["remote", "commits", "reason"],
            ),
        },
        Described {
            name: "list_egress_routes",
            description: "What the network of this bottle allows.",
            schema: object(json!({}), &[]),
        },
        Described {
            name: "proposal_status",
            description: "What became of what was asked for: of one proposal, or of all.",
            schema: object(json!({ "id": text("The id of a proposal") }), &[]),
        },
    ]
}

impl AgentTools {
    pub fn new(egress: Arc<Egress>, git: Option<Arc<GitService>>) -> AgentTools {
        AgentTools { egress, git, waiting: Semaphore::new(MAX_WAITING) }
    }

    /// Calls a tool. The error says what the agent is to do otherwise. `wait`: for the operator's answer.
    pub async fn call(&self, tool: &str, arguments: Value, wait: Duration) -> Result<String, String> {
        let (change, reason) = match tool {
            "egress_block" => self.egress_change(read(arguments)?)?,
            "capability_block" => packages_change(read(arguments)?)?,
            "git_block" => self.git_change(read(arguments)?)?,
            "list_egress_routes" => {
                let ListEgressRoutes {} = read(arguments)?;
                return Ok(pages::overview(&self.egress));
            }
            "proposal_status" => return self.status(read(arguments)?),
            _ => return Err(format!("there is no tool `{}`", shown(tool))),
        };
        self.propose(change.clone(), reason)?;
        self.wait(&change, wait).await
    }

    fn egress_change(&self, asked: EgressBlock) -> Result<(Change, String), String> {
        if asked.url.len() > MAX_URL_BYTES {
            return Err(format!("the URL is longer than {MAX_URL_BYTES} bytes"));
        }
        let url = RequestUrl::parse(&asked.url).map_err(|error| match error {
            UrlError::Unclear(what, hint) => format!("{}; {hint}", one_line(&what)),
            UrlError::Denied(denial) => one_line(&denial.text),
        })?;
        if url.userinfo {
            return Err(
                "the URL has a user or a password: leave them out, a credential is the operator's to give".into()
            );
        }
        if !asked.url.is_ascii() {
            return Err("write the URL's path and query in ASCII: percent-encode the rest".to_owned());
        }
        let method = asked.method.unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        let RequestUrl { scheme, host, port, path, query, .. } = &url;
        let request = Request {
            host,
            port: *port,
            method: &method,
            path,
            query: query.as_deref(),
            has_body: false,
            headers: &[],
        };
        let never = |why: &str| Err(format!("no route of this bottle can allow that: {}", one_line(why)));
        match self.egress.live.snapshot().policy.judge_typed_as(&request, *scheme) {
            Ok(_) => {
                return Err(
                    "this request is allowed already. If it was refused, it was for what it carries, or where it \
                            leads: see http://gate.bottle/why"
                        .to_owned(),
                );
            }
            Err(denial) if !denial.reason.has_remedy() => return never(&denial.text),
            Err(denial) if denial.reason == Reason::Git && !request.is_git_fetch() => {
                return never(&format!("{}; {}", denial.text, self.push_hint()));
            }
            Err(_) => {}
        }
        match change_for(&request, *scheme) {
            Ok(change) => Ok((change, asked.reason)),
            Err(why) => never(&why),
        }
    }

    fn push_hint(&self) -> String {
        let names: Vec<&str> = self.egress.remotes.iter().map(|remote| remote.name.as_str()).collect();
        match names.is_empty() {
            true => "a push goes to a git remote of the bottle, and it has none: tell the operator".to_owned(),
            false => format!("push to a git remote of the bottle: {}", names.join(", ")),
        }
    }

    fn git_change(&self, asked: GitBlock) -> Result<(Change, String), String> {
        let Some(git) = self.git.as_ref().filter(|_| self.egress.remotes.iter().any(|r| r.name == asked.remote)) else {
            return Err(format!("there is no git remote `{}`", shown(&asked.remote)));
        };
        let mut commits = git.tools.commits.resolve(Some(&asked.remote), &asked.commits)?;
        commits.sort_unstable();
        commits.dedup();
        Ok((Change::Git { remote: asked.remote, commits }, asked.reason))
    }

    /// Makes the proposal, or finds the one that there is.
    fn propose(&self, change: Change, reason: String) -> Result<(), String> {
        change.check()?;
        if reason.trim().is_empty() {
            return Err("give a `reason`: the operator decides by it".to_owned());
        }
        let snapshot = self.egress.live.snapshot();
        if shows_secret(&change, &snapshot) {
            return Err("it holds a secret of this bottle, which would be kept in its audit trail".to_owned());
        }
        let reason = one_line(&redact(snapshot.knowledge(), reason));
        if reason.len() > MAX_SUPERVISE_REASON_BYTES {
            return Err(format!("the reason is longer than {MAX_SUPERVISE_REASON_BYTES} bytes"));
        }
        self.egress.proposals.propose(Proposal { change, reason }).map_err(|TooMany| {
            format!("{MAX_PENDING} proposals wait for the operator already: ask again when some are decided")
        })
    }

    /// Waits until the operator has decided.
    async fn wait(&self, change: &Change, wait: Duration) -> Result<String, String> {
        let id = change.id();
        let pending = |why: &str| {
            format!("pending: proposal {id} {why}. Go on with something else, and ask `proposal_status` for {id} later")
        };
        let Ok(_permit) = self.waiting.try_acquire() else {
            return Ok(pending("is made, and the operator was told"));
        };
        let proposals = &self.egress.proposals;
        let decision = timeout(wait, async {
            loop {
                let decided = proposals.decided();
                match proposals.state_of(change) {
                    Some(ProposalState::Decided(decision)) => return Some(decision),
                    Some(ProposalState::Pending) => decided.await,
                    None => return None,
                }
            }
        });
        match decision.await {
            Ok(Some(decision)) => Ok(outcome(&decision)),
            Ok(None) => Err("it was decided, and is forgotten: try again what was refused".to_owned()),
            Err(_) => Ok(pending("waits for the operator")),
        }
    }

    fn status(&self, asked: ProposalStatus) -> Result<String, String> {
        let mut lines = Vec::new();
        for (change, state) in self.egress.proposals.list() {
            let id = change.id();
            if asked.id.as_ref().is_none_or(|asked| *asked == id) {
                let state = match state {
                    ProposalState::Pending => "pending".to_owned(),
                    ProposalState::Decided(decision) => outcome(&decision),
                };
                lines.push(format!("{id}  {}: {state}\n", change_text(&change)));
            }
        }
        match (lines.is_empty(), asked.id) {
            (true, Some(id)) => Err(format!("there is no proposal `{}`, or it was forgotten", shown(&id))),
            (true, None) => Ok("nothing was proposed so far".to_owned()),
            (false, _) => Ok(lines.concat()),
        }
    }
}

fn packages_change(asked: CapabilityBlock) -> Result<(Change, String), String> {
    let mut packages = asked.packages;
    for names in [&mut packages.apt, &mut packages.npm, &mut packages.pip, &mut packages.cargo] {
        names.sort_unstable();
        names.dedup();
    }
    Ok((Change::Packages(packages), asked.reason))
}

/// What the agent is told of a decision.
fn outcome(decision: &Decision) -> String {
    match (&decision.change, decision.verdict) {
        (_, Verdict::Rejected) => match &decision.reason {
            Some(reason) => format!("rejected by the operator: {}", one_line(reason)),
            None => "rejected by the operator".to_owned(),
        },
        (Change::Egress { .. }, Verdict::Approved) => "approved: it is allowed now; repeat the request".to_owned(),
        (Change::Egress { .. }, Verdict::Once) => {
            "approved for one request: repeat it within a minute of the decision".to_owned()
        }
        (Change::Git { .. }, _) => "approved: push again; these commits pass once".to_owned(),
        (Change::Packages(_), _) => {
            "approved: this bottle ends now; it goes on with the packages when its operator resumes it".to_owned()
        }
    }
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Egress { host, port, method, path } => {
            let scheme = UrlScheme::of_port(*port).name();
            let port = if [80, 443].contains(port) { String::new() } else { format!(":{port}") };
            format!("{method} {scheme}://{host}{port}{}", one_line(path))
        }
        Change::Packages(packages) => {
            let lists = packages.lists().into_iter().filter(|(_, names)| !names.is_empty());
            let lists: Vec<_> = lists.map(|(program, names)| format!("{program} {}", names.join(" "))).collect();
            format!("install {}", lists.join(", "))
        }
        Change::Git { remote, commits } => format!("push to {remote}: {}", commits.join(" ")),
    }
}

/// The error names no value: serde would quote it.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|_| "the arguments are not those of this tool's schema".to_owned())
}

/// A name that the agent gave, for a message.
fn shown(name: &str) -> String {
    one_line(name).chars().take(80).collect()
}
