//! The remotes of one bottle, and the beginning of each connection to them.

use crate::egress::Egress;
use crate::egress::request::serve::AgentConnection;
use crate::git::children::Runner;
use crate::git::failure::Failure;
use crate::git::fetch::{self, Fetch};
use crate::git::https::HttpsUpstream;
use crate::git::key_agent;
use crate::git::limits::{AGENT_IDLE_TIMEOUT, COUNT_TIMEOUT, MAX_OPERATIONS};
use crate::git::link::Place;
use crate::git::packets::{Packet, push_packet, read_packet};
use crate::git::push::{self, Push};
use crate::git::record::GitRecord;
use crate::git::remote::Remote;
use crate::git::sign::Signer;
use crate::git::signing_key::SigningKey;
use crate::git::ssh::SshUpstream;
use crate::git::tools::{FlaggedCommits, Tools};
use crate::git::upstream::{LocalUpstream, UpstreamRepository};
use crate::sessions::Sessions;
use crate::socket;
use policy::plain_name;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wire::{
    GitCommand, GitOperation, GitRemote, GitUpstream, LOCAL_REPOSITORY, PrivateKey, Values, is_object_id,
    is_remote_name, parse_git_request, unknown_remote,
};

/// Only the gate's user may connect to the socket of a remote's key.
const AGENT_SOCKET_MODE: u32 = 0o600;

pub struct GitService {
    pub tools: Tools,
    /// By name.
    remotes: BTreeMap<String, Arc<Remote>>,
    /// `None`: nothing is signed.
    pub signer: Option<Signer>,
    operations: Semaphore,
}

/// Where the service keeps its files.
pub struct Folders<'a> {
    /// For sockets and pinned host keys; only the gate's user reads it.
    pub private: &'a Path,
    pub repositories: &'a Path,
}

impl GitService {
    /// Checks all remotes, and reads all keys. The error is for the operator, and says of what it is.
    pub fn new(
        declared: &wire::GitService,
        values: &Values,
        folders: &Folders<'_>,
        sessions: Arc<Sessions>,
    ) -> Result<GitService, String> {
        let mut all = BTreeMap::new();
        let mut names = BTreeSet::new();
        let is_local = |remote: &&GitRemote| matches!(remote.upstream, GitUpstream::Local { .. });
        if declared.remotes.iter().filter(is_local).count() > 1 {
            return Err("there is more than one local git remote".to_owned());
        }
        for remote in &declared.remotes {
            let failed = |why: String| format!("the git remote `{}` ({}): {why}", remote.name, remote.origin);
            if !is_remote_name(&remote.name) || !names.insert(remote.name.to_ascii_lowercase()) {
                return Err(failed("its name is not valid, or is that of another one".to_owned()));
            }
            let upstream = upstream(remote, values, folders).map_err(failed)?;
            let folder = folders.repositories.join(match &upstream {
                UpstreamRepository::Local(_) => LOCAL_REPOSITORY.to_owned(),
                _ => format!("{}.git", remote.name),
            });
            all.insert(remote.name.clone(), Arc::new(Remote::new(remote, upstream, folder)));
        }
        let signer = declared.signing_key.as_ref().map(|key| Signer::new(signing_key(key, values)?));
        let signer = signer.transpose().map_err(|why| format!("`git.signing_key`: {why}"))?;
        let tools = Tools { runner: Runner::new(sessions)?, commits: FlaggedCommits::default() };
        Ok(GitService { tools, remotes: all, signer, operations: Semaphore::new(MAX_OPERATIONS) })
    }

    /// Serves one connection of the agent.
    pub async fn serve(&self, connection: Arc<AgentConnection>, mut stream: UnixStream) {
        let egress = &connection.egress;
        let mut record = GitRecord::new(&egress.trail, egress.live.snapshot(), GitOperation::Fetch);
        let served = self.dispatch(egress, &mut stream, &mut record).await;
        if let Err(failure) = served {
            tell(&mut stream, &record.failed(failure).text).await;
        }
    }

    /// Refs that the gate keeps for the host, and that lead to something new; `None`: they could not be counted.
    pub async fn count_pushed(&self) -> Option<u64> {
        let Some((remote, local)) = self.remotes.values().find_map(|remote| match &remote.upstream {
            UpstreamRepository::Local(local) => Some((remote, local)),
            _ => None,
        }) else {
            return Some(0);
        };
        // A repository that was never used is not made for this.
        if !remote.folder.join("HEAD").exists() {
            return Some(0);
        }
        let state = timeout(COUNT_TIMEOUT, remote.lock(&self.tools.runner)).await.ok()?.ok()?;
        Some(state.refs.values().filter(|id| !local.base.contains(id)).count() as u64)
    }

    async fn dispatch(
        &self,
        egress: &Arc<Egress>,
        stream: &mut UnixStream,
        record: &mut GitRecord,
    ) -> Result<(), Failure> {
        let malformed = || Failure::denied("this is not a request of git's: use `git clone`, `fetch` or `push`");
        let packet = timeout(AGENT_IDLE_TIMEOUT, read_packet(stream)).await;
        let Ok(Ok(Some(Packet::Data(packet)))) = packet else { return Err(malformed()) };
        let request = parse_git_request(&packet).ok_or_else(malformed)?;
        record.set_remote(&request.remote);
        if request.command == GitCommand::ReceivePack {
            record.audit.operation = GitOperation::Push;
        }
        let Some(remote) = self.remotes.get(&request.remote) else { return Err(self.unknown(&request.remote)) };
        record.audit.rule = Some(remote.origin.clone());
        let _permit = self.operations.acquire().await;
        match request.command {
            GitCommand::UploadPack => {
                fetch::serve(&self.tools, Fetch { egress, remote, version: request.version }, stream, record).await
            }
            GitCommand::ReceivePack => {
                push::serve(&self.tools, Push { egress, remote, version: request.version }, stream, record).await
            }
            GitCommand::UploadArchive => Err(Failure::denied(
                "`git archive` of a remote is not served: clone it, and use `git archive` on the clone",
            )),
        }
    }

    fn unknown(&self, name: &str) -> Failure {
        Failure::denied(unknown_remote(name, self.remotes.keys().map(String::as_str)))
    }
}

/// Reads a request of git's, and answers that it is refused.
pub async fn refuse(stream: &mut UnixStream, why: &str) {
    let _ = timeout(AGENT_IDLE_TIMEOUT, read_packet(stream)).await;
    tell(stream, why).await;
}

/// git shows it, and ends.
async fn tell(stream: &mut UnixStream, why: &str) {
    let mut packet = Vec::new();
    push_packet(&mut packet, format!("ERR claude-bottle: {why}\n").as_bytes());
    let _ = timeout(AGENT_IDLE_TIMEOUT, stream.write_all(&packet)).await;
}

fn upstream(remote: &GitRemote, values: &Values, folders: &Folders<'_>) -> Result<UpstreamRepository, String> {
    let place = |host: &str, port: u16| {
        let is_host = plain_name(host).as_deref() == Some(host) || host.parse::<IpAddr>().is_ok();
        match is_host && port != 0 {
            true => Ok(Place { host: host.to_owned(), port, private: remote.private }),
            false => Err(format!("`{host}`, port {port}, is no server")),
        }
    };
    match &remote.upstream {
        GitUpstream::Ssh { user, host, port, path, key, known_hosts } => {
            if user.is_empty() || user.starts_with('-') || user.chars().any(|c| c.is_control() || c.is_whitespace()) {
                return Err("its user is not valid".to_owned());
            }
            if path.is_empty() || path.starts_with('-') || path.chars().any(char::is_control) {
                return Err("its path is not valid".to_owned());
            }
            if known_hosts.trim().is_empty() {
                return Err(format!("no key is pinned for `{host}`"));
            }
            let key = Arc::new(signing_key(key, values).map_err(|why| format!("its ssh key: {why}"))?);
            let agent = folders.private.join(format!("git-{}.agent", remote.name));
            let listener =
                socket::bind(&agent, AGENT_SOCKET_MODE).map_err(|error| format!("no socket for its key: {error}"))?;
            tokio::spawn(key_agent::serve(listener, key));
            let pinned = folders.private.join(format!("git-{}.hosts", remote.name));
            write_private(&pinned, known_hosts).map_err(|error| format!("cannot write its pinned keys: {error}"))?;
            let (user, path) = (user.clone(), path.clone());
            Ok(UpstreamRepository::Ssh(SshUpstream {
                place: place(host, *port)?,
                user,
                path,
                known_hosts: pinned,
                agent,
            }))
        }
        GitUpstream::Https { host, port, path, user, token } => {
            let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_path || path.contains(['?', '#', '\\']) || path.split('/').any(|part| matches!(part, "." | "..")) {
                return Err("its path is not one of a URL".to_owned());
            }
            if let Some(name) = token
                && values.get(name).is_none_or(|value| value.0.is_empty())
            {
                return Err(format!("its token `{name}` is empty"));
            }
            let (path, user, token) = (path.clone(), user.clone(), token.clone());
            Ok(UpstreamRepository::Https(Arc::new(HttpsUpstream { place: place(host, *port)?, path, user, token })))
        }
        GitUpstream::Local { base } => {
            if !base.iter().all(|id| is_object_id(id)) {
                return Err("what it is based on is no object".to_owned());
            }
            Ok(UpstreamRepository::Local(LocalUpstream { base: base.clone() }))
        }
    }
}

fn signing_key(key: &PrivateKey, values: &Values) -> Result<SigningKey, String> {
    let value = |name: &String| {
        values.get(name).map(|blob| blob.0.as_slice()).ok_or_else(|| format!("the document has no value `{name}`"))
    };
    let passphrase = key.passphrase.as_ref().map(value).transpose()?;
    SigningKey::read(value(&key.key)?, passphrase)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
