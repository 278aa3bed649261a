//! What is on disk: `~/.claude-bottle/`, with one folder for each session. Every write is atomic. Nothing here asks the
//! engine.

mod brought;
pub mod budget;
mod decisions;
mod draft;
mod open_asks;
mod overview;
mod prompt;
mod trail_file;
mod unpack;

pub use brought::{Brought, BroughtChanges, BroughtFile, ChangedFile, WorkLeft};
pub use decisions::{DecisionRecord, DecisionStage, Operator};
pub use draft::{DRAFT_PREFIX, Draft};
pub use open_asks::OpenAsks;
pub use overview::Overview;
pub use trail_file::TrailFile;
pub use unpack::{TooLarge, unpack};

use crate::exit::UserError;
use crate::facts::{Engine, EngineFacts};
use crate::plan::{self, Plan, Profile};
use crate::probe;
use crate::text;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use sys::lock::{self, Lock};
use sys::random;
use wire::Work;

/// The folder of `CLAUDE_BOTTLE_HOME`, by default `~/.claude-bottle`.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// What a session is, as it was recorded last: before the first engine call, and at every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "lowercase")]
pub enum Mark {
    Live,
    Detached,
    Kept(Kept),
    /// Everything is safe or gone; the folder is removed next.
    Clean,
}

/// Why and how a session at rest was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub why: String,
    /// What is in its home and nowhere else; `None` where it could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// The engine did not answer at the session's end: containers and volume are as they were, and the next verb that
    /// reaches the engine settles the session.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsettled: bool,
}

/// Why a session is to end that runs; its folder says so until it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndRequest {
    /// Packages were approved, and its image is to be built anew.
    Rebuild,
    /// The user has stopped it.
    Stop,
}

impl EndRequest {
    const ALL: [EndRequest; 2] = [EndRequest::Rebuild, EndRequest::Stop];

    /// The file that says it.
    fn file_name(self) -> &'static str {
        match self {
            EndRequest::Rebuild => "rebuild",
            EndRequest::Stop => "stop",
        }
    }

    /// Why the session is kept.
    pub fn reason(self) -> &'static str {
        match self {
            EndRequest::Rebuild => "packages were approved, and its image is to be built anew",
            EndRequest::Stop => "stopped by `claude-bottle stop`",
        }
    }
}

/// How the reason begins of a session that ended well, and is kept for its work alone.
pub const KEPT_FOR_WORK: &str = "changes not copied back yet";

impl Kept {
    pub fn new(why: impl Into<String>) -> Kept {
        Kept { why: why.into(), ..Kept::default() }
    }
}

/// What a session is: its mark, and whether a process owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Live,
    Detached,
    Kept(Kept),
    /// Marked live, and no process holds the lock.
    Lost,
}

impl Condition {
    /// Whether no process copies the engine's log to the trail on disk: the end of the trail is at the engine alone.
    pub fn is_written_by_engine_alone(&self) -> bool {
        match self {
            Condition::Live => false,
            Condition::Kept(kept) => kept.unsettled,
            Condition::Detached | Condition::Lost => true,
        }
    }
}

/// A kept session's mark, the mark's time, and its plan, to be put back if its agent does not start again.
#[derive(Debug)]
pub struct Saved {
    mark: Vec<u8>,
    since: SystemTime,
    plan: Vec<u8>,
}

/// The part of a session's plan that a list shows.
#[derive(Debug, Deserialize)]
pub struct Summary {
    pub spec: SummarySpec,
    pub bottle: String,
    pub engine: Engine,
}

#[derive(Debug, Deserialize)]
pub struct SummarySpec {
    pub agent: String,
    pub cwd: PathBuf,
}

/// The part that plans of all versions have.
#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
}

/// A session's folder. Every change of its mark updates the counts of the prompt's file.
#[derive(Debug, Clone)]
pub struct Folder {
    pub identity: String,
    home: Home,
    path: PathBuf,
}

impl Home {
    #[cfg(test)]
    pub fn at(root: &Path) -> Home {
        Home { root: root.to_owned() }
    }

    /// # Errors
    /// The user has no home directory.
    pub fn locate() -> Result<Home> {
        let root = match probe::variable("CLAUDE_BOTTLE_HOME") {
            Some(path) => PathBuf::from(path),
            None => dirs::home_dir()
                .ok_or_else(|| UserError::new("no home directory").hint("set `CLAUDE_BOTTLE_HOME`"))?
                .join(".claude-bottle"),
        };
        let root = std::path::absolute(&root).with_context(|| format!("`{}`", root.display()))?;
        Ok(Home { root })
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    /// This home's random id, if it has one yet. A home that was copied or moved has none: the other one may have sessions that
    /// this one does not know.
    pub fn id(&self) -> Option<String> {
        let (id, place) = probe::home_id(&self.root.join("id"))?;
        place.is_none_or(|place| place == probe::place(&self.root)).then_some(id)
    }

    /// This home's random id, made now where it has none.
    ///
    /// # Errors
    /// The disk's.
    pub fn make_id(&self) -> Result<String> {
        if let Some(id) = self.id() {
            return Ok(id);
        }
        make_folder(&self.root)?;
        let id = random::word(16)?;
        let path = self.root.join("id");
        let text = format!("{id}\n{}\n", probe::place(&self.root));
        if probe::home_id(&path).is_some() {
            write(&path, text.as_bytes())?;
            return Ok(id);
        }
        // Of two first starts at the same time, the one that writes first decides.
        let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
        file.write_all(text.as_bytes())?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(id),
            Err(_) => self.id().with_context(|| format!("`{}` is not an id", path.display())),
        }
    }

    pub fn folder(&self, identity: &str) -> Folder {
        let path = self.root.join("state").join(identity);
        Folder { identity: identity.to_owned(), home: self.clone(), path }
    }

    /// The folders of all sessions, sorted by identity.
    pub fn folders(&self) -> Vec<Folder> {
        let Ok(entries) = fs::read_dir(self.root.join("state")) else { return Vec::new() };
        let entries = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut folders: Vec<Folder> = names.map(|name| self.folder(&name)).collect();
        folders.sort_by(|a, b| a.identity.cmp(&b.identity));
        folders
    }

    /// The folder of the session of this identity.
    ///
    /// # Errors
    /// `UserError` where there is none, with the nearest one as a hint.
    pub fn known(&self, identity: &str) -> Result<Folder, UserError> {
        let folders = self.folders();
        if let Some(folder) = folders.iter().find(|folder| folder.identity == identity) {
            return Ok(folder.clone());
        }
        let refused = UserError::new(format!("no session `{}`", text::one_line(identity)))
            .hint("`claude-bottle list` shows the sessions");
        // An agent's name is taken for its session's.
        let of_agent = |folder: &&Folder| folder.identity.rsplit_once('-').is_some_and(|(agent, _)| agent == identity);
        let named = folders.iter().find(of_agent).map_or(identity, |folder| &folder.identity);
        Err(refused.meant(named, folders.iter().map(|folder| folder.identity.as_str())))
    }

    /// The session that was typed: its identity, a unique beginning of it, an agent's name if it has one session, or `-` for the
    /// newest of all. `None`: the newest of this directory.
    ///
    /// # Errors
    /// `UserError` where there is none, or where several are meant.
    pub fn find(&self, typed: Option<&str>) -> Result<Folder, UserError> {
        self.find_ranked(typed, |_| 0)
    }

    /// As [`Home::find`], but without a name the newest of those of this directory whose condition has the highest rank.
    ///
    /// # Errors
    /// Those of [`Home::find`].
    pub fn find_ranked(&self, typed: Option<&str>, rank: fn(&Condition) -> u8) -> Result<Folder, UserError> {
        let folders = self.folders();
        let newest = |folders: Vec<Folder>| folders.into_iter().max_by_key(Folder::since);
        let Some(typed) = typed else {
            let here = probe::current_dir().map_err(|error| UserError::new(format!("{error:#}")))?;
            let of_here = |folder: &Folder| folder.summary().is_some_and(|plan| plan.spec.cwd == here);
            let none =
                || UserError::new("no session of this directory").hint("`claude-bottle list` shows the sessions");
            let of_here = folders.into_iter().filter(of_here);
            return of_here.max_by_key(|folder| (rank(&folder.condition()), folder.since())).ok_or_else(none);
        };
        if folders.iter().any(|folder| folder.identity == typed) {
            return self.known(typed);
        }
        if typed == "-" {
            return newest(folders).ok_or_else(|| UserError::new("no session").hint("claude-bottle start"));
        }
        let of_agent = |folder: &Folder| folder.identity.rsplit_once('-').is_some_and(|(agent, _)| agent == typed);
        let begins = |folder: &Folder| folder.identity.starts_with(typed);
        let (of_agent, others): (Vec<_>, Vec<_>) = folders.into_iter().partition(of_agent);
        let meant = match of_agent.is_empty() && !typed.is_empty() {
            true => others.into_iter().filter(begins).collect(),
            false => of_agent,
        };
        match &meant[..] {
            [] => self.known(typed),
            [only] => Ok(only.clone()),
            several => {
                let names: Vec<String> = several.iter().map(|folder| format!("`{}`", folder.identity)).collect();
                let what = format!("`{}` means several sessions: {}", text::one_line(typed), names.join(", "));
                Err(UserError::new(what).hint("name one of them"))
            }
        }
    }

    /// Makes the folder of a new session.
    ///
    /// # Errors
    /// The folder exists, or the disk's error.
    pub fn claim(&self, identity: &str) -> Result<Folder> {
        make_folder(&self.root.join("state"))?;
        let folder = self.folder(identity);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder.path)
            .with_context(|| format!("cannot make `{}`", folder.path.display()))?;
        Ok(folder)
    }

    /// What was found when this engine was asked last.
    pub fn known_engine(&self, engine: &Engine) -> Option<EngineFacts> {
        self.engines().remove(&engine.key())
    }

    fn engines(&self) -> BTreeMap<String, EngineFacts> {
        let bytes = fs::read(self.root.join("engines.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// # Errors
    /// The disk's.
    pub fn remember_engine(&self, engine: &Engine, facts: &EngineFacts) -> Result<()> {
        let before = self.known_engine(engine);
        // The engine itself says nothing of IPv6: what was found stays.
        let ipv6 = facts.ipv6 && before.as_ref().is_none_or(|before| before.ipv6);
        self.write_engine(engine, &EngineFacts { ipv6, ..facts.clone() })
    }

    /// Remembers that the engine's kernel has no IPv6: plans ask for none from now on.
    ///
    /// # Errors
    /// The disk's.
    pub fn remember_no_ipv6(&self, engine: &Engine) -> Result<()> {
        let known = self.known_engine(engine).map(|known| EngineFacts { ipv6: false, ..known });
        known.map_or(Ok(()), |known| self.write_engine(engine, &known))
    }

    fn write_engine(&self, engine: &Engine, facts: &EngineFacts) -> Result<()> {
        let mut engines = self.engines();
        if engines.get(&engine.key()) == Some(facts) {
            return Ok(());
        }
        engines.insert(engine.key(), facts.clone());
        make_folder(&self.root)?;
        write(&self.root.join("engines.json"), &serde_json::to_vec_pretty(&engines)?)
    }
}

/// Writes the profiles of system calls into a folder.
pub fn write_profiles(folder: &Path) -> Result<()> {
    for profile in Profile::ALL {
        let path = folder.join(profile.file_name());
        let text = profile.text();
        // A reader is made often, and a file of a running session is not written anew.
        if !fs::read(&path).is_ok_and(|now| now == text.as_bytes()) {
            write(&path, text.as_bytes())?;
        }
    }
    Ok(())
}

impl Folder {
    /// The home that it is in.
    pub fn home(&self) -> &Home {
        &self.home
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn transcript(&self) -> PathBuf {
        self.path.join("transcript")
    }

    pub fn audit(&self) -> PathBuf {
        self.path.join("audit.jsonl")
    }

    /// Takes the session's lock; `None` where another process holds it.
    pub fn lock(&self) -> Result<Option<Lock>> {
        lock::try_lock(&self.path.join("lock")).with_context(|| format!("cannot lock `{}`", self.path.display()))
    }

    /// The lock file of a reader of this session's home: held by the process that waits for its answer.
    pub fn reader_lock(&self, container: &str) -> PathBuf {
        self.path.join(format!("{container}.lock"))
    }

    /// Does a process wait for the answer of this reader?
    pub fn is_read_by(&self, container: &str) -> bool {
        lock::is_locked(&self.reader_lock(container))
    }

    pub fn mark(&self) -> Option<Mark> {
        serde_json::from_slice(&fs::read(self.path.join("mark")).ok()?).ok()
    }

    pub fn set_mark(&self, mark: &Mark) -> Result<()> {
        write(&self.path.join("mark"), &serde_json::to_vec(mark)?)?;
        self.home.recount();
        Ok(())
    }

    /// Removes the folder of a session of which everything is safe or gone. It does not wait for the disk: a power loss may
    /// bring the folder back, marked live; then the session is lost, and `cleanup` finds nothing to settle.
    pub fn clear(&self) -> Result<()> {
        fs::write(self.path.join("mark"), serde_json::to_vec(&Mark::Clean)?)?;
        self.remove()
    }

    pub fn condition(&self) -> Condition {
        match self.mark() {
            Some(Mark::Detached) => Condition::Detached,
            Some(Mark::Kept(kept)) => Condition::Kept(kept),
            // Without a mark: the start died after it had made the folder, and before it wrote the mark.
            Some(Mark::Live | Mark::Clean) | None => match lock::is_locked(&self.path.join("lock")) {
                true => Condition::Live,
                false => Condition::Lost,
            },
        }
    }

    /// When its mark last changed.
    pub fn since(&self) -> Option<SystemTime> {
        fs::metadata(self.path.join("mark")).and_then(|meta| meta.modified()).ok()
    }

    /// # Errors
    /// `UserError` where the plan cannot be read, or is of a later version.
    pub fn plan(&self) -> Result<Plan> {
        let path = self.path.join("plan.json");
        let bytes = fs::read(&path).map_err(|e| UserError::unreadable(&path, &e))?;
        if let Ok(Version { version }) = serde_json::from_slice(&bytes)
            && version > plan::VERSION
        {
            let what = format!(
                "`{}` is a plan of version {version}, and this program knows {}",
                path.display(),
                plan::VERSION
            );
            return Err(UserError::new(what).hint("use the claude-bottle that wrote it, or a newer one").into());
        }
        let plan: Plan = serde_json::from_slice(&bytes)
            .map_err(|e| UserError::new(format!("`{}` is not a plan of this version: {e}", path.display())))?;
        Ok(Plan { profiles: self.path.clone(), home: self.home.path().to_owned(), ..plan })
    }

    /// The part of the plan that a list shows; the rest is not parsed.
    pub fn summary(&self) -> Option<Summary> {
        serde_json::from_slice(&fs::read(self.path.join("plan.json")).ok()?).ok()
    }

    /// Writes the profiles of system calls, which the engine's client reads.
    pub fn set_profiles(&self) -> Result<()> {
        write_profiles(&self.path)
    }

    pub fn set_plan(&self, plan: &Plan) -> Result<()> {
        write(&self.path.join("plan.json"), &serde_json::to_vec_pretty(plan)?)
    }

    pub fn save(&self) -> Result<Saved> {
        let read = |name: &str| fs::read(self.path.join(name)).with_context(|| format!("cannot read its `{name}`"));
        let since = self.since().unwrap_or_else(SystemTime::now);
        Ok(Saved { mark: read("mark")?, since, plan: read("plan.json")? })
    }

    pub fn put_back(&self, saved: &Saved) -> Result<()> {
        write(&self.path.join("plan.json"), &saved.plan)?;
        let mark = self.path.join("mark");
        write(&mark, &saved.mark)?;
        self.home.recount();
        fs::File::options().write(true).open(&mark)?.set_modified(saved.since).map_err(Into::into)
    }

    /// Is there a transcript that a new home could go on with?
    pub fn has_transcript(&self) -> bool {
        fs::read_dir(self.transcript()).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Did neither an agent nor a gate leave anything here? An empty trail is nothing: it is opened before its first line comes.
    pub fn is_bare(&self) -> bool {
        !self.has_transcript() && !fs::metadata(self.audit()).is_ok_and(|trail| trail.len() > 0)
    }

    /// Does the session have an image of its own, with packages that were approved while it ran?
    pub fn is_rebuilt(&self) -> bool {
        self.dockerfile_path().exists()
    }

    /// Where the Dockerfile of packages is that were approved for this session.
    pub fn dockerfile_path(&self) -> PathBuf {
        self.path.join("Dockerfile")
    }

    /// The text of this Dockerfile; `None`: no package was approved.
    ///
    /// # Errors
    /// `UserError` where it is there and cannot be read.
    pub fn dockerfile(&self) -> Result<Option<String>, UserError> {
        let path = self.dockerfile_path();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(UserError::unreadable(&path, &error)),
        }
    }

    /// Gives the session this Dockerfile, or takes it away.
    ///
    /// # Errors
    /// The disk's.
    pub fn set_dockerfile(&self, text: Option<&str>) -> Result<()> {
        let path = self.dockerfile_path();
        let Some(text) = text else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        };
        write(&path, text.as_bytes())
    }

    /// Says why the session is to end: its next end is one for that, and it is kept.
    ///
    /// # Errors
    /// The disk's.
    pub fn request_end(&self, why: EndRequest) -> Result<()> {
        write(&self.path.join(why.file_name()), b"")
    }

    /// Why the session is to end, or did end, where that was asked for.
    pub fn end_request(&self) -> Option<EndRequest> {
        EndRequest::ALL.into_iter().find(|why| self.path.join(why.file_name()).exists())
    }

    /// Takes back a request that could not be followed.
    pub fn withdraw_end(&self, why: EndRequest) {
        let _ = fs::remove_file(self.path.join(why.file_name()));
    }

    /// Forgets the requests, because the session was settled by them or goes on.
    pub fn forget_end_requests(&self) {
        for why in EndRequest::ALL {
            let _ = fs::remove_file(self.path.join(why.file_name()));
        }
    }

    /// Is there no more in it than a start writes before its plan?
    pub fn is_unused(&self) -> bool {
        let is_first = |name: &str| {
            matches!(name, "lock" | "mark") || [".tmp", DRAFT_PREFIX].iter().any(|start| name.starts_with(start))
        };
        let Ok(mut entries) = fs::read_dir(&self.path) else { return false };
        entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_first)))
    }

    /// Removes the folder and all in it.
    pub fn remove(&self) -> Result<()> {
        let removed = fs::remove_dir_all(&self.path);
        self.home.recount();
        removed.with_context(|| format!("cannot remove `{}`", self.path.display()))
    }
}

/// Writes a new file, whole or not at all; missing folders are made, for this user alone.
///
/// # Errors
/// `UserError` where the file exists.
pub fn write_new(path: &Path, text: &str, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folder(folder)?;
    let write = || -> Result<()> {
        // The umask applies to this mode.
        let mode = fs::Permissions::from_mode(mode);
        let mut file = tempfile::Builder::new().prefix(DRAFT_PREFIX).permissions(mode).tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_data()?;
        file.persist_noclobber(path).map(drop)?;
        Ok(())
    };
    match write() {
        Err(_) if path.symlink_metadata().is_ok() => Err(exists_error(path).into()),
        written => written.with_context(|| format!("cannot write `{}`", path.display())),
    }
}

/// The error for a file that the user has already.
pub fn exists_error(path: &Path) -> UserError {
    let refused = UserError::new(format!("`{}` is there, and nothing of it is changed", path.display()));
    refused.hint("`claude-bottle edit` opens it")
}

/// Makes a folder and the missing ones above it, for this user alone.
fn make_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make `{}`", path.display()))
}

/// Replaces a file atomically: the new one is whole and on disk, or the old one stays. Mode 0600.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = || -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_trail_without_a_line_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        let folder = Home { root: root.path().to_owned() }.claim("a-aaaaa").unwrap();
        assert!(folder.is_bare());
        fs::write(folder.audit(), "").unwrap();
        assert!(folder.is_bare());
        fs::write(folder.audit(), "{}\n").unwrap();
        assert!(!folder.is_bare());
    }
}
