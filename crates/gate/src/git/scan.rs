//! What a push must not take out: the bottle's known values in everything that it adds, credentials in what each of its
//! commits adds, and the same in messages, names and everything that is no text.
//!
//! Each commit is scanned, not only the last state. Text that was upstream already is not looked at again by patterns, so
//! that a file with an old example of a key can be changed. A file of which git shows no lines is looked at whole. Nothing in the repository has a say: no configuration,
//! attribute or comment.

use crate::egress::inspect::leaks::for_agent;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::git::diff::{COMMIT_FORMAT, DiffLine, DiffReader};
use crate::git::failure::Failure;
use crate::git::gitleaks::{Gitleaks, Source};
use crate::git::limits::{
    BIG_FILE_BYTES, COPY_BYTES, MAX_FINDINGS, MAX_KEPT_FINDINGS, MAX_OUTPUT_BYTES, MAX_SMALL_OBJECT_BYTES,
};
use crate::git::objects::{ObjectHead, ObjectKind, Objects};
use crate::git::pending::Pending;
use scan::dlp::{Action, Finding as Found, Orders, Scan, SecretClass, Stop, Subject};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use wire::{is_object_id, one_line};

/// Bytes of one line of a difference.
const MAX_LINE_BYTES: u64 = BIG_FILE_BYTES + 4096;

/// All that must not leave. What the operator may let pass does not end a scan: what is behind it is found as well, and what
/// only the gate knows blocks whatever the orders are.
const ALL: Orders = Orders { seen: Action::Warn, patterns: Action::Warn, stuck: Action::Warn };
/// The bottle's known values only.
const VALUES: Orders = Orders { patterns: Action::Off, ..ALL };

/// What must not pass, without what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The commit or tag by whose id the operator lets it pass.
    pub object: String,
    /// Where it is, for a person.
    pub place: String,
    pub what: String,
    /// What only the gate knows never passes.
    pub may_be_allowed: bool,
}

/// A scan under way.
struct Scanner<'a> {
    pending: &'a Pending<'a>,
    snapshot: Arc<PolicySnapshot>,
    gitleaks: Gitleaks,
    /// Files of which git has shown the lines that are new, as hashes of their ids.
    shown: HashSet<u64>,
    hasher: RandomState,
    found: Vec<(Source, String, bool)>,
}

/// Scans all that the new ids of a push lead to and the refs of the repository do not.
pub async fn scan(pending: &Pending<'_>, gitleaks: Gitleaks) -> Result<Vec<Finding>, Failure> {
    let snapshot = pending.egress.live.snapshot();
    let (shown, hasher, found) = Default::default();
    let mut scanner = Scanner { pending, snapshot, gitleaks, shown, hasher, found };
    scanner.scan_names().await?;
    scanner.scan_changes().await?;
    scanner.scan_objects().await?;
    scanner.finish().await
}

impl Scanner<'_> {
    /// The names of refs, which the upstream gets with the objects.
    async fn scan_names(&mut self) -> Result<(), Failure> {
        for (index, update) in self.pending.updates.iter().enumerate() {
            // No commit stands for it, so that none can be let through with it. The name is not told: it holds the secret.
            let source = self.source("", format!("the name of ref {} of the push", index + 1), None);
            let text = format!("{}\n", update.name);
            self.scan_text(&source, text.as_bytes())?;
            self.gitleaks.begin(source)?;
            self.gitleaks.write(text.as_bytes()).await?;
        }
        Ok(())
    }

    /// Every new object: commits, tags and names whole; files for known values, and whole where git has shown no lines.
    async fn scan_objects(&mut self) -> Result<(), Failure> {
        let mut objects = Objects::start(self.pending)?;
        while let Some(head) = objects.next().await? {
            match head.kind {
                ObjectKind::Blob => self.scan_file(&mut objects, &head).await?,
                _ => self.scan_small(&mut objects, &head).await?,
            }
        }
        objects.finish().await
    }

    async fn scan_small(&mut self, objects: &mut Objects, head: &ObjectHead) -> Result<(), Failure> {
        if head.size > MAX_SMALL_OBJECT_BYTES {
            return Err(Failure::denied(format!("the object {} of the push is too large", head.id)));
        }
        let (mut text, mut part) = (Vec::new(), Vec::new());
        while objects.read(&mut part).await? {
            text.extend_from_slice(&part);
        }
        let source = match head.kind {
            ObjectKind::Commit => self.source(&head.id, "its message or one of its other fields".to_owned(), None),
            ObjectKind::Tag => self.source(&head.id, "the tag's message or one of its other fields".to_owned(), None),
            _ => {
                text = names(&text).ok_or_else(|| Failure::denied(format!("the folder {} is malformed", head.id)))?;
                let folder = if head.path.is_empty() { "/" } else { &head.path };
                self.source_of_object(&head.id, format!("a file name in `{}`", one_line(folder)))
            }
        };
        self.scan_text(&source, &text)?;
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        self.gitleaks.begin(source)?;
        self.gitleaks.write(&text).await
    }

    async fn scan_file(&mut self, objects: &mut Objects, head: &ObjectHead) -> Result<(), Failure> {
        let source = self.source_of_object(&head.id, format!("`{}`", one_line(&head.path)));
        // git shows no lines of what is no text, on either side of a change, or is too large.
        let is_whole = !self.shown.contains(&self.hasher.hash_one(&head.id));
        let mut scan = Scan::looking(self.snapshot.knowledge(), if is_whole { ALL } else { VALUES });
        if is_whole {
            self.gitleaks.begin(source.clone())?;
        }
        let (mut part, mut ended) = (Vec::with_capacity(COPY_BYTES), Ok(()));
        while objects.read(&mut part).await? {
            ended = ended.and_then(|()| scan.look(&part));
            if is_whole {
                self.gitleaks.write(&part).await?;
            }
        }
        if is_whole {
            self.gitleaks.write(b"\n").await?;
        }
        self.end_scan(&source, scan, ended)
    }

    /// The lines that each commit adds.
    async fn scan_changes(&mut self) -> Result<(), Failure> {
        let lost = |error: std::io::Error| Failure::error(format!("git does not show what the push changes: {error}"));
        let malformed = |_| Failure::error("git shows what the push changes in a way that is not understood");
        let options = [
            "log",
            "--patch",
            "--diff-merges=combined",
            "--unified=0",
            "--root",
            "--find-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-show-signature",
            "--no-notes",
            "--full-index",
            "--submodule=short",
            "--ignore-submodules=none",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            COMMIT_FORMAT,
        ];
        let job = self.pending.git().args(options).args(self.pending.new_ids()).args(self.pending.known()).args(["--"]);
        let mut child = self.pending.tools.runner.spawn(job.piped())?;
        let Some(stdout) = child.stdout.take() else { return Err(Failure::error("git has no pipes")) };
        let mut output = BufReader::with_capacity(COPY_BYTES, stdout);
        let (mut reader, mut line) = (DiffReader::default(), Vec::new());
        let (mut commit, mut file, mut contents): (String, Arc<str>, u64) = (String::new(), "".into(), 0);
        let mut added = Added::new();
        loop {
            line.clear();
            let count = (&mut output).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await.map_err(lost)?;
            if count == 0 {
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let read = reader.read(text).map_err(malformed)?;
            if reader.is_in_submodule() {
                self.shown.remove(&contents);
            }
            match read {
                DiffLine::Commit(id) => {
                    self.end_added(&mut added)?;
                    commit = id.to_owned();
                    if !is_object_id(&commit) {
                        return Err(malformed(crate::git::diff::Malformed));
                    }
                }
                DiffLine::Contents(id) => contents = self.hasher.hash_one(id),
                DiffLine::File(name) => {
                    self.end_added(&mut added)?;
                    file = format!("`{}`", one_line(&String::from_utf8_lossy(name))).into();
                }
                DiffLine::Hunk(start) => {
                    self.shown.insert(contents);
                    let source = Source { object: commit.as_str().into(), part: file.clone(), line: Some(start) };
                    self.gitleaks.begin(source.clone())?;
                    added.source.get_or_insert(source);
                }
                DiffLine::Added(text) => {
                    let scan =
                        added.scan.get_or_insert_with(|| Box::new(Scan::looking(self.snapshot.knowledge(), ALL)));
                    if added.ended.is_ok() {
                        added.ended = scan.look(text).and_then(|()| scan.look(b"\n"));
                    }
                    self.gitleaks.write(text).await?;
                    self.gitleaks.write(b"\n").await?;
                }
                DiffLine::Other => {}
            }
        }
        self.end_added(&mut added)?;
        child.wait().await?.checked().map(drop)
    }

    /// The lines that were added to one file have ended.
    fn end_added(&mut self, added: &mut Added) -> Result<(), Failure> {
        let Added { scan, ended, source } = std::mem::replace(added, Added::new());
        match (scan, source) {
            (Some(scan), Some(source)) => self.end_scan(&Source { line: None, ..source }, *scan, ended),
            _ => Ok(()),
        }
    }

    fn scan_text(&mut self, source: &Source, text: &[u8]) -> Result<(), Failure> {
        let mut scan = Scan::looking(self.snapshot.knowledge(), ALL);
        let ended = scan.look(text);
        self.end_scan(source, scan, ended)
    }

    /// The piece has ended, or `ended` early: notes what was found in it. Fails where the push has more findings than are
    /// kept.
    fn end_scan(&mut self, source: &Source, mut scan: Scan, ended: Result<(), Stop>) -> Result<(), Failure> {
        let ended = ended.and_then(|()| scan.finish(&mut Vec::new()));
        for finding in scan.notes().into_iter().filter(|found| !matches!(found.subject, Subject::Hint(_))) {
            self.note(source, finding);
        }
        match ended {
            Ok(()) => {}
            Err(Stop::Found(finding)) => self.note(source, finding),
            Err(Stop::Unread(why)) => self.found.push((source.clone(), why.to_owned(), false)),
        }
        match self.found.len() > MAX_KEPT_FINDINGS {
            true => Err(Failure::denied(format!(
                "the push has more than {MAX_KEPT_FINDINGS} findings, so it is refused as a whole: push fewer commits, or \
                 leave out what looks like credentials"
            ))),
            false => Ok(()),
        }
    }

    fn note(&mut self, source: &Source, Found { subject, how, .. }: Found) {
        let what = for_agent(subject);
        let what = if how.is_empty() { what.to_owned() } else { format!("{what} ({how})") };
        let may_be_allowed = !matches!(subject, Subject::Known(SecretClass::GateOnly, _));
        self.found.push((source.clone(), what, may_be_allowed && !source.object.is_empty()));
    }

    fn source(&self, object: &str, part: String, line: Option<u64>) -> Source {
        Source { object: object.into(), part: part.into(), line }
    }

    /// The source of what is in an object that a commit refers to: which one, is looked for only where something is found.
    fn source_of_object(&mut self, object: &str, part: String) -> Source {
        Source { object: format!("?{object}").into(), part: part.into(), line: None }
    }

    async fn finish(self) -> Result<Vec<Finding>, Failure> {
        let Scanner { pending, gitleaks, found: mut all, .. } = self;
        for leak in gitleaks.finish().await? {
            let may_be_allowed = !leak.source.object.is_empty();
            all.push((leak.source, format!("{} (gitleaks)", leak.rule), may_be_allowed));
        }
        let (mut findings, mut known): (Vec<Finding>, HashSet<(String, String)>) = Default::default();
        for (source, what, may_be_allowed) in all {
            let commits = match source.object.strip_prefix('?') {
                // Those that are not told need no name, but must not pass by the name of another.
                Some(object) if findings.len() >= MAX_FINDINGS => vec![object.to_owned()],
                Some(object) => commits_with(pending, object).await?,
                None => vec![source.object.to_string()],
            };
            let line = source.line.map(|line| format!(", line {line}")).unwrap_or_default();
            for object in commits {
                // The whole id: the operator decides by it, and the beginning of one can be made for another commit.
                let place = match object.is_empty() {
                    true => source.part.to_string(),
                    false => format!("commit {object}, {}{line}", source.part),
                };
                let finding = Finding { place, object, what: what.clone(), may_be_allowed };
                if known.insert((finding.place.clone(), finding.what.clone())) {
                    findings.push(finding);
                }
            }
        }
        Ok(findings)
    }
}

/// All of the new commits that bring this file or folder, which none of their parents has at that place: it passes only
/// where each of them may.
async fn commits_with(pending: &Pending<'_>, object: &str) -> Result<Vec<String>, Failure> {
    let wanted = format!("--find-object={object}");
    let options =
        ["log", "--reverse", "-m", "-t", "-r", "--root", "--raw", "--no-abbrev", "--no-renames", "--format=%H %P"];
    let job = pending.git().args(options).args([wanted]).args(pending.new_ids()).args(pending.known()).args(["--"]);
    let text = pending.tools.runner.output(job, Vec::new(), MAX_OUTPUT_BYTES).await?;
    let commits = bringers(&String::from_utf8_lossy(&text), object);
    // A tag may lead to a file without any commit.
    Ok(if commits.is_empty() { vec![object.to_owned()] } else { commits })
}

/// The commits of a raw log that have `object` where no parent has it. A commit is there once for each parent that differs.
fn bringers(log: &str, object: &str) -> Vec<String> {
    let mut commits: Vec<(&str, usize, usize)> = Vec::new();
    let mut is_counted = true;
    for line in log.lines() {
        if let Some(change) = line.strip_prefix(':') {
            // Modes, ids, and what became of it.
            let brings = change.split(' ').nth(3) == Some(object);
            if let Some((_, _, brought)) = commits.last_mut().filter(|_| brings && !is_counted) {
                *brought += 1;
                is_counted = true;
            }
        } else if let Some(commit) = line.split(' ').next().filter(|word| is_object_id(word)) {
            if commits.last().is_none_or(|(last, ..)| *last != commit) {
                commits.push((commit, line.split(' ').count().saturating_sub(1).max(1), 0));
            }
            is_counted = false;
        }
    }
    let brought_to_all = commits.into_iter().filter(|(_, parents, brought)| brought >= parents);
    brought_to_all.map(|(commit, ..)| commit.to_owned()).collect()
}

/// What was added to one file by one commit.
struct Added {
    scan: Option<Box<Scan>>,
    ended: Result<(), Stop>,
    source: Option<Source>,
}

impl Added {
    fn new() -> Added {
        Added { scan: None, ended: Ok(()), source: None }
    }
}

/// The names in a folder (a tree object), one a line. `None`: it is malformed.
fn names(mut tree: &[u8]) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    while !tree.is_empty() {
        let space = tree.iter().position(|byte| *byte == b' ')?;
        let end = space + tree[space..].iter().position(|byte| *byte == 0)?;
        names.extend_from_slice(&tree[space + 1..end]);
        names.push(b'\n');
        tree = tree.get(end + 1 + 20..)?;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_brought_by_commits_whose_parents_lack_it() {
        let [a, b, c, d, zero, x, y] = ["a", "b", "c", "d", "0", "1", "2"].map(|digit| digit.repeat(40));
        let raw = |old: &str, new: &str, what: &str| format!(":100644 100644 {old} {new} {what}\tfile\n");
        let log = [
            // It takes the file away; the next brings it, a merge only has it, and another merge brings it itself.
            format!("{a} {d}\n\n{}", raw(&x, &zero, "D")),
            format!("{b} {d}\n\n{}{}", raw(&y, &x, "M"), raw(&zero, &x, "A")),
            format!("{c} {a} {b}\n\n{}", raw(&zero, &x, "A")),
            format!("{d} {a} {c}\n\n{}{d} {a} {c}\n\n{}", raw(&zero, &x, "A"), raw(&y, &x, "M")),
            format!("{x}\n\n{}", raw(&zero, &x, "A")),
        ];
        assert_eq!(bringers(&log.concat(), &x), [b, d, x.clone()]);
    }

    #[test]
    fn a_folder_is_its_names() {
        let mut tree = b"100644 a b\0".to_vec();
        tree.extend_from_slice(&[b' '; 20]);
        tree.extend_from_slice(b"40000 c\0");
        tree.extend_from_slice(&[0; 20]);
        assert_eq!(names(&tree).unwrap(), b"a b\nc\n");
        assert_eq!(names(b"").unwrap(), b"");
        assert!(names(b"100644 a\0short").is_none());
        assert!(names(b"100644").is_none());
    }
}
