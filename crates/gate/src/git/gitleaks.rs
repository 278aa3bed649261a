//! gitleaks on a stream of text. It gets nothing but text: no names of files, by which its own rules leave some out, no
//! repository and no configuration in one; where a line came from is known here.

use crate::git::children::{Child, Job, Runner};
use crate::git::confined::Confinement;
use crate::git::failure::Failure;
use crate::git::limits::{MAX_GITLEAKS_REPORT_BYTES, MAX_SCAN_PIECES};
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::process::{ChildStdin, ChildStdout};

/// Bytes that are written to gitleaks at once.
const WRITE_BYTES: usize = 64 << 10;

/// Where a piece of text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The commit or tag; empty for an object whose commit is not known yet.
    pub object: Arc<str>,
    /// What of it, as the agent reads it: `file \`a\`` or `the message`.
    pub part: Arc<str>,
    /// The number of the first line, where lines of a file are counted.
    pub line: Option<u64>,
}

pub struct Gitleaks {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    stdout: ChildStdout,
    /// Lines that were written.
    lines: u64,
    /// Each with the number of its first line.
    pieces: Vec<(u64, Source)>,
}

/// One finding of gitleaks.
#[derive(Debug)]
pub struct Leak {
    pub source: Source,
    pub rule: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reported {
    #[serde(rename = "RuleID")]
    rule_id: String,
    start_line: u64,
}

impl Gitleaks {
    pub async fn start(runner: &Runner) -> Result<Gitleaks, Failure> {
        let job = Job::new(Confinement::Plain, "gitleaks", Path::new("/")).args([
            "stdin",
            "--no-banner",
            "--no-color",
            "--log-level=error",
            "--ignore-gitleaks-allow",
            "--gitleaks-ignore-path=/nonexistent",
            "--redact=100",
            "--exit-code=0",
            "--report-format=json",
            "--report-path=-",
        ]);
        // Its own rules, and none of a file that lies about.
        let mut child = runner.spawn(job.env("GITLEAKS_CONFIG_TOML", "[extend]\nuseDefault = true\n").piped())?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::error("gitleaks has no pipes"));
        };
        let stdin = BufWriter::with_capacity(WRITE_BYTES, stdin);
        let mut gitleaks = Gitleaks { child, stdin, stdout, lines: 0, pieces: Vec::new() };
        // It looks at the first bytes, and leaves out what they say is no text.
        let source = Source { object: "".into(), part: "".into(), line: None };
        gitleaks.begin(source)?;
        gitleaks.write(b"text\n").await?;
        Ok(gitleaks)
    }

    /// What is written from now on came from there.
    pub fn begin(&mut self, source: Source) -> Result<(), Failure> {
        if self.pieces.len() >= MAX_SCAN_PIECES {
            return Err(Failure::denied("the push changes too many places to be scanned at once: push fewer commits"));
        }
        self.pieces.push((self.lines + 1, source));
        Ok(())
    }

    /// Writes text, which ends with a line feed where its piece ends.
    pub async fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.lines += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        // A gitleaks that does not read says why in the end.
        match self.stdin.write_all(text).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Failure::error(format!("gitleaks does not scan: {error}"))),
        }
    }

    /// The findings. Fails where gitleaks did not come to its end, or says what cannot be read.
    pub async fn finish(self) -> Result<Vec<Leak>, Failure> {
        let Gitleaks { child, mut stdin, mut stdout, pieces, .. } = self;
        let failed = |why: String| Failure::error(format!("gitleaks does not scan: {why}"));
        let flushed = stdin.shutdown().await;
        drop(stdin);
        let mut report = Vec::new();
        let most = MAX_GITLEAKS_REPORT_BYTES as u64;
        let read = (&mut stdout).take(most + 1).read_to_end(&mut report).await;
        let ended = child.wait().await?;
        if !ended.is_good() {
            return Err(failed(ended.reason()));
        }
        flushed.and(read).map_err(|error| failed(error.to_string()))?;
        if report.len() as u64 > most {
            return Err(Failure::denied("gitleaks finds more in this push than can be told: push fewer commits"));
        }
        let reported: Vec<Reported> =
            serde_json::from_slice(&report).map_err(|_| failed("its report cannot be read".to_owned()))?;
        Ok(reported.into_iter().map(|reported| locate(&pieces, reported)).collect())
    }
}

fn locate(pieces: &[(u64, Source)], Reported { rule_id: rule, start_line }: Reported) -> Leak {
    let index = pieces.partition_point(|(first, _)| *first <= start_line).saturating_sub(1);
    let (first, source) = &pieces[index];
    let line = source.line.map(|line| line + start_line.saturating_sub(*first));
    Leak { source: Source { line, ..source.clone() }, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_that_of_its_piece() {
        let source = |part: &str, line| Source { object: "c".into(), part: part.into(), line };
        let pieces =
            [(1, source("", None)), (2, source("a", Some(7))), (5, source("b", None)), (6, source("c", Some(1)))];
        for (start_line, part, line) in
            [(1, "", None), (2, "a", Some(7)), (4, "a", Some(9)), (5, "b", None), (6, "c", Some(1)), (9, "c", Some(4))]
        {
            let leak = locate(&pieces, Reported { rule_id: "r".to_owned(), start_line });
            assert_eq!(leak.source, source(part, line), "{start_line}");
        }
    }
}
