//! What `names` and `shell` print, in the real shells on a terminal.

use crate::harness::{PROGRAM, Place, Run, Terminal};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use testing::process::try_output;

/// A home with sessions of every kind, and agents of its own and of a directory's.
pub struct World {
    pub place: Place,
    _owner: Flock<File>,
}

const KEPT: &str = r#"{"mark":"kept","why":"it said `id` $(id) %F{red}: \u001b[31m\n\tno"}"#;

impl World {
    pub fn new() -> World {
        let place = Place::new(
            r#"{ "bottles": { "box": {}, "own": { "cwd_agents": false } },
                 "agents": { "plain": { "bottle": "box" }, "both": { "bottle": "box" }, "broken": { "bottle": 3 } } }"#,
        );
        place.write(
            "work/claude-bottle.json",
            r#"{ "agents": { "both": { "bottle": "box" }, "here": { "bottle": "own" } } }"#,
        );
        place.write("work/picture.png", "");
        let marks = [
            ("plain-live1", r#"{"mark":"live"}"#),
            ("plain-lost1", r#"{"mark":"live"}"#),
            ("plain-away1", r#"{"mark":"detached"}"#),
            ("plain-kept1", KEPT),
            ("here-kept2", r#"{"mark":"kept","why":"killed (137)"}"#),
            // Nobody's, and not to be typed.
            ("$(touch ran) x", r#"{"mark":"detached"}"#),
        ];
        let file = |identity: &str, name: &str| format!("home/.claude-bottle/state/{identity}/{name}");
        for (identity, mark) in marks {
            place.write(&file(identity, "mark"), mark);
            place.write(&file(identity, "lock"), "");
        }
        let lock = File::open(place.path(&file("plain-live1", "lock"))).unwrap();
        let owner = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno).unwrap();
        World { place, _owner: owner }
    }
}

/// The search path with the program in front.
pub fn with_program() -> String {
    format!("{}:{}", Path::new(PROGRAM).parent().unwrap().display(), std::env::var("PATH").unwrap())
}

#[test]
fn names() {
    let world = World::new();
    let place = &world.place;
    let before = place.whole_home();
    let ages = |text: &str| {
        // How old they are is not said twice the same.
        let word = |word: &str| word.strip_suffix('s').is_some_and(|n| n.parse::<u64>().is_ok());
        let line = |line: &str| line.split(' ').filter(|one| !word(one)).collect::<Vec<_>>().join(" ");
        text.lines().map(|text| line(text) + "\n").collect::<String>()
    };
    let names = |of: &[&str]| {
        let done = place.run(&[&["names"], of].concat()).done();
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        ages(&done.stdout)
    };
    let file = place.path("home/.claude-bottle/claude-bottle.json");
    // A long one is cut.
    let found =
        names(&["agents"]).split_once("at /").map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap();
    assert_eq!(
        found.0,
        "both\tagent of this directory in bottle box\n\
         broken\tbroken: `bottle` in an agent: wanted a string, found a number\n\
         here\tbroken: agent `here`: bottle `own` takes no agent of a directory: `cwd_agents` is false "
    );
    assert!(found.1.ends_with("…\nplain\tagent in bottle box\n"), "{found:?}");
    let kept = "here-kept2\tkept killed (137)\nplain-kept1\tkept it said `id` $(id) %F{red}: \\u{1b}[31m no\n";
    assert_eq!(names(&["resting"]), format!("{kept}plain-lost1\tlost\n"));
    assert_eq!(names(&["detached"]), "plain-away1\tdetached\n");
    assert_eq!(names(&["running"]), "plain-away1\tdetached\nplain-live1\tlive\n");
    assert_eq!(names(&["sessions", "detached"]).lines().count(), 6);
    assert!(place.whole_home() == before, "names are read, and nothing is written");
    assert_eq!(place.calls(), [[""; 0]; 0]);

    // What can be read is offered, whatever the rest is.
    fs::write(&file, "{ \"agents\": { \"lost\": {} ").unwrap();
    assert_eq!(
        names(&["agents"]).lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>(),
        ["both", "here"]
    );
    place.write("work/claude-bottle.json", "\u{0}");
    assert_eq!(names(&["agents"]), "");
    place.write("home/.claude-bottle/state/plain-away1/mark", "{ no mark");
    assert_eq!(names(&["detached"]), "");
    let nowhere = place.run(&["names", "agents", "sessions"]).env("CLAUDE_BOTTLE_HOME", "/nowhere/at/all");
    nowhere.test();
}

/// What is typed and evaluated has no fault that its own shell, or shellcheck, knows.
#[test]
fn shell_code_has_no_lint() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let silent = |tool: &str, args: &[&str]| {
        let output = try_output(Command::new(tool).args(args).current_dir(root));
        let output = output.unwrap_or_else(|why| panic!("{why}: sudo apt-get install {tool}"));
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{tool} {args:?}: {}", String::from_utf8_lossy(&said));
    };
    for file in ["shell/claude-bottle.bash", "completions/claude-bottle.bash"] {
        silent("shellcheck", &["--shell", "bash", file]);
        silent("shfmt", &["-i", "4", "-ci", "-d", file]);
        silent("bash", &["-n", file]);
    }
    for file in ["shell/claude-bottle.zsh", "completions/_claude-bottle"] {
        silent("zsh", &["-n", file]);
    }
    for file in ["shell/claude-bottle.fish", "completions/claude-bottle.fish"] {
        silent("fish", &["--no-execute", file]);
        silent("fish_indent", &["--check", file]);
    }
}

#[derive(Clone, Copy)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }

    /// What its users write to have ours.
    fn line(self) -> &'static str {
        match self {
            Shell::Bash => "eval \"$(claude-bottle shell bash)\"\n",
            Shell::Zsh => "eval \"$(claude-bottle shell zsh)\"\n",
            Shell::Fish => "claude-bottle shell fish | source\n",
        }
    }

    /// A prompt that says how the last command ended, and a key that shows what stands on the line.
    fn own(self) -> &'static str {
        match self {
            Shell::Bash => {
                "PS1='$?> '\nbind -x '\"\\C-t\": printf \"<%s>\\n\" \"$READLINE_LINE\"'\nbind 'set enable-bracketed-paste off'\n"
            }
            Shell::Zsh => {
                "PROMPT='%?> '\nunsetopt PROMPT_SP\nline() { print -r -- \"<$BUFFER>\" }\nzle -N line\nbindkey '^T' line\n"
            }
            Shell::Fish => {
                "function fish_prompt\necho -n \"$status> \"\nend\nset -g fish_greeting\nset -g fish_autosuggestion_enabled 0\n\
                 bind \\ct 'echo \"<\"(commandline)\">\"'\n"
            }
        }
    }

    /// On a terminal, with this for its user's file.
    fn start<'a>(self, place: &'a Place, file: &str) -> Run<'a> {
        place.write("home/.zshrc", file);
        place.write("home/.bashrc", file);
        place.write("home/.config/fish/config.fish", file);
        let args: &[&str] = match self {
            Shell::Bash => &["--noprofile", "-i"],
            Shell::Zsh => &["-d", "-i"],
            Shell::Fish => &["-i"],
        };
        let home = place.path("home").display().to_string();
        let program = format!("/usr/bin/{}", self.name());
        let run = place
            .run_other(&program, args)
            .env("PATH", with_program())
            .env("XDG_CONFIG_HOME", format!("{home}/.config"));
        run.env("XDG_DATA_HOME", format!("{home}/.local")).env("LC_ALL", "C.UTF-8")
    }
}

/// Ends it by what every shell knows.
fn leave(mut terminal: Terminal) -> String {
    terminal.types("exit 0\n");
    terminal.end().1
}

/// Types something that prints `marker`, and waits for it and then for the prompt.
#[track_caller]
fn types(terminal: &mut Terminal, line: &str, marker: &str, prompt: &str) {
    terminal.seen.clear();
    terminal.types(line);
    terminal.until(marker);
    let end = terminal.seen.find(marker).unwrap() + marker.len();
    terminal.seen.drain(..end);
    terminal.until(prompt);
}

/// In the user's file, or before it, as each shell sets it.
fn setting(shell: Shell, name: &str, value: &str) -> String {
    match shell {
        Shell::Fish => format!("set -g {name} {value}\n"),
        _ => format!("{name}={value}\n"),
    }
}

#[test]
fn a_segment_follows_the_file() {
    for shell in SHELLS {
        let world = World::new();
        let place = &world.place;
        let count = |text: &str| place.write("home/.claude-bottle/prompt", text);
        // Twice, as a file that is read again.
        let file = [&setting(shell, "CLAUDE_BOTTLE_PROMPT", "left"), shell.own(), shell.line(), shell.line()].concat();
        count("2 1 0\n");
        let mut terminal = shell.start(place, &file).on_terminal();
        terminal.until("cb:3 0> ");
        // How the command before ended is still told.
        terminal.types("false\n");
        terminal.until("cb:3 1> ");
        count("08 01 2\n");
        terminal.types("true\n");
        terminal.until("cb:9 !2 0> ");
        count("0 0 4\n");
        terminal.types("true\n");
        terminal.until("!4 0> ");
        fs::remove_file(place.path("home/.claude-bottle/prompt")).unwrap();
        terminal.types("echo no''thing\n");
        terminal.until("nothing");
        terminal.until("nothing");
        let seen = leave(terminal);
        let last = &seen[seen.rfind("nothing").unwrap()..];
        assert!(!last.contains("cb:") && !last.contains('!'), "{}: {last}", shell.name());
    }
}

#[test]
fn nothing_in_the_file_runs() {
    let hostile = [
        "$(touch ran) 1 1",
        "`touch ran` 1 1",
        "a[$(touch ran)] 1 1",
        "1 1 %D{x}",
        "1 1 1 1",
        "1 1",
        "-1 1 1",
        "1 1 0x1",
        "1000000 1 1",
        "٣ 1 1",
        "$'\\e[31m' 0 1",
        ",,",
        "1,1,1 1 1",
        "",
        "\u{1b}[31m 1 1",
        "1\u{0}1 a b",
    ];
    for shell in SHELLS {
        let world = World::new();
        let file = [&setting(shell, "CLAUDE_BOTTLE_PROMPT", "left"), shell.own(), shell.line()].concat();
        let subst = match shell {
            Shell::Zsh => "setopt prompt_subst\n",
            _ => "",
        };
        let mut terminal = shell.start(&world.place, &format!("{subst}{file}")).on_terminal();
        terminal.until("0> ");
        for (n, text) in hostile.iter().enumerate() {
            world.place.write("home/.claude-bottle/prompt", &format!("{text}\n"));
            types(&mut terminal, &format!("echo a{n}''b\n"), &format!("a{n}b"), "0> ");
            assert!(!terminal.seen.contains([':', '!']), "{} {text:?}: {}", shell.name(), terminal.seen);
        }
        leave(terminal);
        assert!(!world.place.path("work/ran").exists(), "{}", shell.name());
    }
}

/// Who sets nothing keeps the prompt that is there; a right prompt stands on the right, but in bash, which has none.
#[test]
fn a_prompt_is_asked_for() {
    for shell in SHELLS {
        let world = World::new();
        world.place.write("home/.claude-bottle/prompt", "1 0 0\n");
        for off in ["", &setting(shell, "CLAUDE_BOTTLE_PROMPT", "off")] {
            let file = [off, shell.own(), shell.line(), shell.line()].concat();
            let mut terminal = shell.start(&world.place, &file).on_terminal();
            terminal.until("0> ");
            types(&mut terminal, "claude_bottle_segment; echo '|'\n", "cb:1|", "0> ");
            types(&mut terminal, "echo a''b\n", "ab", "0> ");
            assert!(!terminal.seen.contains("cb:"), "{}: {}", shell.name(), terminal.seen);
            leave(terminal);
        }
        let file = [&setting(shell, "CLAUDE_BOTTLE_PROMPT", "right"), shell.own(), shell.line(), shell.line()].concat();
        let mut terminal = shell.start(&world.place, &file).on_terminal();
        match shell {
            Shell::Bash => terminal.until("cb:1 0> "),
            _ => {
                terminal.until("0> ");
                terminal.until("cb:1");
                assert!(terminal.seen.find("0> ") < terminal.seen.find("cb:1"), "{}", terminal.seen);
            }
        }
        leave(terminal);
    }
}

/// What a person has there already goes on working, whatever it is.
#[test]
fn what_is_there_goes_on() {
    let cases = [
        (Shell::Bash, "set -u\nPROMPT_COMMAND='echo one;'\n", "one", "cb:1 0> "),
        (Shell::Bash, "PROMPT_COMMAND=('echo one' 'PS1=\"new> \"')\n", "one", "cb:1 new> "),
        (Shell::Bash, "set -o posix\nalias cb=true\n", "", "cb:1 0> "),
        (Shell::Zsh, "setopt nounset prompt_subst\nprecmd() { echo one }\nx='$(echo sub)'\n", "one", "cb:1 0> "),
        (
            Shell::Zsh,
            "setopt ksh_arrays sh_word_split\nalias cb=true\nprecmd() { PROMPT='new> '; }\n",
            "",
            "cb:1 new> ",
        ),
        (Shell::Fish, "function cb; end\nfunction fish_right_prompt; echo -n one; end\n", "one", "cb:1 0> "),
    ];
    for (shell, before, said, prompt) in cases {
        let world = World::new();
        world.place.write("home/.claude-bottle/prompt", "1 0 0\n");
        let file =
            [shell.own(), before, &setting(shell, "CLAUDE_BOTTLE_PROMPT", "left"), shell.line(), shell.line()].concat();
        let mut terminal = shell.start(&world.place, &file).on_terminal();
        terminal.until(prompt);
        terminal.until(said);
        types(&mut terminal, "false; echo a''b\n", "ab", prompt);
        let seen = leave(terminal);
        assert!(!seen.to_lowercase().contains("error") && !seen.contains("not found"), "{}: {seen}", shell.name());
    }
}

/// The real keys: the short form, a verb, the beginning of a name. Before zsh's completion system is set up, or after.
#[test]
fn tab_after_the_short_form() {
    let compinit = "autoload -Uz compinit\ncompinit -u -D\n";
    let cases = [
        (Shell::Bash, ["", ""]),
        (Shell::Zsh, ["", compinit]),
        (Shell::Zsh, [compinit, "setopt complete_aliases\n"]),
        (Shell::Zsh, ["alias cb='nothing else'\nunalias cb\nsetopt nounset\n", compinit]),
        (Shell::Fish, ["", ""]),
    ];
    for (shell, [before, after]) in cases {
        let world = World::new();
        let file = [before, shell.own(), shell.line(), shell.line(), after].concat();
        let mut terminal = shell.start(&world.place, &file).on_terminal();
        terminal.until("0> ");
        for (typed, whole) in [
            ("cb resume plain-k", "cb resume plain-kept1"),
            ("cb -q att", "cb -q attach"),
            ("claude-bottle start pl", "claude-bottle start plain"),
            ("cb start --format=te", "cb start --format=text"),
            ("cb put plain-live1 pic", "cb put plain-live1 picture.png"),
        ] {
            terminal.types(&format!("{typed}\t\u{14}"));
            terminal.until(&format!("<{whole}"));
            terminal.types("\u{15}");
        }
        if let Shell::Bash = shell {
            types(&mut terminal, "echo a''b\n", "ab", "0> ");
            terminal.seen.clear();
            terminal.types("cb resume \t\t");
            terminal.until("plain-lost1");
            terminal.types("\u{15}");
            let seen = leave(terminal);
            assert!(seen.contains("here-kept2   plain-kept1  plain-lost1") && !seen.contains("plain-live1"), "{seen}");
            continue;
        }
        leave(terminal);
    }
}

/// A prompt starts nothing: a child that ended would be seen in what the kernel counts for its parent.
#[test]
fn a_prompt_starts_no_process() {
    for shell in SHELLS {
        let world = World::new();
        world.place.write("home/.claude-bottle/prompt", "1 1 1\n");
        let (pid, many) = match shell {
            Shell::Bash => ("$$", "for ((i = 0; i < 200; i++)); do __claude_bottle_hook; done"),
            Shell::Zsh => ("$$", "for ((i = 0; i < 200; i++)); do __claude_bottle_hook; done"),
            Shell::Fish => (
                "$fish_pid",
                "for i in (string repeat -n 200 'x ' | string split ' '); __claude_bottle_before 0 >/dev/null; end",
            ),
        };
        // Minor faults of children that were waited for.
        let count = match shell {
            Shell::Bash => format!("read -r -a stat </proc/{pid}/stat; echo ${{stat[10]}}\n"),
            Shell::Zsh => format!("read -r -A stat </proc/{pid}/stat; echo $stat[11]\n"),
            Shell::Fish => format!("read -la stat </proc/{pid}/stat; echo $stat[11]\n"),
        };
        let script = format!("{}{count}{many}\n{count}/bin/true\n{count}", shell.line());
        world.place.write("home/script", &script);
        let script = world.place.path("home/script").display().to_string();
        let program = format!("/usr/bin/{}", shell.name());
        let run = world.place.run_other(&program, &[&script]).env("PATH", with_program());
        let done = run.env("CLAUDE_BOTTLE_PROMPT", "left").done();
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert!(lines.len() == 3 && done.stderr.is_empty(), "{}: {done:?}", shell.name());
        assert_eq!(lines[0], lines[1], "{}", shell.name());
        assert_ne!(lines[1], lines[2], "{}: a child would be seen", shell.name());
    }
}
