//! What a push must not take out: the bottle's known values in everything that it adds, credentials in what each of its
//! commits adds, and the same in messages, names and everything that is no text.
//!
//! Each commit is scanned, not only the last state. Text that was upstream already is not looked at again by patterns, so
//! that a file with an old example of a key can be changed. Nothing in the repository has a say: no configuration,
//! attribute or comment.

use crate::egress::live::snapshot::PolicySnapshot;
use crate::git::diff::{COMMIT_FORMAT, DiffLine, DiffReader};
use crate::git::failure::Failure;
use crate::git::gitleaks::{Gitleaks, Source};
use crate::git::limits::{BIG_FILE_BYTES, COPY_BYTES, MAX_FINDINGS, MAX_OUTPUT_BYTES, MAX_SMALL_OBJECT_BYTES};
use crate::git::objects::{ObjectHead, ObjectKind, Objects};
use crate::git::pending::Pending;
use scan::dlp::{Action, Finding as Found, Orders, Scan, SecretClass, Stop, Subject};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use wire::{is_object_id, one_line};

/// Bytes at the beginning of a file by which git tells text from other data: there, text has no NUL.
const TEXT_PROBE_BYTES: usize = 8000;
/// Bytes of one line of a difference.
const MAX_LINE_BYTES: u64 = BIG_FILE_BYTES + 4096;
/// Characters of an id that are shown.
const SHORT_ID: usize = 12;

/// All that must not leave.
const ALL: Orders = Orders { seen: Action::Block, patterns: Action::Block, stuck: Action::Block };
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
    found: Vec<(Source, String, bool)>,
}

/// Scans all that the new ids of a push lead to and the refs of the repository do not.
pub async fn scan(pending: &Pending<'_>, gitleaks: Gitleaks) -> Result<Vec<Finding>, Failure> {
    let mut scanner = Scanner { pending, snapshot: pending.egress.live.snapshot(), gitleaks, found: Vec::new() };
    scanner.scan_objects().await?;
    scanner.scan_changes().await?;
    scanner.finish().await
}

impl Scanner<'_> {
    /// Every new object: commits, tags and names whole; files for known values, and whole where they are no text.
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
        self.scan_text(&source, &text, ALL);
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        self.gitleaks.begin(source)?;
        self.gitleaks.write(&text).await
    }

    async fn scan_file(&mut self, objects: &mut Objects, head: &ObjectHead) -> Result<(), Failure> {
        let source = self.source_of_object(&head.id, format!("`{}`", one_line(&head.path)));
        let mut part = Vec::with_capacity(COPY_BYTES);
        let mut probe = Vec::new();
        let mut more = objects.read(&mut part).await?;
        while more && probe.len() < TEXT_PROBE_BYTES {
            probe.extend_from_slice(&part);
            more = objects.read(&mut part).await?;
        }
        // git compares neither of these line by line, so their changes are not seen as lines.
        let is_whole = head.size >= BIG_FILE_BYTES || probe[..probe.len().min(TEXT_PROBE_BYTES)].contains(&0);
        let mut scan = Scan::looking(self.snapshot.knowledge(), if is_whole { ALL } else { VALUES });
        if is_whole {
            self.gitleaks.begin(source.clone())?;
        }
        let mut ended = scan.look(&probe);
        if is_whole {
            self.gitleaks.write(&probe).await?;
        }
        while more {
            ended = ended.and_then(|()| scan.look(&part));
            if is_whole {
                self.gitleaks.write(&part).await?;
            }
            more = objects.read(&mut part).await?;
        }
        if is_whole {
            self.gitleaks.write(b"\n").await?;
        }
        let ended = ended.and_then(|()| scan.finish(&mut Vec::new()));
        self.note(&source, ended);
        Ok(())
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
        let (mut commit, mut file): (String, Arc<str>) = (String::new(), "".into());
        let mut added = Added::new();
        loop {
            line.clear();
            let count = (&mut output).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await.map_err(lost)?;
            if count == 0 {
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            match reader.read(text).map_err(malformed)? {
                DiffLine::Commit(id) => {
                    self.end_added(&mut added);
                    commit = id.to_owned();
                    if !is_object_id(&commit) {
                        return Err(malformed(crate::git::diff::Malformed));
                    }
                }
                DiffLine::File(name) => {
                    self.end_added(&mut added);
                    file = format!("`{}`", one_line(&String::from_utf8_lossy(name))).into();
                }
                DiffLine::Hunk(start) => {
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
        self.end_added(&mut added);
        child.wait().await?.checked().map(drop)
    }

    /// The lines that were added to one file have ended.
    fn end_added(&mut self, added: &mut Added) {
        let Added { scan, ended, source } = std::mem::replace(added, Added::new());
        if let (Some(mut scan), Some(source)) = (scan, source) {
            let ended = ended.and_then(|()| scan.finish(&mut Vec::new()));
            self.note(&Source { line: None, ..source }, ended);
        }
    }

    fn scan_text(&mut self, source: &Source, text: &[u8], orders: Orders) {
        let mut scan = Scan::looking(self.snapshot.knowledge(), orders);
        let ended = scan.look(text).and_then(|()| scan.finish(&mut Vec::new()));
        self.note(source, ended);
    }

    fn note(&mut self, source: &Source, ended: Result<(), Stop>) {
        let (what, may_be_allowed) = match ended {
            Ok(()) => return,
            Err(Stop::Unread(why)) => (why.to_owned(), true),
            Err(Stop::Found(Found { subject, how, .. })) => {
                let what = match subject {
                    Subject::Known(SecretClass::GateOnly, _) => "a credential that only the gate may send",
                    Subject::Known(..) => "a secret that this bottle was given",
                    Subject::Pattern(name) | Subject::Unreadable(name) => name,
                };
                let what = if how.is_empty() { what.to_owned() } else { format!("{what} ({how})") };
                (what, !matches!(subject, Subject::Known(SecretClass::GateOnly, _)))
            }
        };
        self.found.push((source.clone(), what, may_be_allowed));
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
            all.push((leak.source, format!("{} (gitleaks)", leak.rule), true));
        }
        let mut findings: Vec<Finding> = Vec::new();
        for (source, what, may_be_allowed) in all {
            let object = match source.object.strip_prefix('?') {
                // Those that are not told need no name, but must not pass by the name of another.
                Some(object) if findings.len() >= MAX_FINDINGS => object.to_owned(),
                Some(object) => commit_with(pending, object).await?,
                None => source.object.to_string(),
            };
            let short: String = object.chars().take(SHORT_ID).collect();
            let line = source.line.map(|line| format!(", line {line}")).unwrap_or_default();
            let finding =
                Finding { place: format!("commit {short}, {}{line}", source.part), object, what, may_be_allowed };
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Ok(findings)
    }
}

/// The first of the new commits that has this file or folder.
async fn commit_with(pending: &Pending<'_>, object: &str) -> Result<String, Failure> {
    let wanted = format!("--find-object={object}");
    let options = ["log", "--reverse", "-m", "-t", "-r", "--format=%H", "--no-patch", &wanted];
    let job = pending.git().args(options).args(pending.new_ids()).args(pending.known()).args(["--"]);
    let text = pending.tools.runner.output(job, Vec::new(), MAX_OUTPUT_BYTES).await?;
    let first = text.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok());
    // A tag may lead to a file without any commit.
    Ok(first.filter(|id| is_object_id(id)).unwrap_or(object).to_owned())
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
