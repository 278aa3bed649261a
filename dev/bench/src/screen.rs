//! `make bench` of the dashboard: fifty bottles with five hundred proposals each, or as many as are named: how long a key
//! takes to reach the screen, how much of a processor an idle screen takes, and how long a hundred thousand lines of audit
//! take `suggest` and `check --replay`.
//!
//! Arguments: the program, bottles, proposals of each. Everything it makes is removed.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod tool;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tool::{Result, Tool, median, ms};

const MANIFEST: &str = r#"{ "bottles": { "box": { "egress": { "routes": [ { "host": "api.example.org", "paths": ["/a/**"] } ] } } },
  "agents": { "screen": { "bottle": "box" } } }"#;
const KEYS: usize = 200;
const IDLE_TIME: Duration = Duration::from_secs(10);
const LINES: usize = 100_000;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let tool = Tool::new(args.next(), "screen", MANIFEST)?;
    let bottles: u32 = args.next().map_or(Ok(50), |count| count.parse())?;
    let proposals: usize = args.next().map_or(Ok(500), |count| count.parse())?;
    tool.keep(bottles)?;
    for entry in fs::read_dir(tool.home.join("state"))? {
        fs::write(entry?.path().join("audit.jsonl"), trail(proposals))?;
    }
    screen(&tool, &format!("{bottles} bottles of {proposals} proposals"))?;
    lines(&tool)
}

/// Proposals, and half as many refusals of other hosts.
fn trail(proposals: usize) -> String {
    let mut text = String::new();
    for number in 0..proposals {
        let (minute, second) = (number / 60 % 60, number % 60);
        let head = format!(r#""seq":{number},"time":"2026-01-01T00:{minute:02}:{second:02}.000Z""#);
        let change = format!(
            r#"{{"kind":"egress","host":"api.example.org","port":443,"method":"GET","path":"/x/word{number}"}}"#
        );
        let _ = writeln!(
            text,
            r#"{{{head},"event":"proposal","change":{change},"reason":"I need number {number}, 日本語."}}"#
        );
        if number % 2 == 0 {
            let _ = writeln!(
                text,
                r#"{{{head},"event":"request","host":"h{number}.example","port":443,"method":"GET","path":"/","verdict":"deny","denial":"host","reason":"host is not on the allowlist","sent":0,"received":0,"ms":0}}"#
            );
        }
    }
    text
}

fn screen(tool: &Tool, what: &str) -> Result<()> {
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let open =
        OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(ptsname_r(&master)?)?;
    let slave = || -> Result<Stdio> { Ok(Stdio::from(open.try_clone()?)) };
    let inner = tool.run(&["dashboard"]);
    let mut command = std::process::Command::new("/usr/bin/setsid");
    command
        .arg("--ctty")
        .arg(inner.get_program())
        .args(inner.get_args())
        .env("CLAUDE_BOTTLE_HOME", &tool.home)
        .env("TERM", "xterm");
    let mut child = command.stdin(slave()?).stdout(slave()?).stderr(slave()?).spawn()?;
    drop(open);
    read_until(&mut master, "proposals")?;
    // Ages in seconds change the screen each second of the first minute.
    while read_some(&mut master, Duration::from_secs(2))?.is_some() {}
    println!("{what}");
    let mut times = Vec::new();
    for key in 0..KEYS {
        let begin = Instant::now();
        master.write_all(if key % 3 == 2 { b"k" } else { b"j" })?;
        read_some(&mut master, Duration::from_secs(5))?.ok_or("no answer to a key")?;
        times.push(begin.elapsed());
    }
    times.sort();
    println!(
        "key to screen: median {:.2} ms, worst {:.2} ms of {KEYS}",
        ms(median(&mut times)),
        ms(*times.last().ok_or("no key")?)
    );
    let before = ticks(child.id())?;
    std::thread::sleep(IDLE_TIME);
    let used = ticks(child.id())? - before;
    println!("idle: {:.2} % of a processor", used as f64 / 100.0 / IDLE_TIME.as_secs_f64() * 100.0);
    master.write_all(b"q")?;
    while read_some(&mut master, Duration::from_secs(5)).is_ok_and(|read| read.is_some()) {}
    child.wait()?;
    Ok(())
}

/// What comes next; `None` after `timeout` without anything.
fn read_some(master: &mut PtyMaster, timeout: Duration) -> Result<Option<String>> {
    let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    if poll(&mut fds, PollTimeout::try_from(timeout)?)? == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; 1 << 16];
    let count = master.read(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes[..count]).into_owned()))
}

fn read_until(master: &mut PtyMaster, text: &str) -> Result<()> {
    let mut seen = String::new();
    while !seen.contains(text) {
        seen.push_str(&read_some(master, Duration::from_secs(60))?.ok_or_else(|| format!("no `{text}`: {seen}"))?);
    }
    Ok(())
}

/// Hundredths of a second of processor time that a process has used.
fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no stat")?.1.split_whitespace().collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// A hundred thousand requests, half of them refused, through `suggest` and `check --replay`.
fn lines(tool: &Tool) -> Result<()> {
    let mut text = String::new();
    for number in 0..LINES {
        let (verdict, path) = if number % 2 == 0 {
            (r#""allow""#, "a")
        } else {
            (r#""deny","denial":"path","reason":"path is not on the allowlist""#, "b")
        };
        let _ = writeln!(
            text,
            r#"{{"seq":{number},"time":"2026-01-01T00:00:00.000Z","event":"request","host":"api.example.org","port":443,"method":"GET","path":"/{path}/word{}/{number}","verdict":{verdict},"rule":"/home/you/.claude-bottle/claude-bottle.json:7","sent":0,"received":1024,"ms":12}}"#,
            number % 5000
        );
    }
    tool.forget()?;
    tool.keep(1)?;
    let folder = fs::read_dir(tool.home.join("state"))?.next().ok_or("no session")??;
    fs::write(folder.path().join("audit.jsonl"), &text)?;
    let identity = folder.file_name().into_string().map_err(|_| "a name")?;
    for args in [vec!["suggest", &identity], vec!["check", "screen", "--replay", &identity]] {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            tool.run(&args).output()?;
            times.push(begin.elapsed());
        }
        times.sort();
        println!("{}: {LINES} lines in {:.0} ms (median of 5)", args[0], ms(median(&mut times)));
    }
    Ok(())
}
