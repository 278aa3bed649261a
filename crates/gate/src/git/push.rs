//! A push: its commands are judged, its objects are kept aside, checked and scanned, and then it is forwarded as a whole.
//! Only what the upstream took gets into the gate's repository.

use crate::egress::Egress;
use crate::git::confined::Confinement;
use crate::git::failure::Failure;
use crate::git::forward::forward;
use crate::git::gitleaks::Gitleaks;
use crate::git::limits::{
    AGENT_IDLE_TIMEOUT, COPY_BYTES, MAX_FINDINGS, MAX_MESSAGE_BYTES, MAX_OUTPUT_BYTES, MAX_PACK_BYTES,
    MAX_PUSH_OBJECTS, MAX_PUSH_REFS, MAX_SHALLOW_BOUNDARIES, PACK_START_TIMEOUT, SCAN_TIMEOUT,
};
use crate::git::link::unless_hung_up;
use crate::git::packets::{Band, Packet, push_packet, read_packet, write_band};
use crate::git::pending::{Incoming, Pending};
use crate::git::record::GitRecord;
use crate::git::remote::{Remote, State};
use crate::git::scan::{Finding, scan};
use crate::git::tools::Tools;
use crate::git::upstream::UpstreamRepository;
use policy::RefChange;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wire::{GitUpdate, MAX_COMMITS, MCP_URL, NO_OBJECT, parse_push_command};

/// What the gate can do of a push. No push options, and no signed pushes: what they mean is the upstream's.
const CAPABILITIES: &str = concat!(
    "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=claude-bottle/",
    env!("CARGO_PKG_VERSION")
);

/// How git's messages say so: the system's words for ENOSPC.
const DISK_IS_FULL: &str = "No space left on device";

/// What a push is to, and who asks.
pub struct Push<'a> {
    pub egress: &'a Arc<Egress>,
    pub remote: &'a Remote,
    /// The version of git's protocol.
    pub version: u8,
}

/// What a client asked for.
struct Commands {
    updates: Vec<GitUpdate>,
    reply: Reply,
}

/// How the client is answered.
#[derive(Clone, Copy)]
struct Reply {
    wants_report: bool,
    has_bands: bool,
}

/// Serves a push until it ends. An error is one of before the gate has said what refs there are.
pub async fn serve(
    tools: &Tools,
    push: Push<'_>,
    stream: &mut UnixStream,
    record: &mut GitRecord,
) -> Result<(), Failure> {
    let Push { egress, remote, version } = push;
    // It reads its rules while the upstream is asked and the objects come.
    let gitleaks = Gitleaks::start(&tools.runner).await?;
    let refs = unless_hung_up(stream, remote.refreshed(egress, &tools.runner)).await?.refs.clone();
    let broke = |error: io::Error| Failure::error(format!("the agent broke off: {error}"));
    let list = advertisement(&refs, version);
    record.audit.received += list.len() as u64;
    stream.write_all(&list).await.map_err(broke)?;
    let commands = match read_commands(stream, record).await {
        Ok(Some(commands)) => commands,
        Ok(None) => {
            record.allowed();
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    record.set_updates(&commands.updates);
    let done = match Incoming::new(remote) {
        Ok(incoming) => {
            let mut pending = Pending { tools, egress, remote, updates: &commands.updates, incoming, base: Vec::new() };
            pending.execute(stream, gitleaks, record).await
        }
        Err(error) => Err(Failure::error(format!("no room for the push: {error}"))),
    };
    let (failure, remarks) = match done {
        Ok(remarks) => {
            record.allowed();
            (None, record.redacted(remarks))
        }
        Err(failure) => (Some(record.failed(failure)), Vec::new()),
    };
    let answer = answer(&commands, failure.as_ref(), &remarks).await.unwrap_or_default();
    record.audit.received += answer.len() as u64;
    let _ = timeout(AGENT_IDLE_TIMEOUT, stream.write_all(&answer)).await;
    let _ = stream.shutdown().await;
    if failure.is_some() {
        // The client may still send its pack, and reads what it is told only then.
        drain(stream).await;
    }
    Ok(())
}

fn advertisement(refs: &BTreeMap<String, String>, version: u8) -> Vec<u8> {
    let mut list = Vec::new();
    if version == 1 {
        push_packet(&mut list, b"version 1\n");
    }
    let mut words = format!("\0{CAPABILITIES}");
    for (name, id) in refs {
        push_packet(&mut list, format!("{id} {name}{}\n", std::mem::take(&mut words)).as_bytes());
    }
    if refs.is_empty() {
        push_packet(&mut list, format!("{NO_OBJECT} capabilities^{{}}{words}\n").as_bytes());
    }
    list.extend_from_slice(b"0000");
    list
}

/// `None`: the client wants nothing.
async fn read_commands(stream: &mut UnixStream, record: &mut GitRecord) -> Result<Option<Commands>, Failure> {
    let mut commands = Commands { updates: Vec::new(), reply: Reply { wants_report: false, has_bands: false } };
    let mut boundaries = 0;
    loop {
        let packet = timeout(AGENT_IDLE_TIMEOUT, read_packet(stream)).await;
        let packet = packet.map_err(|_| Failure::error("the commands of the push did not come"))?;
        let data = match packet.map_err(|error| Failure::denied(format!("the push is malformed: {error}")))? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) if commands.updates.is_empty() => return Ok(None),
            Some(Packet::Flush) => return Ok(Some(commands)),
            None if commands.updates.is_empty() => return Ok(None),
            Some(_) | None => return Err(Failure::denied("the push is malformed: its commands do not end")),
        };
        record.audit.sent += data.len() as u64 + 4;
        // Where the history of a shallow clone ends. What is pushed must be whole all the same.
        if data.starts_with(b"shallow ") && commands.updates.is_empty() {
            boundaries += 1;
            if boundaries > MAX_SHALLOW_BOUNDARIES {
                let text = format!("the history of a shallow clone may end at {MAX_SHALLOW_BOUNDARIES} commits");
                return Err(Failure::denied(text + ": fetch all of it, as `git fetch --unshallow` does"));
            }
            continue;
        }
        let Some(command) = parse_push_command(&data) else {
            return Err(Failure::denied("the push is malformed: a command is no change of a ref with a valid name"));
        };
        if commands.updates.is_empty() {
            let has = |wanted: &str| command.capabilities.contains(&wanted);
            if has("push-options") || command.capabilities.iter().any(|word| word.starts_with("push-cert")) {
                return Err(Failure::denied("push options and signed pushes are not served"));
            }
            if command
                .capabilities
                .iter()
                .any(|word| word.starts_with("object-format=") && *word != "object-format=sha1")
            {
                return Err(Failure::denied("objects that are not named by SHA-1 are not served"));
            }
            commands.reply = Reply {
                wants_report: has("report-status") || has("report-status-v2"),
                has_bands: has("side-band-64k"),
            };
        }
        if commands.updates.iter().any(|update| update.name == command.update.name) {
            return Err(Failure::denied("the push is malformed: it changes a ref twice"));
        }
        commands.updates.push(command.update);
        if commands.updates.len() > MAX_PUSH_REFS {
            return Err(Failure::denied(format!("a push may change {MAX_PUSH_REFS} refs: push fewer at once")));
        }
    }
}

impl Pending<'_> {
    /// Does all that was asked for, or nothing. Returns what the upstream said, line by line.
    async fn execute(
        &mut self,
        stream: &mut UnixStream,
        gitleaks: Gitleaks,
        record: &mut GitRecord,
    ) -> Result<Vec<String>, Failure> {
        let Pending { tools, remote, updates, .. } = *self;
        for update in updates {
            // What can be said before the objects are here: at best it moves forward.
            remote.rules.judge(&update.name, change(update, RefChange::FastForward))?;
        }
        if !self.new_ids().is_empty() {
            self.receive(stream, &mut record.audit.sent).await?;
        }
        let mut state = remote.lock(&tools.runner).await?;
        for update in updates {
            let old = state.refs.get(&update.name).map_or(NO_OBJECT, String::as_str);
            if old != update.old {
                return Err(Failure::denied(format!(
                    "`{}` is not what it was when you fetched: fetch, merge or rebase, and push again",
                    update.name
                )));
            }
            if let Some(target) = state.symbolic.get(&update.name) {
                remote.rules.judge(target, change(update, RefChange::FastForward))?;
            }
            self.judge_move(update).await?;
        }
        let findings = match self.new_ids().is_empty() {
            true => Vec::new(),
            false => {
                self.check_targets().await?;
                self.base = self.find_base().await?;
                let scanned = timeout(SCAN_TIMEOUT, scan(self, gitleaks)).await;
                scanned.map_err(|_| Failure::error("the scan for secrets did not end in time: push less at once"))??
            }
        };
        let (allowed, refused): (Vec<Finding>, Vec<Finding>) = findings
            .into_iter()
            .partition(|finding| finding.may_be_allowed && tools.commits.is_allowed(&remote.name, &finding.object));
        if !refused.is_empty() {
            return Err(refusal(self, &refused));
        }
        let mut allowed: Vec<String> = allowed.into_iter().map(|finding| finding.object).collect();
        allowed.dedup();
        if !tools.commits.take(&remote.name, &allowed) {
            return Err(Failure::denied("another push has used up what the operator let through once"));
        }
        let remarks =
            forward(self, &state.refs).await.inspect_err(|_| tools.commits.put_back(&remote.name, &allowed))?;
        record.audit.allowed_commits = allowed;
        self.keep(&mut state).await?;
        Ok(remarks)
    }

    /// Those of the host's commits and tags that are among the objects. Their ids are sums of all that they lead to, so that
    /// is the host's, too, whoever sent it.
    async fn find_base(&self) -> Result<Vec<String>, Failure> {
        let UpstreamRepository::Local(local) = &self.remote.upstream else { return Ok(Vec::new()) };
        let questions: String = local.base.iter().map(|id| format!("{id}\n")).collect();
        let job = self.git().args(["cat-file", "--batch-check=%(objecttype) %(objectname)"]);
        let answers = self.tools.runner.output(job, questions.into_bytes(), MAX_OUTPUT_BYTES).await?;
        let answers = String::from_utf8_lossy(&answers);
        let found = answers.lines().filter_map(|line| line.split_once(' '));
        Ok(found.filter(|(kind, _)| matches!(*kind, "commit" | "tag")).map(|(_, id)| id.to_owned()).collect())
    }

    /// Refuses refs that lead to no commit: what a tag of a file or a folder has is in no commit's changes.
    async fn check_targets(&self) -> Result<(), Failure> {
        let questions: String = self.new_ids().iter().map(|id| format!("{id}^{{commit}}\n")).collect();
        let job = self.git().args(["cat-file", "--batch-check=%(objecttype)"]);
        let answers = self.tools.runner.output(job, questions.into_bytes(), MAX_OUTPUT_BYTES).await?;
        let answers = String::from_utf8_lossy(&answers);
        let mut answers = answers.lines();
        for update in self.updates.iter().filter(|update| update.new != NO_OBJECT) {
            if answers.next() != Some("commit") {
                return Err(Failure::denied(format!(
                    "`{}` would lead to no commit, or to one that is not complete",
                    update.name
                )));
            }
        }
        Ok(())
    }

    /// Refuses a move that is not forward, where the rules want that.
    async fn judge_move(&self, update: &GitUpdate) -> Result<(), Failure> {
        if change(update, RefChange::Force) != RefChange::Force || self.remote.rules.allow_force {
            return Ok(());
        }
        // A tag is moved whatever it points to.
        let mut moves = RefChange::Force;
        if !update.name.starts_with("refs/tags/") {
            let job = self.git().args(["merge-base", "--is-ancestor", &update.old, &update.new]);
            let (ended, _) = self.tools.runner.run(job, Vec::new(), 1024).await?;
            moves = match ended.code {
                Some(0) => RefChange::FastForward,
                Some(1) => RefChange::Force,
                _ => return Err(Failure::denied(format!("`{}` cannot be compared: {}", update.name, ended.reason()))),
            };
        }
        Ok(self.remote.rules.judge(&update.name, moves)?)
    }

    /// Takes the objects into the repository, and moves its refs.
    async fn keep(&self, state: &mut State) -> Result<(), Failure> {
        let failed = |why: String| Failure::error(format!("the gate cannot keep what was pushed: {why}"));
        self.incoming.keep().map_err(|error| failed(error.to_string()))?;
        let lines = self.updates.iter().map(|update| match (update.old.as_str(), update.new.as_str()) {
            (old, NO_OBJECT) => format!("delete {} {old}\n", update.name),
            (old, new) => format!("update {} {new} {old}\n", update.name),
        });
        let job = self.remote.git(Confinement::Plain).args(["update-ref", "--stdin"]);
        let (ended, _) = self.tools.runner.run(job, lines.collect::<String>().into_bytes(), MAX_MESSAGE_BYTES).await?;
        if !ended.is_good() {
            return Err(failed(ended.reason()));
        }
        for update in self.updates {
            match update.new.as_str() {
                NO_OBJECT => state.refs.remove(&update.name),
                new => state.refs.insert(update.name.clone(), new.to_owned()),
            };
        }
        Ok(())
    }

    /// Receives a pack: git takes it apart, and checks each object of it.
    async fn receive(&self, stream: &mut UnixStream, sent: &mut u64) -> Result<(), Failure> {
        let broke = |error: io::Error| Failure::error(format!("the agent broke off: {error}"));
        let mut head = [0; 12];
        let read = timeout(PACK_START_TIMEOUT, stream.read_exact(&mut head)).await;
        read.map_err(|_| Failure::error("the pack of the push did not come"))?.map_err(broke)?;
        let count = u64::from(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
        if !head.starts_with(b"PACK") {
            return Err(Failure::denied("the push is malformed: what follows its commands is no pack"));
        }
        if count > MAX_PUSH_OBJECTS {
            return Err(Failure::denied(format!(
                "the push has {count} objects, and one may have {MAX_PUSH_OBJECTS}: push in parts"
            )));
        }
        let most = format!("--max-input-size={MAX_PACK_BYTES}");
        let job = self.git().args(["index-pack", "--stdin", "--fix-thin", "--strict", "--threads=2", &most]);
        let mut child = self.tools.runner.spawn(job.piped())?;
        let Some(mut stdin) = child.stdin.take() else { return Err(Failure::error("git has no pipes")) };
        // What it prints is of no interest, and fits into the pipe.
        let ended = child.wait();
        tokio::pin!(ended);
        let feed = async move {
            stdin.write_all(&head).await?;
            *sent += head.len() as u64;
            let mut part = vec![0; COPY_BYTES];
            loop {
                let count = timeout(AGENT_IDLE_TIMEOUT, stream.read(&mut part)).await;
                let count = count.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                *sent += count as u64;
                if count == 0 {
                    return Ok::<_, io::Error>(());
                }
                stdin.write_all(&part[..count]).await?;
            }
        };
        tokio::pin!(feed);
        let ended = tokio::select! {
            ended = &mut ended => ended?,
            // It has the end of its input now, or does not read on.
            _ = &mut feed => ended.await?,
        };
        if ended.is_good() {
            return Ok(());
        }
        let why = format!("the objects of the push are not accepted: {}", ended.reason());
        // A full disk is no fault of the push.
        Err(if why.contains(DISK_IS_FULL) { Failure::error(why) } else { Failure::denied(why) })
    }
}

/// What an update is, where `moves` is what it is if it changes a ref that stays.
fn change(update: &GitUpdate, moves: RefChange) -> RefChange {
    match (update.old.as_str(), update.new.as_str()) {
        (_, NO_OBJECT) => RefChange::Delete,
        (NO_OBJECT, _) => RefChange::Create,
        _ => moves,
    }
}

/// What the agent is told of findings.
fn refusal(pending: &Pending, findings: &[Finding]) -> Failure {
    let mut details = Vec::new();
    for finding in findings.iter().take(MAX_FINDINGS) {
        details.push(format!("{}: {}", finding.place, finding.what));
    }
    if findings.len() > MAX_FINDINGS {
        details.push(format!("and {} more", findings.len() - MAX_FINDINGS));
    }
    details.push(
        "Nothing was pushed. Take the secret out of each commit that has it: `git commit --amend` for the last"
            .to_owned(),
    );
    details.push(
        "one, `git rebase -i` for earlier ones; a later commit that removes it is not enough. If it is no".to_owned(),
    );
    details.push("secret, tell the person who runs this bottle: they can let these commits through once.".to_owned());
    let mut found_commits: Vec<String> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.may_be_allowed) {
        if found_commits.len() < MAX_COMMITS && !found_commits.contains(&finding.object) {
            pending.tools.commits.remember_refused(&pending.remote.name, &finding.object);
            found_commits.push(finding.object.clone());
        }
    }
    if pending.egress.proposals.is_enabled() && !found_commits.is_empty() {
        details.push(format!("To ask for that: MCP tool `git_block` at {MCP_URL}"));
    }
    let first = &findings[0];
    let more = if findings.len() > 1 { format!(", and {} more", findings.len() - 1) } else { String::new() };
    let what = format!("{}: {}{more}", first.place, first.what);
    Failure {
        finding: Some(what.clone()),
        found_commits,
        details,
        ..Failure::denied(format!("the push has what must not leave this bottle: {what}"))
    }
}

async fn answer(commands: &Commands, failure: Option<&Failure>, remarks: &[String]) -> io::Result<Vec<u8>> {
    let mut told: Vec<u8> = remarks.iter().flat_map(|line| [line, "\n"]).flat_map(str::bytes).collect();
    if let Some(failure) = failure {
        told.extend_from_slice(format!("claude-bottle: {}\n", failure.text).as_bytes());
        for line in &failure.details {
            told.extend_from_slice(format!("  {line}\n").as_bytes());
        }
    }
    let mut report = Vec::new();
    push_packet(&mut report, b"unpack ok\n");
    for GitUpdate { name, .. } in &commands.updates {
        match failure {
            None => push_packet(&mut report, format!("ok {name}\n").as_bytes()),
            Some(failure) => {
                push_packet(&mut report, format!("ng {name} claude-bottle: {}\n", failure.text).as_bytes())
            }
        }
    }
    report.extend_from_slice(b"0000");
    let mut answer = Vec::new();
    if commands.reply.has_bands {
        write_band(&mut answer, Band::Progress, &told).await?;
    }
    match (commands.reply.wants_report, commands.reply.has_bands) {
        (true, true) => {
            write_band(&mut answer, Band::Data, &report).await?;
            answer.extend_from_slice(b"0000");
        }
        (true, false) => answer.extend_from_slice(&report),
        (false, true) => answer.extend_from_slice(b"0000"),
        (false, false) => {}
    }
    Ok(answer)
}

/// Reads what the client still sends, up to its end.
async fn drain(stream: &mut UnixStream) {
    let mut part = vec![0; COPY_BYTES];
    let mut left = MAX_PACK_BYTES;
    while left > 0 {
        match timeout(AGENT_IDLE_TIMEOUT, stream.read(&mut part)).await {
            Ok(Ok(count @ 1..)) => left = left.saturating_sub(count as u64),
            _ => return,
        }
    }
}
