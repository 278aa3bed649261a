//! The world as it was found: the host's environment and files, and what is known of the engine. Input of a plan.
//!
//! Values of secret variables are not facts: only that a variable is there.

use crate::exit::UserError;
use crate::manifest::{self, Agent, Image};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

pub struct Facts {
    pub identity: String,
    /// The random id of this home, on every object's label.
    pub home_id: String,
    pub engine: Engine,
    /// `None`: never seen, decided at start.
    pub seen: Option<Seen>,
    /// Image tags that the engine lacks. `None`: not asked.
    pub missing: Option<BTreeSet<String>>,
    pub terminal: Terminal,
    pub images: ImageFacts,
    pub agent: AgentFacts,
    pub network: NetworkFacts,
    pub detach_keys: String,
    /// What is to be copied into the workspace, where it was asked for.
    pub workspace: Option<Workspace>,
}

/// A directory of the host as it was found: what goes in of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workspace {
    pub from: PathBuf,
    pub files: u64,
    /// Of the files' content.
    pub bytes: u64,
    /// Repositories whose `.git` goes in, made self-contained; paths relative to `from`.
    pub repositories: Vec<String>,
    /// The repository that `from` lies in, where that one stays out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<PathBuf>,
}

/// What `docker` is run, and against which engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    pub program: String,
    /// As it was seen to be; until then by its program's name.
    #[serde(default)]
    pub kind: Kind,
    /// `DOCKER_HOST`, `CONTAINER_HOST`
    pub host: Option<String>,
    /// `DOCKER_CONTEXT` or the client's current context, `CONTAINER_CONNECTION`
    pub context: Option<String>,
}

/// Whose command line the engine's program has. Where the two differ, the plan's steps do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Docker,
    Podman,
}

/// What an engine was seen to be, at the last start there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    #[serde(default)]
    pub kind: Kind,
    pub version: String,
    /// As `uname -m` says it: `x86_64`, `aarch64`.
    pub arch: String,
    /// A `runsc` runtime that lets host unix sockets in; else why the agent does not get one.
    pub gvisor: Result<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Terminal {
    Tty,
    Pipes,
}

pub struct ImageFacts {
    pub base: String,
    /// The gate's program for this engine; else why there is none.
    pub gate: Result<GateBinary, UserError>,
    /// Changes when the bottle's own Dockerfile, its context or its named image changes. Empty for the default image.
    pub source: String,
    /// PEM bundle that image builds trust.
    pub roots: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateBinary {
    pub path: PathBuf,
    /// Of its content.
    pub digest: u64,
}

pub struct AgentFacts {
    /// The prompt's text, read.
    pub prompt: Option<String>,
    pub skills: Vec<SkillFile>,
    pub claude_md: Option<PathBuf>,
    /// TERM, COLORTERM, TZ of the host's terminal.
    pub terminal: BTreeMap<String, String>,
}

pub struct SkillFile {
    /// `review/SKILL.md`
    pub path: String,
    pub from: PathBuf,
    pub mode: u32,
}

pub struct NetworkFacts {
    /// PEM bundle that the gate trusts for upstreams.
    pub roots: PathBuf,
    pub proxy: Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    Direct,
    /// `CLAUDE_BOTTLE_UPSTREAM_PROXY` is set.
    Upstream,
}

impl Engine {
    /// The engine that this environment names.
    ///
    /// # Errors
    /// `UserError` for an unknown `CLAUDE_BOTTLE_BACKEND`.
    pub fn of_environment() -> Result<Engine, UserError> {
        if let Some(backend) = variable("CLAUDE_BOTTLE_BACKEND").filter(|b| b != "docker") {
            return Err(UserError::new(format!("unknown backend `{backend}` in `CLAUDE_BOTTLE_BACKEND`"))
                .hint("the backend is `docker`; another program goes into `CLAUDE_BOTTLE_DOCKER`"));
        }
        let program = variable("CLAUDE_BOTTLE_DOCKER").unwrap_or_else(|| "docker".to_owned());
        let kind = Kind::named(&program);
        let (host, context) = match kind {
            Kind::Docker => (variable("DOCKER_HOST"), variable("DOCKER_CONTEXT")),
            Kind::Podman => (variable("CONTAINER_HOST"), variable("CONTAINER_CONNECTION")),
        };
        let context = match (&host, kind) {
            (Some(_), _) => None,
            (None, Kind::Docker) => context.or_else(current_context).filter(|c| c != "default"),
            (None, Kind::Podman) => context,
        };
        Ok(Engine { program, kind, host, context })
    }

    /// The variables that tell its program of host and context, with their values.
    pub fn variables(&self) -> [(&'static str, Option<&str>); 2] {
        let [host, context] = Kind::named(&self.program).variables();
        [(host, self.host.as_deref()), (context, self.context.as_deref())]
    }

    /// Is it the same one, whatever its kind was taken for?
    pub fn is(&self, other: &Engine) -> bool {
        self.key() == other.key()
    }

    /// For `engines.json`.
    pub fn key(&self) -> String {
        format!("{} {}", self.program, self.place())
    }

    /// Host or context, for people.
    pub fn place(&self) -> &str {
        self.host.as_deref().or(self.context.as_deref()).unwrap_or("default")
    }
}

impl Kind {
    /// What a program of this name is taken for until it was asked.
    pub fn named(program: &str) -> Kind {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        if name.contains("podman") { Kind::Podman } else { Kind::Docker }
    }

    fn variables(self) -> [&'static str; 2] {
        match self {
            Kind::Docker => ["DOCKER_HOST", "DOCKER_CONTEXT"],
            Kind::Podman => ["CONTAINER_HOST", "CONTAINER_CONNECTION"],
        }
    }
}

/// What `docker context use` chose.
fn current_context() -> Option<String> {
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(dirs::home_dir()?.join(".docker")))?;
    let config: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("config.json")).ok()?).ok()?;
    Some(config.get("currentContext")?.as_str()?.to_owned())
}

/// A variable of the environment that is set and not empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Is there a program of this name, or at this path?
pub fn on_path(name: &str) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: PathBuf| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    // A name with a slash is looked for nowhere else.
    let folders = std::env::var_os("PATH").filter(|_| !name.contains('/')).unwrap_or_else(|| "".into());
    std::env::split_paths(&folders).any(|folder| runs(folder.join(name)))
}

/// The keys that detach a terminal, as the engine's program reads them: characters, `ctrl-` and a character, `DEL`.
///
/// # Errors
/// `UserError` for what that program would refuse only once the bottle is up.
pub fn detach_keys() -> Result<String, UserError> {
    let keys = variable("CLAUDE_BOTTLE_DETACH_KEYS").unwrap_or_else(|| "ctrl-],d".to_owned());
    let known = |key: &str| {
        let control = |c: &str| c.len() == 1 && c.bytes().all(|b| matches!(b, b'@' | b'a'..=b'z' | b'['..=b'_'));
        key.len() == 1 || key == "DEL" || key.strip_prefix("ctrl-").is_some_and(control)
    };
    match keys.split(',').find(|key| !known(key)) {
        None => Ok(keys),
        Some(key) => Err(UserError::new(format!("no key `{key}` (`CLAUDE_BOTTLE_DETACH_KEYS`)"))
            .hint("characters and `ctrl-` with one of `a` to `z`, `@[\\]^_`, with commas between, as in `ctrl-],d`")),
    }
}

/// What the agent is given from the host's files.
///
/// # Errors
/// `UserError` for a prompt file, skill or CLAUDE.md that is missing or leaves its folder.
pub fn of_agent(agent: &Agent) -> Result<AgentFacts, UserError> {
    let claude = dirs::home_dir().unwrap_or_default().join(".claude");
    let prompt = agent.prompt.as_ref().map(|prompt| manifest::read_prompt(prompt, agent.place)).transpose()?;
    let mut skills = Vec::new();
    for name in &agent.skills {
        let folder = claude.join("skills").join(name);
        if !folder.is_dir() {
            return Err(UserError::new(format!("no skill `{name}`: `{}` is not a folder", folder.display())));
        }
        let root = folder.canonicalize().map_err(|e| unreadable(&folder, &e))?;
        collect(&Skill { name, root: &root }, &root, &mut skills)?;
    }
    let claude_md = match agent.claude_md {
        true => Some(claude.join("CLAUDE.md")),
        false => None,
    };
    if let Some(path) = claude_md.as_deref().filter(|path| !path.is_file()) {
        return Err(UserError::new(format!("`claude_md` is true, and there is no `{}`", path.display())));
    }
    let wanted = ["TERM", "COLORTERM", "TZ"];
    let mut terminal: BTreeMap<_, _> = wanted.iter().filter_map(|n| Some(((*n).to_owned(), variable(n)?))).collect();
    terminal.entry("TERM".to_owned()).or_insert_with(|| "xterm-256color".to_owned());
    if !terminal.contains_key("TZ") {
        terminal.extend(local_zone().map(|zone| ("TZ".to_owned(), zone)));
    }
    Ok(AgentFacts { prompt, skills, claude_md, terminal })
}

struct Skill<'a> {
    name: &'a str,
    root: &'a Path,
}

const SKILL_FILES: usize = 4096;
const SKILL_BYTES: u64 = 16 << 20;

/// Regular files below a skill; a symlink that leaves the skill is refused, for it would carry any file in.
fn collect(skill: &Skill, folder: &Path, files: &mut Vec<SkillFile>) -> Result<(), UserError> {
    use std::os::unix::fs::PermissionsExt;
    let mut entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).map_err(|e| unreadable(folder, &e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let target = path.canonicalize().map_err(|e| unreadable(&path, &e))?;
        let Ok(inside) = path.strip_prefix(skill.root) else { continue };
        if !target.starts_with(skill.root) {
            return Err(UserError::new(format!("skill `{}`: `{}` leaves the skill", skill.name, inside.display())));
        }
        let meta = fs::metadata(&target).map_err(|e| unreadable(&path, &e))?;
        if meta.is_dir() {
            if target != path {
                return Err(UserError::new(format!(
                    "skill `{}`: `{}` links to a folder",
                    skill.name,
                    inside.display()
                )));
            }
            collect(skill, &path, files)?;
        } else if meta.is_file() {
            let Some(inside) = inside.to_str() else {
                return Err(UserError::new(format!("skill `{}`: `{}` is not UTF-8", skill.name, inside.display())));
            };
            if files.len() >= SKILL_FILES || meta.len() > SKILL_BYTES {
                return Err(UserError::new(format!("skill `{}`: too many or too large files", skill.name)));
            }
            let mode = if meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
            files.push(SkillFile { path: format!("{}/{inside}", skill.name), from: target, mode });
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> UserError {
    UserError::new(format!("cannot read `{}`: {error}", path.display()))
}

/// `Europe/Berlin`, from the link at /etc/localtime.
fn local_zone() -> Option<String> {
    let link = fs::read_link("/etc/localtime").ok()?;
    Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned())
}

/// The PEM bundle of the host's choice for upstreams, and its own for image builds.
///
/// # Errors
/// `UserError` where there is none.
pub fn roots() -> Result<PathBuf, UserError> {
    if let Some(path) = variable("CLAUDE_BOTTLE_UPSTREAM_CA") {
        let path = PathBuf::from(path);
        return match path.is_file() {
            true => Ok(path),
            false => Err(UserError::new(format!("no file `{}` (`CLAUDE_BOTTLE_UPSTREAM_CA`)", path.display()))),
        };
    }
    const USUAL: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/opt/homebrew/etc/ca-certificates/cert.pem",
    ];
    USUAL.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        UserError::new("this host has no bundle of root certificates")
            .hint("install `ca-certificates`, or name a PEM file in `CLAUDE_BOTTLE_UPSTREAM_CA`")
    })
}

/// The gate's program for an engine of this architecture.
///
/// # Errors
/// `UserError` that says where it was looked for and what to type.
pub fn gate_binary(arch: &str) -> Result<GateBinary, UserError> {
    let (path, place) = match variable("CLAUDE_BOTTLE_GATE") {
        Some(path) => (PathBuf::from(path), " (`CLAUDE_BOTTLE_GATE`)"),
        None => {
            let me = std::env::current_exe().and_then(|me| me.canonicalize()).unwrap_or_default();
            let prefix = me.parent().and_then(Path::parent).unwrap_or(Path::new("/usr/local"));
            (prefix.join("libexec/claude-bottle").join(format!("claude-bottle-gate-{arch}")), "")
        }
    };
    let missing = |why: &std::io::Error| {
        UserError::new(format!("no gate program at `{}`{place}: {why}", path.display()))
            .hint("`make build` builds it; or name it in `CLAUDE_BOTTLE_GATE`")
    };
    let digest = fs::File::open(&path).and_then(digest_file).map_err(|e| missing(&e))?;
    Ok(GateBinary { digest, path })
}

/// What an ELF file is for: its word and byte order, and its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor([u8; 4]);

impl Processor {
    /// Of a program; `None` where it is no such file.
    ///
    /// # Errors
    /// Where it cannot be read, or is shorter than a header.
    pub fn of(program: &Path) -> std::io::Result<Option<Processor>> {
        let mut header = [0; 20];
        fs::File::open(program)?.read_exact(&mut header)?;
        let [a, b, c, d, word, order, .., machine, which] = header;
        Ok(([a, b, c, d] == *b"\x7fELF").then_some(Processor([word, order, machine, which])))
    }

    /// As `uname -m` says it.
    pub fn name(self) -> &'static str {
        match self.0[2..] {
            [62, 0] => "x86_64",
            [183, 0] => "aarch64",
            _ => "another processor",
        }
    }
}

/// Changes when the sources of the bottle's image change.
///
/// # Errors
/// `UserError` for a Dockerfile or context that is not there.
pub fn of_image(image: &Image) -> Result<String, UserError> {
    Ok(match image {
        Image::Default => String::new(),
        Image::Name(name) => name.clone(),
        Image::Dockerfile { path, context } => {
            let text = fs::read(path).map_err(|e| unreadable(path, &e))?;
            let mut all = format!("{:016x}", digest(&text));
            if let Some(folder) = context {
                list(folder, &mut all)?;
            }
            format!("{:016x}", digest(all.as_bytes()))
        }
    })
}

/// Names, sizes and times of all below a build context.
fn list(folder: &Path, all: &mut String) -> Result<(), UserError> {
    use std::os::unix::fs::MetadataExt;
    let mut entries: Vec<_> = fs::read_dir(folder).and_then(Iterator::collect).map_err(|e| unreadable(folder, &e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let meta = fs::symlink_metadata(&path).map_err(|e| unreadable(&path, &e))?;
        all.push_str(&format!("\n{} {} {}.{}", path.display(), meta.len(), meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            list(&path, all)?;
        }
    }
    Ok(())
}

/// The id in `path`, or nothing where there is none yet.
pub fn home_id(path: &Path) -> Option<String> {
    let mut id = String::new();
    fs::File::open(path).ok()?.take(64).read_to_string(&mut id).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Sixty-four bits that change with the content; not a defence against anyone.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(bytes.len() as u64);
    digest.add(bytes);
    digest.value()
}

/// The same of a file. By pieces: a dry run reads the gate's whole program, and memory for all of it costs more than
/// the reading.
fn digest_file(mut file: fs::File) -> std::io::Result<u64> {
    let mut digest = Digest::new(file.metadata()?.len());
    let mut piece = vec![0; 64 << 10];
    loop {
        // A whole piece, or the last one: only the last may end amid a word.
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        digest.add(&piece[..filled]);
        if filled < piece.len() {
            return Ok(digest.value());
        }
    }
}

/// Four lanes, because a multiplication waits for the one before it in its own lane only.
struct Digest([u64; 4]);

impl Digest {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new(length: u64) -> Digest {
        Digest([1, 2, 3, 4].map(|lane| (length ^ Self::PRIME).wrapping_mul(lane)))
    }

    fn add(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        let (rows, words) = words.as_chunks::<4>();
        for row in rows {
            for (lane, word) in self.0.iter_mut().zip(row) {
                *lane = mixed(*lane, u64::from_le_bytes(*word));
            }
        }
        for word in words.iter().map(|word| u64::from_le_bytes(*word)).chain(rest.iter().map(|byte| u64::from(*byte))) {
            self.0[0] = mixed(self.0[0], word);
        }
    }

    fn value(&self) -> u64 {
        let all = self.0.iter().fold(0, |all, lane| mixed(all, *lane));
        all ^ (all >> 29)
    }
}

fn mixed(lane: u64, word: u64) -> u64 {
    (lane.rotate_left(5) ^ word).wrapping_mul(Digest::PRIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for length in [0, 7, 64 << 10, (64 << 10) + 8, (200 << 10) + 3] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
            fs::write(folder.path().join("file"), &bytes).unwrap();
            let file = fs::File::open(folder.path().join("file")).unwrap();
            assert_eq!(digest_file(file).unwrap(), digest(&bytes), "{length} bytes");
        }
    }

    #[test]
    fn a_skill_is_its_own_files_and_no_other() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("review");
        fs::create_dir_all(root.join("more")).unwrap();
        fs::write(root.join("SKILL.md"), "Look twice.").unwrap();
        fs::write(root.join("more/table"), "1").unwrap();
        fs::write(folder.path().join("secret"), "s3cret").unwrap();
        let names = || -> Result<Vec<String>, String> {
            let mut files = Vec::new();
            collect(&Skill { name: "review", root: &root }, &root, &mut files).map_err(|refused| refused.what)?;
            Ok(files.into_iter().map(|file| file.path).collect())
        };
        symlink("SKILL.md", root.join("again")).unwrap();
        assert_eq!(names().unwrap(), ["review/SKILL.md", "review/again", "review/more/table"]);
        for (target, why) in
            [("../secret", "leaves the skill"), ("/etc", "leaves the skill"), ("more", "links to a folder")]
        {
            symlink(target, root.join("way-out")).unwrap();
            assert_eq!(names().unwrap_err(), format!("skill `review`: `way-out` {why}"));
            fs::remove_file(root.join("way-out")).unwrap();
        }
    }
}
