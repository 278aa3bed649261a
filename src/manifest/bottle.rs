//! One bottle as written, what it takes over from those it extends, and the whole that results.
//!
//! Nearer wins: the bottle itself, then its parents from left to right, each with its own parents. Lists concatenate.

use super::block::{Block, bad_name, is_name, is_variable, refuse};
use super::json::{Member, Value, visible};
use super::route::{self, unavailable};
use super::{Bottle, EnvValue, GitUser, Image, Limits, OnHangup, keys, place};
use crate::exit::UserError;
use policy::PROXY_VARIABLES;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Bottles in one chain of `extends`.
const CHAIN: usize = 32;

const MIB: u64 = 1 << 20;
const MEMORY: u64 = 4 << 30;
const CPUS: f64 = 2.0;
const PIDS: u32 = 2048;

/// A bottle that may be incomplete; `u32` are lines.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    extends: Vec<(u32, String)>,
    /// Those that it was merged with, nearest first.
    over: Vec<String>,
    image: Option<Image>,
    env: BTreeMap<String, (u32, EnvValue)>,
    routes: Vec<route::Draft>,
    user: Option<GitUser>,
    remotes: Vec<u32>,
    supervise: Option<(u32, bool)>,
    limits: Bounds,
    on_hangup: Option<OnHangup>,
    cwd_agents: Option<(u32, bool)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bounds {
    /// Bytes.
    memory: Option<u64>,
    cpus: Option<f64>,
    pids: Option<u32>,
}

/// A whole bottle, and what only the choice of an agent needs.
#[derive(Debug)]
pub struct Whole {
    pub bottle: Bottle,
    pub user: Option<GitUser>,
    /// Line of `"cwd_agents": false`.
    pub home_only: Option<u32>,
    /// A key in use that does nothing yet.
    pub not_yet: Option<UserError>,
}

pub fn read(file: &Path, member: &Member) -> Result<Draft, UserError> {
    if !is_name(&member.key) {
        return Err(refuse(file, member.at.line, bad_name(&member.key)));
    }
    let block = Block::open(file, &member.node, &keys::BOTTLE)?;
    let mut draft = Draft::default();
    if let Some(member) = block.get("extends") {
        draft.extends = block.words(member)?.into_iter().map(|(line, name)| (line, name.to_string())).collect();
    }
    draft.image = block.object("image", &keys::IMAGE)?.map(|image| read_image(&image)).transpose()?;
    for member in block.map("env")? {
        draft.env.insert(member.key.clone(), (member.at.line, read_env(file, member)?));
    }
    if let Some(egress) = block.object("egress", &keys::EGRESS)? {
        let routes = egress.array("routes")?;
        draft.routes = routes.iter().map(|node| route::read(file, node)).collect::<Result<_, _>>()?;
    }
    if let Some(git) = block.object("git", &keys::GIT)? {
        draft.user = read_user(&git)?;
        draft.remotes = read_remotes(&git)?;
    }
    draft.supervise = block.flag("supervise")?;
    if let Some(limits) = block.object("limits", &keys::LIMITS)? {
        draft.limits = read_limits(&limits)?;
    }
    draft.on_hangup = block.choice("on_hangup", &[("stop", OnHangup::Stop), ("detach", OnHangup::Detach)])?;
    draft.cwd_agents = block.flag("cwd_agents")?;
    Ok(draft)
}

fn read_image(block: &Block) -> Result<Image, UserError> {
    match (block.get("name"), block.get("dockerfile")) {
        (Some(member), None) => {
            block.forbid(&["context"], "belongs to `dockerfile`")?;
            let name = block.text(member)?;
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
            if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.bytes().all(fine) {
                return Err(block.refuse(member, format_args!("`{}` is no name of an image", visible(name))));
            }
            Ok(Image::Name(name.to_string()))
        }
        (None, Some(member)) => {
            let path = place(block.file, block.text(member)?).map_err(|why| block.refuse(member, why))?;
            let context = match block.get("context") {
                Some(member) => Some(place(block.file, block.text(member)?).map_err(|why| block.refuse(member, why))?),
                None => None,
            };
            Ok(Image::Dockerfile { path, context })
        }
        (Some(_), Some(member)) => Err(block.refuse(member, "not beside `name`: one of the two is wanted")),
        (None, None) => {
            Err(refuse(block.file, block.line, "`image` without `name` or `dockerfile`: one of the two is wanted"))
        }
    }
}

/// The value is never quoted: a literal may be a secret of the user's.
fn read_env(file: &Path, member: &Member) -> Result<EnvValue, UserError> {
    let key = &member.key;
    let bad = |what: String| refuse(file, member.at.line, format_args!("variable `{}`: {what}", visible(key)));
    if !is_variable(key) {
        return Err(bad("not a name of an environment variable".into()));
    }
    if let Some(why) = reserved(key) {
        return Err(bad(why.into()));
    }
    let text = match &member.node.value {
        Value::String(text) => text,
        Value::Number(_) | Value::Bool(_) => {
            let kind = member.node.kind();
            return Err(bad(format!("wanted a string, found {kind}; the environment knows only strings"))
                .hint("put it in double quotes"));
        }
        _ => return Err(bad(format!("wanted a string, found {}", member.node.kind()))),
    };
    if text.contains('\0') {
        return Err(bad("no program takes a NUL character".into()));
    }
    if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).filter(|name| is_variable(name))
    {
        return Ok(EnvValue::Host(name.into()));
    }
    if text.contains("${") {
        return Err(bad("`${NAME}` copies a variable of this machine only as the whole value".into()));
    }
    match text.strip_prefix('?').map(str::trim) {
        Some("") => Err(bad("`?` wants the text of the question behind it".into())),
        Some(question) if question.chars().any(char::is_control) => Err(bad("a question is one line".into())),
        Some(question) => Ok(EnvValue::Ask(question.into())),
        None => Ok(EnvValue::Literal(text.clone())),
    }
}

/// Variables that the bottle itself depends on.
fn reserved(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if PROXY_VARIABLES.contains(&lower.as_str()) {
        return Some("a bottle has no proxy: names just work, and `routes` decide what they reach");
    }
    let stores = [
        "NODE_EXTRA_CA_CERTS",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "CARGO_HTTP_CAINFO",
        "AWS_CA_BUNDLE",
        "DENO_CERT",
    ];
    if stores.contains(&name) {
        return Some("points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`");
    }
    (name == "HOME").then_some("is always the bottle's own home")
}

pub fn read_user(git: &Block) -> Result<Option<GitUser>, UserError> {
    let Some(block) = git.object("user", &keys::USER)? else { return Ok(None) };
    let line = |key| {
        let member = block.need(key)?;
        let text = block.text(member)?;
        if text.contains(['<', '>']) || text.chars().any(char::is_control) {
            return Err(block.refuse(member, "no `<`, `>` and no control character"));
        }
        Ok(text.to_string())
    };
    Ok(Some(GitUser { name: line("name")?, email: line("email")? }))
}

/// The shape of remotes is checked; their lines are kept.
fn read_remotes(git: &Block) -> Result<Vec<u32>, UserError> {
    let mut lines = Vec::new();
    let mut names = HashMap::new();
    for node in git.array("remotes")? {
        let block = Block::open(git.file, node, &keys::REMOTE)?;
        let name = block.need("name")?;
        let text = block.text(name)?;
        if !is_name(text) {
            return Err(refuse(block.file, name.at.line, bad_name(text)));
        }
        if let Some(first) = names.insert(text, block.line) {
            return Err(block.refuse(name, format_args!("`{text}` is a remote already, in line {first}")));
        }
        read_remote(&block)?;
        lines.push(block.line);
    }
    Ok(lines)
}

fn read_remote(block: &Block) -> Result<(), UserError> {
    let upstream = block.need("upstream")?;
    let url = block.text(upstream)?;
    let clean = url.bytes().all(|b| b.is_ascii_graphic()) && !url.starts_with('-');
    let address = url
        .strip_prefix("ssh://")
        .is_some_and(|rest| rest.split_once('/').is_some_and(|(h, p)| !h.is_empty() && !p.is_empty()));
    let short =
        !url.contains("://") && url.split_once(':').is_some_and(|(host, path)| host.contains('@') && !path.is_empty());
    if !clean || !(address || short) {
        return Err(block.refuse(upstream, "wanted `ssh://[user@]host[:port]/path` or `user@host:path`"));
    }
    let key = block.need("identity_file")?;
    place(block.file, block.text(key)?).map_err(|why| block.refuse(key, why))?;
    if let Some(member) = block.get("known_host_key") {
        let mut words = block.text(member)?.split(' ');
        let kind = words.next().unwrap_or_default();
        let body = words.next().unwrap_or_default();
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
        if !known || body.is_empty() || !body.bytes().all(base64) {
            return Err(block.refuse(member, "wanted a public key, as in `ssh-ed25519 AAAA…`"));
        }
    }
    block.flag("allow_force")?;
    block.flag("allow_delete")?;
    if let Some(member) = block.get("refs") {
        for (line, name) in block.words(member)? {
            if !name.starts_with("refs/") || name.contains("..") || !name.bytes().all(|b| b.is_ascii_graphic()) {
                let what = format!("`refs` in a remote: `{}` is no ref, as in `refs/heads/*`", visible(name));
                return Err(refuse(block.file, line, what));
            }
        }
    }
    Ok(())
}

fn read_limits(block: &Block) -> Result<Bounds, UserError> {
    let memory = block.get("memory").map(|member| memory(block, member)).transpose()?;
    let cpus = match block.get("cpus") {
        Some(member) => Some(cpus(block, member)?),
        None => None,
    };
    let pids = match block.get("pids") {
        Some(member) => u32::try_from(block.count(member, 16, 4_194_304)?).ok(),
        None => None,
    };
    Ok(Bounds { memory, cpus, pids })
}

fn memory(block: &Block, member: &Member) -> Result<u64, UserError> {
    let bytes = match &member.node.value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            let lower = text.to_ascii_lowercase();
            let shift = match lower.bytes().last() {
                Some(b'k') => 10,
                Some(b'm') => 20,
                Some(b'g') => 30,
                Some(b't') => 40,
                _ => 0,
            };
            let digits = lower.strip_suffix(['b', 'k', 'm', 'g', 't']).unwrap_or(&lower);
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten()
        }
        _ => None,
    };
    match bytes {
        None => Err(block.refuse(member, "wanted bytes, or a size as in `512m` or `4g`")),
        Some(bytes) if bytes < 64 * MIB => Err(block.refuse(member, "less than 64m: no agent runs in that")),
        Some(bytes) if bytes > 1 << 50 => Err(block.refuse(member, "more than any machine has")),
        Some(bytes) => Ok(bytes),
    }
}

fn cpus(block: &Block, member: &Member) -> Result<f64, UserError> {
    match &member.node.value {
        Value::Number(number) => match number.as_f64() {
            Some(n) if (0.01..=1024.0).contains(&n) => Ok(n),
            _ => Err(block.refuse(member, format_args!("wanted a number of 0.01 to 1024, found {number}"))),
        },
        _ => Err(block.refuse(member, format_args!("wanted a number, found {}", member.node.kind()))),
    }
}

/// Bottles by name, as they were read.
pub type Drafts = BTreeMap<String, Result<Draft, UserError>>;

/// Every bottle, whole.
pub fn resolve(file: &Path, drafts: &Drafts) -> BTreeMap<String, Result<Whole, UserError>> {
    let mut chains = Chains { file, drafts, done: BTreeMap::new() };
    let whole = |name: &String, merged: Draft| settle(file, name, merged);
    drafts
        .keys()
        .map(|name| (name.clone(), chains.merged(name, &mut Vec::new()).and_then(|d| whole(name, d))))
        .collect()
}

struct Chains<'a> {
    file: &'a Path,
    drafts: &'a Drafts,
    /// Each is merged once, however many extend it.
    done: BTreeMap<String, Result<Draft, UserError>>,
}

impl<'a> Chains<'a> {
    /// `trail`: the bottles that led here.
    fn merged(&mut self, name: &'a str, trail: &mut Vec<&'a str>) -> Result<Draft, UserError> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let drafts = self.drafts;
        let Some(draft) = drafts.get(name) else {
            return Err(UserError::new(format!("no bottle `{}`", visible(name))));
        };
        let mut draft = draft.as_ref().map_err(Clone::clone)?.clone();
        trail.push(name);
        let merged = self.with_parents(&mut draft, trail).map(|()| draft);
        trail.pop();
        self.done.insert(name.into(), merged.clone());
        merged
    }

    fn with_parents(&mut self, draft: &mut Draft, trail: &mut Vec<&'a str>) -> Result<(), UserError> {
        for (line, parent) in std::mem::take(&mut draft.extends) {
            let chain = |end: &str| {
                let names: Vec<String> =
                    trail.iter().copied().chain([end]).map(|n| format!("`{}`", visible(n))).collect();
                names.join(" → ")
            };
            let Some((parent, _)) = self.drafts.get_key_value(&parent) else {
                let what = format!("`extends` names no bottle: {}", chain(&parent));
                let others = self.drafts.keys().map(String::as_str).filter(|name| !trail.contains(name));
                return Err(refuse(self.file, line, what).meant(&parent, others));
            };
            if trail.contains(&parent.as_str()) {
                return Err(refuse(self.file, line, format_args!("`extends` goes round: {}", chain(parent))));
            }
            if trail.len() == CHAIN {
                return Err(refuse(self.file, line, format_args!("more than {CHAIN} bottles extend one another")));
            }
            let theirs = self.merged(parent, trail)?;
            if !draft.over.contains(parent) {
                draft.over.push(parent.clone());
            }
            draft.over(theirs);
        }
        Ok(())
    }
}

impl Draft {
    /// What this one leaves open is taken from `parent`.
    fn over(&mut self, parent: Draft) {
        for name in parent.over {
            if !self.over.contains(&name) {
                self.over.push(name);
            }
        }
        self.image = self.image.take().or(parent.image);
        for (name, value) in parent.env {
            self.env.entry(name).or_insert(value);
        }
        for route in parent.routes {
            // Two parents may share a parent: its routes count once.
            if !self.routes.iter().any(|mine| mine.same_place(&route)) {
                self.routes.push(route);
            }
        }
        self.user = self.user.take().or(parent.user);
        self.remotes.extend(parent.remotes);
        self.supervise = self.supervise.or(parent.supervise);
        let (mine, theirs) = (self.limits, parent.limits);
        self.limits = Bounds {
            memory: mine.memory.or(theirs.memory),
            cpus: mine.cpus.or(theirs.cpus),
            pids: mine.pids.or(theirs.pids),
        };
        self.on_hangup = self.on_hangup.or(parent.on_hangup);
        self.cwd_agents = self.cwd_agents.or(parent.cwd_agents);
    }
}

fn settle(file: &Path, name: &str, draft: Draft) -> Result<Whole, UserError> {
    let not_yet = [
        draft.remotes.first().map(|line| unavailable(file, *line, "git.remotes")),
        draft.supervise.filter(|(_, on)| *on).map(|(line, _)| unavailable(file, line, "supervise")),
    ];
    let routes = route::settle(file, draft.routes)?;
    let taken = routes.iter().find_map(|route| route.placeholder.as_deref());
    if let Some((name, (line, _))) = taken.and_then(|name| draft.env.get_key_value(name)) {
        let what =
            format!("variable `{name}`: holds the placeholder of `role: \"claude\"`, the gate has the real value");
        return Err(refuse(file, *line, what).hint(format!("leave `{name}` out of `env`")));
    }
    let Bounds { memory, cpus, pids } = draft.limits;
    let bottle = Bottle {
        name: name.into(),
        extends: draft.over,
        image: draft.image.unwrap_or(Image::Default),
        env: draft.env.into_iter().map(|(name, (_, value))| (name, value)).collect(),
        routes,
        limits: Limits { memory: memory.unwrap_or(MEMORY), cpus: cpus.unwrap_or(CPUS), pids: pids.unwrap_or(PIDS) },
        on_hangup: draft.on_hangup.unwrap_or_default(),
    };
    Ok(Whole {
        bottle,
        user: draft.user,
        home_only: draft.cwd_agents.filter(|(_, open)| !open).map(|(line, _)| line),
        not_yet: not_yet.into_iter().flatten().next(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn env(text: &str) -> Result<EnvValue, String> {
        let Value::Object(members) = json::parse(&format!("{{ {text} }}")).unwrap().value else { panic!() };
        read_env(Path::new("m"), &members[0]).map_err(|refused| refused.what)
    }

    #[test]
    fn a_variable_is_a_literal_a_copy_or_a_question() {
        assert_eq!(env(r#""A": "UTC""#), Ok(EnvValue::Literal("UTC".into())));
        assert_eq!(env(r#""A": """#), Ok(EnvValue::Literal(String::new())));
        assert_eq!(env(r#""A": "$HOME {x}""#), Ok(EnvValue::Literal("$HOME {x}".into())));
        assert_eq!(env(r#""A": "${MY_REGION}""#), Ok(EnvValue::Host("MY_REGION".into())));
        assert_eq!(env(r#""A": "?PIN for the demo""#), Ok(EnvValue::Ask("PIN for the demo".into())));
    }

    #[test]
    fn a_bad_variable_says_why_and_never_shows_its_value() {
        let whole = "m:1: variable `A`: `${NAME}` copies a variable of this machine only as the whole value";
        for text in [
            r#""A": "x${B}""#,
            r#""A": "${B}x""#,
            r#""A": "${B}${C}""#,
            r#""A": "${}""#,
            r#""A": "?${B}""#,
            r#""A": "${B""#,
        ] {
            assert_eq!(env(text), Err(whole.into()), "{text}");
        }
        for (text, wanted) in [
            (r#""A": 5"#, "variable `A`: wanted a string, found a number; the environment knows only strings"),
            (r#""A": true"#, "variable `A`: wanted a string, found a boolean; the environment knows only strings"),
            (r#""A": null"#, "variable `A`: wanted a string, found null"),
            (r#""A": "? ""#, "variable `A`: `?` wants the text of the question behind it"),
            (r#""A-B": "x""#, "variable `A-B`: not a name of an environment variable"),
            (r#""HOME": "/x""#, "variable `HOME`: is always the bottle's own home"),
            (
                r#""Https_Proxy": "x""#,
                "variable `Https_Proxy`: a bottle has no proxy: names just work, and `routes` decide what they reach",
            ),
            (
                r#""SSL_CERT_FILE": "x""#,
                "variable `SSL_CERT_FILE`: points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`",
            ),
        ] {
            assert_eq!(env(text), Err(format!("m:1: {wanted}")), "{text}");
        }
    }
}
