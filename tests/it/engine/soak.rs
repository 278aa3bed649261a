//! Real sessions, killed by random signals at random moments, from before there is anything to well after the end:
//! nothing that an agent wrote is lost, every mark is true, and a cleanup leaves nothing.
//!
//! Here the delays are the point. `SOAK=RUNS` makes it long, and looks at the whole engine, which then nobody else may
//! use; `SOAK_SEED` repeats one.

use super::ends::child_of;
use super::session::shell;
use super::{Rig, docker, lines, run};
use crate::harness::WAIT_TIMEOUT;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many are under way at once.
const AT_ONCE: usize = 2;

/// What each transcript begins with.
const FIRST: &str = "{\"first\":1}\n";

#[test]
fn random_ends_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (asked, began) = (number("SOAK"), Instant::now());
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (runs, seed) = (asked.unwrap_or(50), number("SOAK_SEED").unwrap_or_else(clock));
    println!("SOAK_SEED={seed}: {runs} runs");
    let before = whole_engine();
    let (left, tally) = (Mutex::new(0..runs), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(number) = left.lock().unwrap().next() else { return };
                    let run = Run::draw(&mut Dice(seed.wrapping_add(number)));
                    let mut found = Tally::default();
                    one(&run, &mut found);
                    tally.lock().unwrap().add(found, &format!("run {number}, {run:?}"));
                }
            });
        }
    });
    let mut tally = tally.into_inner().unwrap();
    // What a killed client had asked for may have come when all else was gone.
    for rig in tally.rigs.iter().filter(|rig| !rig.objects().is_empty()) {
        rig.run(&["cleanup", "--yes"], "").code(0);
        tally.wrong.extend(rig.objects().into_iter().map(|object| format!("left on the engine: {object}")));
    }
    if asked.is_some() {
        tally.wrong.extend(whole_engine().difference(&before).map(|object| format!("left on the engine: {object}")));
    }
    for (what, count) in &tally.counts {
        println!("{count:>5}  {what}");
    }
    println!("{:>5}  seconds", began.elapsed().as_secs());
    assert!(tally.wrong.is_empty(), "SOAK_SEED={seed}\n{}", tally.wrong.join("\n"));
    // It did try what it is for.
    for what in ["transcripts written", "ended: kept", "ended: lost"] {
        assert!(tally.counts.get(what).is_some_and(|count| *count > 0), "no {what} in {:?}", tally.counts);
    }
}

/// Containers, volumes and images, whoever made them.
fn whole_engine() -> BTreeSet<String> {
    let asked: [&[&str]; 3] = [&["ps", "-aq"], &["volume", "ls", "-q"], &["image", "ls", "-aq"]];
    asked.iter().flat_map(|args| lines(&docker(args))).collect()
}

/// Numbers that are the same for the same seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.below(these.len() as u64) as usize]
    }

    fn millis(&mut self, below: u64) -> Duration {
        Duration::from_millis(self.below(below))
    }
}

/// How the agent goes on once it has written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Agent {
    Waits,
    Ends,
    Fails,
    /// Ends well, and leaves changes not copied back yet.
    Works,
}

#[derive(Clone, Copy, Debug)]
enum Moment {
    Spawned(Duration),
    Wrote(Duration),
}

#[derive(Debug)]
struct Run {
    agent: Agent,
    /// How often it writes again before it ends.
    lines: u64,
    terminal: bool,
    /// Answered before it is asked.
    asks: bool,
    signal: Signal,
    /// To the whole foreground group, not to our process alone.
    group: bool,
    moment: Moment,
    /// Once more, that much later.
    again: Option<Duration>,
    /// What is kept of it is gone on with.
    resumed: bool,
}

impl Run {
    fn draw(dice: &mut Dice) -> Run {
        let terminal = dice.below(2) == 0;
        Run {
            agent: dice.one_of(&[Agent::Waits, Agent::Waits, Agent::Ends, Agent::Fails, Agent::Works]),
            lines: dice.below(20),
            terminal,
            asks: terminal && dice.below(3) == 0,
            signal: dice.one_of(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL]),
            group: dice.below(2) == 0,
            moment: match dice.below(3) {
                0 => Moment::Spawned(dice.millis(1500)),
                1 => Moment::Spawned(dice.millis(3000)),
                _ => Moment::Wrote(dice.millis(500)),
            },
            again: (dice.below(5) == 0).then(|| dice.millis(300)),
            resumed: dice.below(4) == 0,
        }
    }

    /// It tells that it wrote when the disk has it, and that it ends when it has nothing more to say.
    fn manifest(&self) -> Value {
        let end = match self.agent {
            Agent::Waits => "while :; do more; done",
            Agent::Ends => "echo END''ING; exit 0",
            Agent::Fails => "exit 7",
            Agent::Works => "echo work >work; exit 0",
        };
        shell(&format!(
            "d=~/.claude/projects/-x; f=$d/s.jsonl; mkdir -p $d; echo '{{\"first\":1}}' >$f; sync $f; echo WRO''TE
            more() {{ echo '{{\"more\":1}}' >>$f; sleep 0.02; }}
            i=0; while [ $i -lt {} ]; do more; i=$((i + 1)); done
            {end}",
            self.lines
        ))
    }

    fn code(&self) -> Option<i32> {
        match self.agent {
            Agent::Waits => None,
            Agent::Ends | Agent::Works => Some(0),
            Agent::Fails => Some(7),
        }
    }
}

/// What was counted, and what was not as it should be.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, u64>,
    wrong: Vec<String>,
    rigs: Vec<Rig>,
}

impl Tally {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn add(&mut self, other: Tally, story: &str) {
        for (what, count) in other.counts {
            *self.counts.entry(what).or_default() += count;
        }
        self.wrong.extend(other.wrong.into_iter().map(|what| format!("{what}\n    {story}")));
        self.rigs.extend(other.rigs);
    }
}

fn one(run: &Run, tally: &mut Tally) {
    let rig = Rig::new(&run.manifest());
    let shown = rig.path().join("shown");
    let text = || String::from_utf8_lossy(&fs::read(&shown).unwrap()).into_owned();
    let mut going = begin(run, &rig, File::create(&shown).unwrap());
    let process = going.process();
    match run.moment {
        Moment::Spawned(delay) => sleep(delay),
        Moment::Wrote(delay) => {
            until(|| text().contains("WROTE") || going.ended());
            sleep(delay);
        }
    }
    let send = || {
        let whom = if run.group { -process } else { process };
        kill(Pid::from_raw(whom), run.signal).is_ok()
    };
    tally.count(format!("{} to {}", run.signal, if run.group { "the group" } else { "the process" }));
    let sent = send();
    if !sent {
        tally.count("ended before the signal");
    }
    if let Some(delay) = run.again {
        sleep(delay);
        send();
    }
    if !until(|| going.ended()) {
        tally.wrong.push("hangs".to_owned());
        let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
    }
    let status = going.child.wait().unwrap();
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    if code != run.code() && (!sent || code != Some(128 + run.signal as i32)) {
        tally.wrong.push(format!("the exit code is {code:?}"));
    }
    weigh(run, &rig, &text(), tally);
    go_on(run, &rig, &text(), tally);
    if !tally.wrong.is_empty() {
        tally.wrong.push(format!("it showed:\n{}", text()));
    }
    tally.rigs.push(rig);
}

/// The mark against what is on the engine, and the transcript against what was shown; nothing that is kept went yet.
fn weigh(run: &Run, rig: &Rig, shown: &str, tally: &mut Tally) {
    let killed = run.signal == Signal::SIGKILL;
    // A child that was just being made has its parent's lock until it is the engine's client.
    until(|| state(rig) != "live");
    let found = state(rig);
    tally.count(format!("ended: {found}"));
    let rest = if found == "lost" && killed { settle(rig) } else { found };
    let wrote = shown.contains("WROTE");
    let earned = run.agent == Agent::Ends && shown.contains("ENDING");
    let (objects, session) = (rig.objects(), rig.sessions().pop());
    let home = session.as_ref().map(|identity| format!("claude-bottle-{identity}"));
    let fits = match (rest.as_str(), &home) {
        ("gone", None) => (earned || !wrote) && (killed || objects.is_empty()),
        // What a killed client had asked for may come still.
        ("kept", Some(home)) => objects.contains(home) && (killed || objects.len() == 1),
        _ => false,
    };
    if !fits {
        tally.wrong.push(format!("a wrong mark: {rest}, and there is {objects:?}"));
    }
    if wrote {
        tally.count("transcripts written");
        let file = |identity: &String| fs::read_to_string(rig.state(identity).join("transcript/-x/s.jsonl"));
        match session.map(|identity| file(&identity)) {
            Some(Ok(said)) if said.starts_with(FIRST) => tally.count("transcripts kept"),
            None if earned => tally.count("transcripts of sessions that ended well"),
            other => tally.wrong.push(format!("a LOST transcript: {other:?}")),
        }
    }
}

/// What is kept is resumed, or goes.
fn go_on(run: &Run, rig: &Rig, shown: &str, tally: &mut Tally) {
    let Some(identity) = rig.sessions().pop() else { return };
    let (ran, wanted) = if run.resumed && shown.contains("WROTE") {
        tally.count("resumed");
        rig.manifest(&shell("head -n 1 ~/.claude/projects/-x/s.jsonl; rm -f work; exit 0"));
        (rig.run(&["resume", "--yes", &identity], ""), FIRST)
    } else {
        // By its name, for it may have work.
        (rig.run(&["cleanup", "--yes", &identity], ""), "")
    };
    if ran.code != Some(0) || ran.stdout != wanted || !rig.sessions().is_empty() {
        tally.wrong.push(format!("gone on with, it ended with {:?}: {}", ran.code, ran.stderr));
    }
}

struct Going {
    child: Child,
    terminal: bool,
}

impl Going {
    fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Our process: on a terminal it is the one child of the program that makes it.
    fn process(&mut self) -> i32 {
        let pid = i32::try_from(self.child.id()).unwrap();
        if !self.terminal {
            return pid;
        }
        until(|| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|text| !text.is_empty()));
        child_of(pid)
    }
}

fn begin(run: &Run, rig: &Rig, shown: File) -> Going {
    let args: &[&str] = if run.asks { &["start", "a"] } else { &["start", "--yes", "a"] };
    let mut command = if run.terminal { rig.terminal_command(args) } else { rig.ours(args) };
    // A file, for whoever outlives the program may hold it open.
    command.stdin(Stdio::piped()).stdout(shown.try_clone().unwrap()).stderr(shown).process_group(0);
    let mut child = command.spawn().unwrap();
    if run.asks {
        child.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
    }
    Going { child, terminal: run.terminal }
}

/// False if it takes too long.
fn until(mut done: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    while !done() {
        if began.elapsed() > WAIT_TIMEOUT {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}

/// What `list` says of the one session.
fn state(rig: &Rig) -> String {
    let listed: Value = serde_json::from_str(&rig.run(&["list", "--format", "json"], "").code(0).stdout).unwrap();
    listed[0]["state"].as_str().unwrap_or("gone").to_owned()
}

/// A person asks what would go, and lets nothing go; the state after that.
fn settle(rig: &Rig) -> String {
    run(&mut rig.terminal_command(&["cleanup"]), "q\n").code(0);
    state(rig)
}
