//! `make bench`, the bottle's half: start and end against the engine's own calls, in one run, as medians and ratios.
//!
//! Arguments: the program, and how many rounds (default 9). Everything it makes carries its home's label and is removed.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod client;
mod tool;

use client::docker;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tool::{Result, Tool, median, ms};

struct Bench {
    tool: Tool,
    rounds: usize,
    image: String,
    gate: String,
}

const MANIFEST: &str = r#"{
  "bottles": { "bench": { "egress": { "routes": [ { "host": "example.org" } ] } } },
  "agents": { "bench": { "bottle": "bench", "command": ["sh", "-c", "date +%s%N"] } }
}"#;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let tool = Tool::new(args.next(), "bench", MANIFEST)?;
    let rounds = args.next().map_or(Ok(9), |rounds| rounds.parse())?;
    Bench { tool, rounds, image: String::new(), gate: String::new() }.all()
}

impl Bench {
    fn all(&mut self) -> Result<()> {
        // The first start builds what is missing and learns the engine.
        self.start_with_yes()?;
        let plan: serde_json::Value = serde_json::from_slice(&self.tool.plan()?)?;
        self.image = plan["images"]["agent"].as_str().ok_or("no image in the plan")?.to_owned();
        self.gate = plan["images"]["gate"].as_str().ok_or("no image in the plan")?.to_owned();

        let (mut bare, mut floor, mut with_yes, mut from_yes) = (vec![], vec![], vec![], vec![]);
        let (mut end, mut sequence) = (vec![], vec![]);
        for _ in 0..self.rounds {
            bare.push(self.bare()?);
            let (up, down) = self.floor()?;
            floor.push(up);
            sequence.push(down);
            let (up, down) = self.start_with_yes()?;
            with_yes.push(up);
            end.push(down);
            from_yes.push(self.after_yes()?);
        }
        let bare = median(&mut bare);
        println!("start, until the program's first output        median    x bare run");
        row("bare `docker run` of the same image, bridge", bare, bare);
        row("floor: the same two containers, both at once", median(&mut floor), bare);
        row("start --yes                  (target 1.5)", median(&mut with_yes), bare);
        row("start, from the \"yes\"        (target 1.1)", median(&mut from_yes), bare);
        let sequence = median(&mut sequence);
        println!("end, from the agent's exit                     median    x sequence");
        row("`docker cp` and both `docker rm -f -v` in turn", sequence, sequence);
        row("claude-bottle, to the prompt (target 0.85)", median(&mut end), sequence);
        self.quick()
    }

    /// No engine call: dry run, list, what a shell asks for at a TAB.
    fn quick(&self) -> Result<()> {
        println!("no engine call                                 median");
        self.tool.keep(100)?;
        for (name, args) in [
            ("start --dry-run              (target 5 ms)", &["start", "--dry-run", "bench"][..]),
            ("list, with 100 kept          (target 5 ms)", &["list"][..]),
            ("TAB after resume, the same   (target 5 ms)", &["names", "resting"][..]),
            ("TAB after start              (target 5 ms)", &["names", "agents"][..]),
        ] {
            let mut times = vec![];
            for _ in 0..20 {
                times.push(wall(&mut self.tool.run(args))?);
            }
            println!("  {name:<44} {:>7.1} ms", ms(median(&mut times)));
        }
        self.tool.forget()?;
        self.shells()
    }

    /// What a shell does more: at its start, and before each prompt, against a hook that does nothing.
    fn shells(&self) -> Result<()> {
        fs::write(self.tool.home.join("prompt"), "1 1 1\n")?;
        let loops = "for ((i = 0; i < 1000; i++)); do HOOK; done";
        println!("shells                                         median    an empty hook");
        for (shell, flags, ours, hook, many) in [
            ("bash", &["--norc", "--noprofile"][..], "eval \"$(SHELL)\"", "__claude_bottle_hook", loops),
            ("zsh", &["-f"], "eval \"$(SHELL)\"", "__claude_bottle_hook", loops),
            (
                "fish",
                &["--no-config"],
                "SHELL | source",
                "__claude_bottle_before 0",
                "set i 0; while test $i -lt 1000; set i (math $i + 1); HOOK; end >/dev/null",
            ),
        ] {
            let ours = ours.replace("SHELL", &format!("{} shell {shell}", self.tool.program.display()));
            let empty = if shell == "fish" { "function empty; end" } else { "empty() { :; }" };
            let run = |script: String| -> Result<Duration> {
                let mut times = vec![];
                for _ in 0..9 {
                    let mut command = Command::new(shell);
                    command.args(flags).args(["-c", &script]).env("CLAUDE_BOTTLE_HOME", &self.tool.home);
                    times.push(wall(command.env("HOME", &self.tool.home).env("CLAUDE_BOTTLE_PROMPT", "left"))?);
                }
                Ok(median(&mut times))
            };
            let bare = run(empty.to_owned())?;
            let sourced = run(format!("{empty}\n{ours}"))?;
            let of = |hook: &str| -> Result<Duration> {
                let whole = run(format!("{empty}\n{ours}\n{}", many.replace("HOOK", hook)))?;
                Ok(whole.saturating_sub(sourced) / 1000)
            };
            let (hooked, nothing) = (of(hook)?, of("empty")?);
            println!("  {:<44} {:>7.1} ms", format!("{shell}, its start, more by"), ms(sourced.saturating_sub(bare)));
            println!(
                "  {:<44} {:>7.3} ms    {:.3} ms",
                format!("{shell}, before a prompt         (target 5 ms)"),
                ms(hooked),
                ms(nothing)
            );
        }
        Ok(fs::remove_file(self.tool.home.join("prompt"))?)
    }

    fn bare(&self) -> Result<Duration> {
        let args = ["run", "--rm", "--pull", "never", "--entrypoint", "date", &self.image, "+%s%N"];
        Ok(first_output(Command::new("docker").args(args))?.0)
    }

    /// Two containers of the same images by hand, both started at once; then copied from and removed in turn.
    fn floor(&self) -> Result<(Duration, Duration)> {
        let name = format!("claude-bottle-bench-{}", std::process::id());
        let (gate, agent) = (format!("{name}-gate"), format!("{name}-agent"));
        let begin = Instant::now();
        let base = ["create", "-i", "--pull", "never", "--label", "claude-bottle.test=bench", "--name"];
        // A gate that waits for its document is all that its image can run.
        docker(&[&base[..], &[&gate, &self.gate, "serve"]].concat())?;
        let mut held = Command::new("docker");
        let mut held = held.args(["start", "-ai", &gate]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let flags = ["--network", "none", "--volumes-from", &format!("{gate}:ro"), "--entrypoint", "date"];
        docker(&[&base[..], &[&agent], &flags[..], &[&self.image, "+%s%N"]].concat())?;
        let (_, said) = first_output(Command::new("docker").args(["start", "-ai", &agent]))?;
        let up = begin.elapsed();
        docker(&["cp", &format!("{agent}:/home/agent"), "-"])?;
        docker(&["rm", "-f", "-v", &gate])?;
        docker(&["rm", "-f", "-v", &agent])?;
        let down = since(&said)?;
        held.wait()?;
        Ok((up, down))
    }

    /// To the first output; and from the agent's own last moment to the program's end.
    fn start_with_yes(&self) -> Result<(Duration, Duration)> {
        let (up, said) = first_output(self.tool.run(&["start", "--yes", "bench"]).stderr(Stdio::null()))?;
        Ok((up, since(&said)?))
    }

    /// On a terminal (util-linux's `script` makes one): the question, a person who reads for two seconds, "y".
    fn after_yes(&self) -> Result<Duration> {
        let line = format!("stty rows 40 cols 120; exec {} start bench", self.tool.program.display());
        let mut command = Command::new("script");
        command
            .args(["-qfec", &line, "/dev/null"])
            .env("CLAUDE_BOTTLE_HOME", &self.tool.home)
            .current_dir(&self.tool.home);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (mut stdin, mut stdout) = (child.stdin.take().ok_or("stdin")?, child.stdout.take().ok_or("stdout")?);
        until(&mut stdout, "[y/N]")?;
        std::thread::sleep(Duration::from_secs(2));
        let begin = Instant::now();
        stdin.write_all(b"y\n")?;
        until(&mut stdout, "\n1")?;
        let up = begin.elapsed();
        std::io::copy(&mut stdout, &mut std::io::sink())?;
        child.wait()?;
        Ok(up)
    }
}

/// The whole run of a command that prints to nobody.
fn wall(command: &mut Command) -> Result<Duration> {
    let begin = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    let wall = begin.elapsed();
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(wall)
}

/// Reads up to the words.
fn until(from: &mut impl Read, words: &str) -> Result<()> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(words.as_bytes()) {
        if from.read(&mut byte)? == 0 {
            return Err(format!("ended before `{words}`: {}", String::from_utf8_lossy(&seen)).into());
        }
        seen.push(byte[0]);
    }
    Ok(())
}

/// Time to the first byte of stdout, and all of stdout once the command has ended.
fn first_output(command: &mut Command) -> Result<(Duration, String)> {
    let begin = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("stdout")?;
    let mut text = vec![0];
    stdout.read_exact(&mut text)?;
    let up = begin.elapsed();
    stdout.read_to_end(&mut text)?;
    child.wait()?;
    Ok((up, String::from_utf8(text)?))
}

/// From the moment that the agent's `date` printed as its last act.
fn since(said: &str) -> Result<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(now.saturating_sub(Duration::from_nanos(said.trim_matches(['\0', '\n', ' ']).parse()?)))
}

fn row(name: &str, time: Duration, base: Duration) {
    println!("  {name:<44} {:>7.1} ms    {:.2}", ms(time), time.as_secs_f64() / base.as_secs_f64());
}
