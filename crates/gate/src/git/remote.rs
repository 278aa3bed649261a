//! One remote: its repository in the gate, and how that is brought to what the upstream has.

use crate::egress::Egress;
use crate::git::children::{Job, Runner};
use crate::git::confined::{CHANNEL, Confinement};
use crate::git::failure::Failure;
use crate::git::limits::{
    ADVERTISEMENT_TIMEOUT, BIG_FILE_BYTES, COPY_BYTES, MAX_ADVERTISEMENT_BYTES, MAX_FETCH_BYTES, MAX_OUTPUT_BYTES,
    TRANSFER_TIMEOUT,
};
use crate::git::link::{Link, copy};
use crate::git::packets::{Packet, push_packet, read_packet, read_section};
use crate::git::upstream::UpstreamRepository;
use policy::{RefRules, is_ref_name};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, create_dir_all};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;
use wire::{GitCommand, GitRemote, GitUpdate, is_object_id};

/// The id of a folder without files, which git knows without having it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// What an upstream says that it can do, in words; further ones are of no interest.
const MAX_CAPABILITIES: usize = 1000;

pub struct Remote {
    pub name: String,
    /// `file:line` in the manifest.
    pub origin: String,
    pub rules: RefRules,
    pub upstream: UpstreamRepository,
    /// The bare repository.
    pub folder: PathBuf,
    /// Held while the repository's refs are read from the upstream or written by a push.
    pub state: Mutex<State>,
    /// Counts refreshes that have begun.
    refreshes: AtomicU64,
}

/// What the repository has.
#[derive(Default)]
pub struct State {
    /// Object ids by the names of refs: those that the agent may see.
    pub refs: BTreeMap<String, String>,
    /// Refs of the upstream that stand for another one, which a push to them moves.
    pub symbolic: BTreeMap<String, String>,
    /// The ref that `HEAD` stands for.
    head: Option<String>,
    is_ready: bool,
    /// The number of the last refresh, and how it ended.
    last: Option<(u64, Result<(), Failure>)>,
}

/// An upstream's list of refs.
struct Listing {
    refs: BTreeMap<String, String>,
    symbolic: BTreeMap<String, String>,
    head: Option<String>,
    /// What was read of the stream before git gets it.
    seen: Vec<u8>,
}

impl Remote {
    /// `folder`: where its repository is, or will be.
    pub fn new(declared: &GitRemote, upstream: UpstreamRepository, folder: PathBuf) -> Remote {
        let GitRemote { name, origin, rules, .. } = declared.clone();
        let (state, refreshes) = Default::default();
        Remote { name, origin, rules, upstream, folder, state, refreshes }
    }

    /// git on the repository, by no configuration but this.
    pub fn git(&self, confinement: Confinement) -> Job {
        let big_file = format!("core.bigFileThreshold={BIG_FILE_BYTES}");
        let no_attributes = format!("attr.tree={EMPTY_TREE}");
        let settings = [
            "protocol.allow=never",
            "protocol.fd.allow=always",
            "core.hooksPath=/dev/null",
            "core.attributesFile=/dev/null",
            &no_attributes,
            &big_file,
            "core.deltaBaseCacheLimit=32m",
            "core.packedGitLimit=256m",
            "core.packedGitWindowSize=16m",
            "core.logAllRefUpdates=false",
            "core.quotePath=false",
            "diff.noprefix=false",
            "diff.mnemonicPrefix=false",
            "fetch.recurseSubmodules=no",
            "fetch.writeCommitGraph=false",
            "gc.autoDetach=false",
            "maintenance.autoDetach=false",
            "pack.threads=2",
            "pack.windowMemory=64m",
            "uploadpack.allowFilter=true",
        ];
        let settings = settings.iter().flat_map(|setting| ["-c", *setting]);
        Job::new(confinement, "git", &self.folder).args(settings).env("GIT_DIR", ".")
    }

    /// The state of the repository, as it is.
    pub async fn lock(&self, runner: &Runner) -> Result<MutexGuard<'_, State>, Failure> {
        let mut state = self.state.lock().await;
        if !state.is_ready {
            prepare(&self.folder).map_err(|error| Failure::error(format!("cannot make the repository: {error}")))?;
            state.refs = self.read_refs(runner).await?;
            state.is_ready = true;
        }
        Ok(state)
    }

    /// The state of the repository after a refresh that has begun after this call: of several callers at the same time, one
    /// refreshes for all.
    pub async fn refreshed(&self, egress: &Arc<Egress>, runner: &Runner) -> Result<MutexGuard<'_, State>, Failure> {
        let asked = self.refreshes.load(Relaxed);
        let mut state = self.lock(runner).await?;
        if let Some((number, ended)) = &state.last
            && *number > asked
        {
            ended.clone()?;
            return Ok(state);
        }
        let number = self.refreshes.fetch_add(1, Relaxed) + 1;
        let refresh = timeout(TRANSFER_TIMEOUT, self.refresh(egress, runner, &mut state)).await;
        let ended = refresh.unwrap_or_else(|_| Err(Failure::error("it took too long")));
        let ended = ended.map_err(|failure| failure.during(&format!("`{}` cannot be refreshed", self.name)));
        state.last = Some((number, ended.clone()));
        ended?;
        Ok(state)
    }

    async fn refresh(&self, egress: &Arc<Egress>, runner: &Runner, state: &mut State) -> Result<(), Failure> {
        let Some(mut link) = self.open(egress, runner, GitCommand::UploadPack).await? else {
            state.refs = self.read_refs(runner).await?;
            return Ok(());
        };
        let listing = match timeout(ADVERTISEMENT_TIMEOUT, self.list(&mut link)).await {
            Ok(Ok(listing)) => listing,
            Ok(Err(error)) => return Err(link.failure(&format!("the upstream cannot be read: {error}")).await),
            Err(_) => return Err(Failure::error("the upstream did not answer in time")),
        };
        if listing.refs != state.refs {
            self.fetch(link, listing.seen, runner).await?;
            state.refs = self.read_refs(runner).await?;
        }
        state.symbolic = listing.symbolic;
        let head = listing.head.filter(|head| is_visible(head, &self.rules));
        if head != state.head {
            // Without one, none that may come to be.
            let text = format!("ref: {}\n", head.as_deref().unwrap_or("refs/heads/HEAD"));
            write_whole(&self.folder.join("HEAD"), text.as_bytes())
                .map_err(|error| Failure::error(format!("cannot write the repository: {error}")))?;
            state.head = head;
        }
        Ok(())
    }

    /// A stream to the upstream; `None`: the repository is its own.
    pub async fn open(
        &self,
        egress: &Arc<Egress>,
        runner: &Runner,
        command: GitCommand,
    ) -> Result<Option<Link>, Failure> {
        let version = if command == GitCommand::UploadPack { 2 } else { 0 };
        match &self.upstream {
            UpstreamRepository::Ssh(ssh) => ssh.open(egress, runner, command, version).await.map(Some),
            UpstreamRepository::Https(https) => https.open(egress, command).map(Some),
            UpstreamRepository::Local(_) => Ok(None),
        }
    }

    /// Reads which refs the upstream has, in whatever version of the protocol it speaks.
    async fn list(&self, link: &mut Link) -> std::io::Result<Listing> {
        let stream = &mut link.stream;
        let mut listing = Listing { refs: BTreeMap::new(), symbolic: BTreeMap::new(), head: None, seen: Vec::new() };
        let mut stream = BufReader::with_capacity(COPY_BYTES, stream);
        let lines = read_section(&mut stream, MAX_ADVERTISEMENT_BYTES).await?;
        for line in &lines {
            push_packet(&mut listing.seen, line);
        }
        listing.seen.extend_from_slice(b"0000");
        let words: Vec<&[u8]> = lines.iter().map(|line| line.trim_ascii_end()).collect();
        if let Some(format) = words.iter().find_map(|line| line.strip_prefix(b"object-format="))
            && format != b"sha1"
        {
            return Err(std::io::Error::other("its objects are not named by SHA-1, which is not supported"));
        }
        if words.first() != Some(&&b"version 2"[..]) {
            listing.read_old(&lines, &self.rules);
            return Ok(listing);
        }
        let mut request = Vec::new();
        push_packet(&mut request, b"command=ls-refs\n");
        push_packet(&mut request, b"agent=git/claude-bottle\n");
        if words.contains(&&b"object-format=sha1"[..]) {
            push_packet(&mut request, b"object-format=sha1\n");
        }
        request.extend_from_slice(b"0001");
        push_packet(&mut request, b"symrefs\n");
        if words.iter().any(|line| line.starts_with(b"ls-refs=") && line.ends_with(b"unborn")) {
            push_packet(&mut request, b"unborn\n");
        }
        let heads = self.rules.refs.iter().filter_map(|pattern| pattern.as_str().split('*').next());
        for prefix in std::iter::once("HEAD").chain(heads) {
            push_packet(&mut request, format!("ref-prefix {prefix}\n").as_bytes());
        }
        request.extend_from_slice(b"0000");
        stream.get_mut().write_all(&request).await?;
        for line in read_section(&mut stream, MAX_ADVERTISEMENT_BYTES).await? {
            listing.read_line(&line, &self.rules);
        }
        Ok(listing)
    }

    /// Lets git fetch over a stream of which `seen` was read already.
    async fn fetch(&self, link: Link, seen: Vec<u8>, runner: &Runner) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::error(format!("cannot fetch: {error}"));
        let (ours, theirs) = tokio::net::UnixStream::pair().map_err(failed)?;
        let theirs = theirs.into_std().map_err(failed)?;
        theirs.set_nonblocking(false).map_err(failed)?;
        let patterns = self.rules.refs.iter().map(|pattern| format!("+{0}:{0}", pattern.as_str()));
        let options = ["fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--force"];
        let job = self.git(Confinement::Channel).args(options).args([format!("fd::{CHANNEL}")]).args(patterns);
        let child = runner.spawn(job.stdin(OwnedFd::from(theirs)))?;
        let mut link = link;
        let (mut from_git, mut to_git) = ours.into_split();
        let (mut from_upstream, mut to_upstream) = link.stream.split();
        let (mut sent, mut received) = (0, 0);
        let carried = {
            let carry = async {
                to_git.write_all(&seen).await?;
                let up = copy(&mut from_git, &mut to_upstream, &mut sent, MAX_FETCH_BYTES);
                let down = copy(&mut from_upstream, &mut to_git, &mut received, MAX_FETCH_BYTES);
                tokio::try_join!(up, down).map(drop)
            };
            tokio::pin!(carry);
            let ended = child.wait();
            tokio::pin!(ended);
            tokio::select! {
                ended = &mut ended => ended,
                carried = &mut carry => match carried {
                    Ok(()) => ended.await,
                    Err(error) => Err(failed(error)),
                },
            }
        };
        match carried {
            Ok(ended) if ended.is_good() => Ok(()),
            Ok(ended) => Err(link.failure(&ended.reason()).await),
            Err(failure) => Err(failure),
        }
    }

    async fn read_refs(&self, runner: &Runner) -> Result<BTreeMap<String, String>, Failure> {
        let job = self.git(Confinement::Plain).args(["for-each-ref", "--format=%(objectname) %(refname)"]);
        let text = runner.output(job, Vec::new(), MAX_OUTPUT_BYTES).await?;
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let pairs = lines.filter_map(|line| line.split_once(' '));
        let refs = pairs.filter(|(id, name)| is_object_id(id) && is_visible(name, &self.rules));
        Ok(refs.map(|(id, name)| (name.to_owned(), id.to_owned())).collect())
    }
}

fn is_visible(name: &str, rules: &RefRules) -> bool {
    is_ref_name(name) && rules.shows(name)
}

impl Listing {
    /// A line of version 2: `ID NAME`, and attributes.
    fn read_line(&mut self, line: &[u8], rules: &RefRules) {
        let Ok(line) = std::str::from_utf8(line.trim_ascii_end()) else { return };
        let mut words = line.split(' ');
        let (Some(id), Some(name)) = (words.next(), words.next()) else { return };
        let target = words.find_map(|word| word.strip_prefix("symref-target:")).map(str::to_owned);
        if name == "HEAD" {
            self.head = target;
        } else if is_object_id(id) && is_visible(name, rules) {
            self.symbolic.extend(target.map(|target| (name.to_owned(), target)));
            self.refs.insert(name.to_owned(), id.to_owned());
        }
    }

    /// The lines of version 0 and 1: `ID NAME`, the first with NUL and capabilities.
    fn read_old(&mut self, lines: &[Vec<u8>], rules: &RefRules) {
        for line in lines {
            let mut parts = line.trim_ascii_end().split(|byte| *byte == 0);
            let Some(Ok(text)) = parts.next().map(std::str::from_utf8) else { continue };
            if let Some(Ok(capabilities)) = parts.next().map(std::str::from_utf8) {
                let head = capabilities.split(' ').find_map(|word| word.strip_prefix("symref=HEAD:"));
                self.head = head.map(str::to_owned);
            }
            if let Some((id, name)) = text.split_once(' ')
                && is_object_id(id)
                && is_visible(name, rules)
            {
                self.refs.insert(name.to_owned(), id.to_owned());
            }
        }
    }
}

/// Makes an empty repository where there is none.
fn prepare(folder: &Path) -> std::io::Result<()> {
    if folder.join("HEAD").exists() {
        return remove_incoming(folder);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for part in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        create_dir_all(folder.join(part))?;
    }
    let config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
    write_whole(&folder.join("config"), config.as_bytes())?;
    write_whole(&folder.join("HEAD"), b"ref: refs/heads/main\n")
}

/// The beginning of the name of a folder for objects that were not judged yet.
pub const INCOMING: &str = "incoming-";

/// Removes what a former gate left of pushes that it did not end.
fn remove_incoming(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(INCOMING) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Replaces a file as a whole.
fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text)?;
    std::fs::rename(fresh, path)
}

/// Reads an upstream's refs and what it can do, as it begins to take a push. Only `wanted` refs are kept.
pub async fn read_refs_of_push(
    link: &mut Link,
    wanted: &[GitUpdate],
) -> std::io::Result<(BTreeMap<String, String>, Vec<String>)> {
    let mut refs = BTreeMap::new();
    let mut capabilities = None;
    let mut bytes = 0;
    loop {
        let data = match read_packet(&mut link.stream).await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) => return Ok((refs, capabilities.unwrap_or_default())),
            Some(_) => continue,
            None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
        };
        bytes += data.len();
        if bytes > MAX_ADVERTISEMENT_BYTES {
            return Err(std::io::Error::other("its list of refs is too long"));
        }
        let text = String::from_utf8_lossy(&data);
        let (line, words) = text.trim_end().split_once('\0').unwrap_or((text.trim_end(), ""));
        // They stand behind the first ref.
        capabilities.get_or_insert_with(|| {
            words
                .split(' ')
                .filter(|word| !word.is_empty())
                .take(MAX_CAPABILITIES)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        });
        if let Some((id, name)) = line.split_once(' ')
            && is_object_id(id)
            && wanted.iter().any(|update| update.name == name)
        {
            refs.insert(name.to_owned(), id.to_owned());
        }
    }
}
