//! The soak: real sessions, ended at a random moment by a random signal, to the program or to all of its group. No
//! transcript may be lost, no mark may be wrong, nothing may stay. `make soak` runs it longer.

use super::ends::child_of;
use super::{Going, Ran, Rig, docker};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Runs, unless `SOAK` says how many.
const RUNS: u32 = 50;
/// At once.
const BESIDE: usize = 3;

/// Writes a transcript, says so, goes on writing for a while, and ends in one of two ways.
const AGENT: &str = r#"
mkdir -p ~/.claude/projects/-x; file=~/.claude/projects/-x/$CLAUDE_BOTTLE.jsonl
echo '{"first":"'$CLAUDE_BOTTLE'"}' >$file; sync $file; echo WRO''TE
n=0; while [ $n -lt $((0x$(od -An -N1 -tx1 /dev/urandom | tr -d ' ') / 4)) ]; do n=$((n + 1)); echo '{"n":'$n'}' >>$file; sleep 0.02; done
exit $((n % 2 * 3))
"#;

fn manifest(words: &str) -> Value {
    json!({ "bottles": { "b": {} }, "agents": { "a": { "bottle": "b", "command": ["sh", "-c", words] } } })
}

/// Not for secrets: a sequence that a seed gives again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

#[test]
fn random_ends_lose_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let runs = number("SOAK").map_or(RUNS, |runs| u32::try_from(runs).unwrap());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("SOAK_SEED").unwrap_or_else(|| u64::from(now.subsec_nanos()) | 1);
    let began = Instant::now();
    let (next, figures) = (AtomicU32::new(0), Mutex::new(BTreeMap::<String, u32>::new()));
    thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                loop {
                    let run = next.fetch_add(1, Ordering::Relaxed);
                    if run >= runs {
                        return;
                    }
                    let told = one(Dice(seed.wrapping_mul(u64::from(run) * 2 + 3)), run, seed);
                    *figures.lock().unwrap().entry(told).or_default() += 1;
                }
            });
        }
    });
    let figures = figures.into_inner().unwrap();
    let text: Vec<String> = figures.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let spent = began.elapsed().as_secs();
    let line =
        format!("soak: {runs} runs in {spent} s, seed {seed}: {}; nothing lost, nothing left\n", text.join(", "));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn one(mut dice: Dice, run: u32, seed: u64) -> String {
    let rig = Rig::new(&manifest(AGENT));
    let terminal = dice.below(2) == 0;
    let signal = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL][dice.below(4) as usize];
    let group = dice.below(2) == 0;
    let wait = Duration::from_millis(dice.below(2600));
    let story = format!("run {run} of seed {seed}: {signal} after {wait:?}, terminal {terminal}, group {group}");

    let args = ["start", "--yes", "a"];
    let mut command = if terminal { rig.terminal_command(&args) } else { rig.ours(&args) };
    command.process_group(0);
    let going = Going::new(&mut command);
    thread::sleep(wait);
    // The terminal's program has our process for its child, which leads the foreground; or it has ended.
    let process = if terminal { child_of_or_none(going.pid()) } else { Some(going.pid()) };
    if let Some(process) = process {
        let target = if group { -process } else { process };
        let _ = kill(Pid::from_raw(target), signal);
    }
    let ran = going.end();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let wrote = said.contains("WROTE");
    let told = after(&rig, &ran, wrote, signal == Signal::SIGKILL, &format!("{story}\n{said}"));
    for identity in rig.sessions() {
        rig.run(&["cleanup", "--yes", &identity], "").code(0);
    }
    rig.run(&["cleanup", "--yes"], "").code(0);
    rig.assert_nothing_left();
    told
}

/// What became of it; the mark is held against what the engine says.
fn after(rig: &Rig, ran: &Ran, wrote: bool, killed: bool, story: &str) -> String {
    let listed: Value = serde_json::from_str(&rig.run(&["list", "--format", "json"], "").code(0).stdout).unwrap();
    let Some(session) = listed.get(0) else {
        assert!(!wrote || ran.code == Some(0), "gone, and it had not earned it: {story}");
        return if wrote { "ended well" } else { "taken back before the agent spoke" }.to_owned();
    };
    let identity = session["identity"].as_str().unwrap();
    let state = session["state"].as_str().unwrap();
    let running = rig.objects().iter().any(|name| name.ends_with("-agent")) && {
        docker(&["inspect", "--format", "{{.State.Running}}", &format!("claude-bottle-{identity}-agent")]).trim()
            == "true"
    };
    match state {
        "lost" => assert!(killed, "lost, and nobody killed it: {story}"),
        "kept" => assert!(!running, "kept, and it runs: {story}"),
        other => panic!("{other}: {story}"),
    }
    if running {
        docker(&["wait", &format!("claude-bottle-{identity}-agent")]);
    }
    let wrote = wrote || {
        // What was said may have gone with the one who was killed; what was written has not.
        state == "lost" && !rig.objects().is_empty()
    };
    if wrote && !rig.objects().is_empty() {
        let file = format!("~/.claude/projects/-x/{identity}.jsonl");
        rig.manifest(&manifest(&format!("head -n 1 {file} 2>/dev/null; exit 0")));
        let resumed = rig.run(&["resume", "--yes", identity], "").code(0);
        let first = format!("{{\"first\":\"{identity}\"}}\n");
        let unsaid = state == "lost" && resumed.stdout.is_empty() && !story.contains("WROTE");
        assert!(resumed.stdout == first || unsaid, "the transcript is lost: {story}\n{}", resumed.stdout);
        return format!("{state}, and gone on with");
    }
    assert!(!wrote, "its home is gone: {story}");
    format!("{state} before the agent spoke")
}

fn child_of_or_none(parent: i32) -> Option<i32> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    (!children.trim().is_empty()).then(|| child_of(parent))
}
