//! `make scale`: many bottles at once, each started, used and ended, as times and memory per bottle; and `list` where a
//! thousand sessions are kept.
//!
//! Arguments: the program, and the numbers of bottles (default 1 5 10 25 50). Everything it makes is removed.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod client;
mod tool;

use client::docker;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tool::{Result, Tool, median, ms};

/// The agent's work: a page through the door and the gate, a file in its home, and the end when it is told.
const MANIFEST: &str = r#"{
  "bottles": { "scale": {} },
  "agents": { "scale": { "bottle": "scale", "command": ["sh", "-c",
    "curl -sS http://gate.bottle/ >/tmp/page && test -s /tmp/page && echo x >~/file && echo READY $CLAUDE_BOTTLE; read line; rm ~/file"] } }
}"#;

const KEPT_SESSIONS: u32 = 1000;

struct Scale {
    tool: Tool,
}

/// One bottle under way.
struct Bottle {
    child: Child,
    identity: String,
    /// From the first start of all to its own word that it is ready.
    ready: Duration,
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let scale = Scale { tool: Tool::new(args.next(), "scale", MANIFEST)? };
    let mut counts: Vec<usize> = args.map(|count| count.parse()).collect::<std::result::Result<_, _>>()?;
    if counts.is_empty() {
        counts = vec![1, 5, 10, 25, 50];
    }
    scale.all(&counts)
}

impl Scale {
    fn all(&self, counts: &[usize]) -> Result<()> {
        // The first start builds what is missing and learns the engine.
        self.round(1)?;
        println!(
            "bottles at once    all ready   per bottle    all ended   per bottle    memory per bottle: tool    gate    init"
        );
        for &count in counts {
            self.round(count)?.print(count);
        }
        self.list()
    }

    /// Starts so many at once, looks at them, ends them at once, and holds that nothing of them is left.
    fn round(&self, count: usize) -> Result<Round> {
        let begin = Instant::now();
        let threads: Vec<_> = (0..count)
            .map(|_| {
                let mut command = self.tool.run(&["start", "--yes", "scale"]);
                std::thread::spawn(move || start(&mut command, begin).map_err(|e| e.to_string()))
            })
            .collect();
        let mut bottles = Vec::new();
        for thread in threads {
            bottles.push(thread.join().map_err(|_| "a start panicked")??);
        }
        let identities: BTreeSet<&str> = bottles.iter().map(|bottle| bottle.identity.as_str()).collect();
        if identities.len() != count {
            return Err(format!("{count} bottles have {} identities", identities.len()).into());
        }
        let ready = bottles.iter().map(|bottle| bottle.ready).max().unwrap_or_default();
        let tool = bottles.iter().map(|bottle| tree(bottle.child.id())).sum();
        let (mut gate, mut init) = (0, 0);
        for bottle in &bottles {
            let name = format!("claude-bottle-{}", bottle.identity);
            let format = "{{.State.Pid}}";
            let pids = docker(&["inspect", "--format", format, &format!("{name}-gate"), &format!("{name}-agent")])?;
            let pids: Vec<u32> = pids.lines().map(str::parse).collect::<std::result::Result<_, _>>()?;
            gate += proportional(pids[0]);
            init += proportional(pids[1]);
        }
        let ending = Instant::now();
        for bottle in &mut bottles {
            bottle.child.stdin.take().ok_or("no stdin")?.write_all(b"\n")?;
        }
        for bottle in &mut bottles {
            let status = bottle.child.wait()?;
            if !status.success() {
                return Err(format!("`{}` ended with {status}", bottle.identity).into());
            }
        }
        let ended = ending.elapsed();
        self.assert_nothing_left()?;
        Ok(Round { ready, ended, tool, gate, init })
    }

    fn assert_nothing_left(&self) -> Result<()> {
        let id = fs::read_to_string(self.tool.home.join("id"))?;
        let filter = format!("label=claude-bottle.home={}", id.lines().next().unwrap_or_default());
        let left = [
            docker(&["ps", "-aq", "--filter", &filter])?,
            docker(&["volume", "ls", "-q", "--filter", &filter])?,
            fs::read_dir(self.tool.home.join("state"))?.map(|entry| format!("{entry:?}")).collect(),
        ];
        match left.iter().all(String::is_empty) {
            true => Ok(()),
            false => Err(format!("something is left: {left:?}").into()),
        }
    }

    /// `list` of many kept sessions.
    fn list(&self) -> Result<()> {
        self.tool.keep(KEPT_SESSIONS)?;
        let mut times = Vec::new();
        for _ in 0..21 {
            let begin = Instant::now();
            let listed = self.tool.run(&["list"]).output()?;
            times.push(begin.elapsed());
            let lines = listed.stdout.iter().filter(|byte| **byte == b'\n').count();
            if lines < KEPT_SESSIONS as usize {
                return Err(format!("`list` shows {lines} lines").into());
            }
        }
        println!("list with {KEPT_SESSIONS} kept sessions (target 20 ms): {:.1} ms", ms(median(&mut times)));
        self.tool.forget()
    }
}

/// What a number of bottles took; memory in bytes, of all of them together.
struct Round {
    ready: Duration,
    ended: Duration,
    tool: u64,
    gate: u64,
    init: u64,
}

impl Round {
    fn print(&self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
        let (of, mib) = (count as f64, |bytes: u64| bytes as f64 / count as f64 / f64::from(1 << 20));
        println!(
            "{count:>15} {:>9.0} ms {:>9.0} ms {:>9.0} ms {:>9.0} ms {:>21.1} MiB {:>4.1} MiB {:>4.1} MiB",
            ms(self.ready),
            ms(self.ready) / of,
            ms(self.ended),
            ms(self.ended) / of,
            mib(self.tool),
            mib(self.gate),
            mib(self.init)
        );
    }
}

/// Until the agent's program says that it has done its work.
fn start(command: &mut Command, begin: Instant) -> Result<Bottle> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().ok_or("no stdout")?).read_line(&mut line)?;
    let ready = begin.elapsed();
    match line.trim().strip_prefix("READY ") {
        Some(identity) => Ok(Bottle { child, identity: identity.to_owned(), ready }),
        None => {
            let output = child.wait_with_output()?;
            Err(format!("a bottle was not ready: {line}{}", String::from_utf8_lossy(&output.stderr)).into())
        }
    }
}

/// Memory of a process, shared pages in proportion, in bytes; 0 of one that has ended.
fn proportional(pid: u32) -> u64 {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// The same of a process and all below it.
fn tree(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    proportional(pid) + children.split_whitespace().filter_map(|child| child.parse().ok()).map(tree).sum::<u64>()
}
