//! Completions: a table of the one clap definition for each of three shells, in that shell's own code (`shell/complete.*`),
//! tried in the real shells.

use super::{flags, hold, program, read, spellings, tool, verbs};
use crate::cli::shell::{World, with_program};
use clap::{Arg, Command, ValueEnum, ValueHint};
use claude_bottle::cli::NameKind;
use std::collections::{BTreeMap, BTreeSet};

/// Whose names stand at a positional: of this verb, with this id.
const NAMES: [(&str, &str, &[NameKind]); 26] = {
    use NameKind::{Agents, Detached, Live, Resting, Running, Sessions};
    [
        ("attach", "identity", &[Detached]),
        ("build", "agent", &[Agents]),
        ("check", "agent", &[Agents]),
        ("cleanup", "identities", &[Resting]),
        ("detach", "identity", &[Live]),
        ("edit", "agent", &[Agents]),
        ("exec", "identity", &[Running]),
        ("forward", "identity", &[Running]),
        ("get", "identity", &[Running]),
        ("git allow", "identity", &[Running]),
        ("info", "name", &[Sessions, Agents]),
        ("logs", "identity", &[Sessions]),
        ("proposals", "identity", &[Sessions]),
        ("put", "identity", &[Running]),
        ("resume", "identity", &[Resting]),
        ("routes add", "identity", &[Sessions]),
        ("routes edit", "identity", &[Sessions]),
        ("routes list", "identity", &[Sessions]),
        ("routes remove", "identity", &[Sessions]),
        ("start", "agent", &[Agents]),
        ("stop", "identities", &[Running]),
        ("suggest", "name", &[Sessions, Agents]),
        ("work apply", "identity", &[Sessions]),
        ("work diff", "identity", &[Sessions]),
        ("work fetch", "identity", &[Sessions]),
        ("work pull", "identity", &[Sessions]),
    ]
};

/// A flag after which a verb wants other names: nothing comes any more from a session at rest.
const FOLLOWS: (&str, [&str; 2], NameKind) = ("logs", ["-f", "--follow"], NameKind::Running);

/// Named as each shell looks for it.
const FILES: [(Shell, &str); 3] =
    [(Shell::Bash, "claude-bottle.bash"), (Shell::Zsh, "_claude-bottle"), (Shell::Fish, "claude-bottle.fish")];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// A word, and what it means.
type Offer = (String, String);

/// What may stand at a place of the command line: `words`; `names` of these kinds; `files`; or `free`, of which nothing is
/// known.
type What = (&'static str, Vec<Offer>);

/// What the clap definition says, as walked by the shells: which word leads from where to where, which flags are there,
/// and what stands at `WHERE/number` or behind `WHERE --flag`; `WHERE --flag=` where only behind `=`.
#[derive(Default)]
struct Table {
    next: BTreeMap<String, BTreeSet<String>>,
    flags: BTreeMap<String, Vec<Offer>>,
    what: BTreeMap<What, BTreeSet<String>>,
}

impl Table {
    fn new() -> Table {
        let mut table = Table::default();
        let program = program();
        let all: Vec<Offer> = visible(&program).map(offer).collect();
        table.add("claude-bottle", &program);
        for verb in visible(&program) {
            let name = verb.get_name();
            table.lead(&format!("claude-bottle {name}"), name);
            table.add(name, verb);
            for below in visible(verb) {
                let at = format!("{name} {}", below.get_name());
                table.lead(&at, &at);
                table.add(&at, below);
            }
        }
        table.put("help/0", ("words", all));
        let (verb, flags, kind) = FOLLOWS;
        let at = format!("{verb} {}", flags[1]);
        flags.iter().for_each(|flag| table.lead(&format!("{verb} {flag}"), &at));
        table.add(&at, program.find_subcommand(verb).unwrap());
        table.put(&format!("{at}/0"), names(&[kind]));
        table
    }

    fn lead(&mut self, from: &str, to: &str) {
        self.next.entry(to.to_owned()).or_default().insert(from.to_owned());
    }

    /// In place of what was there.
    fn put(&mut self, key: &str, what: What) {
        self.what.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
        self.what.entry(what).or_default().insert(key.to_owned());
    }

    fn add(&mut self, at: &str, command: &Command) {
        if command.has_subcommands() {
            self.put(&format!("{at}/0"), ("words", visible(command).map(offer).collect()));
            // Behind a verb that nobody knows.
            self.put(&format!("{at}/*"), ("free", Vec::new()));
        }
        let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
        for arg in shown().filter(|arg| arg.get_action().takes_values() && !arg.is_positional()) {
            let equals = if arg.is_require_equals_set() { "=" } else { "" };
            // Whatever has it, has the same.
            let at = if arg.is_global_set() { "*" } else { at };
            spellings(arg).iter().for_each(|flag| self.put(&format!("{at} {flag}{equals}"), values(arg)));
        }
        let long = |arg: &Arg| Some((format!("--{}", arg.get_long()?), first_line(arg.get_help())));
        self.flags.insert(at.to_owned(), shown().filter(|arg| !arg.is_positional()).filter_map(long).collect());
        for (place, arg) in command.get_positionals().filter(|arg| !arg.is_last_set()).enumerate() {
            let named = NAMES.iter().find(|(verb, id, _)| at == *verb && arg.get_id() == id);
            let what = named.map_or_else(|| values(arg), |(_, _, kinds)| names(kinds));
            let more = arg.get_num_args().is_some_and(|count| count.max_values() > 1);
            self.put(&if more { format!("{at}/*") } else { format!("{at}/{place}") }, what);
        }
    }
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn offer(verb: &Command) -> Offer {
    (verb.get_name().to_owned(), first_line(verb.get_about()))
}

fn first_line(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn names(kinds: &[NameKind]) -> What {
    let typed = kinds.iter().map(|kind| kind.to_possible_value().unwrap().get_name().to_owned());
    ("names", typed.map(|kind| (kind, String::new())).collect())
}

fn values(arg: &Arg) -> What {
    let values = arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let words: Vec<Offer> = values.map(|value| (value.get_name().to_owned(), first_line(value.get_help()))).collect();
    match (arg.get_value_hint(), words.is_empty()) {
        (ValueHint::FilePath, _) => ("files", words),
        (_, true) => ("free", words),
        (_, false) => ("words", words),
    }
}

impl Shell {
    /// The shell's code with the holes of its file filled.
    fn generated(self) -> String {
        let table = Table::new();
        let name = match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        };
        let mut text = String::new();
        let source = format!("shell/complete.{name}");
        for line in read(&source).lines() {
            match line.trim() {
                "# {next}" => table.next.iter().for_each(|(to, from)| text.push_str(&self.case(from, &self.lead(to)))),
                "# {flags}" => {
                    for (at, flags) in &table.flags {
                        text.push_str(&self.case(&BTreeSet::from([at.clone()]), &self.list("words", flags)));
                    }
                }
                "# {what}" => {
                    // What fits many stands behind what fits one.
                    for stars in [false, true] {
                        for (what, keys) in &table.what {
                            let keys: BTreeSet<String> =
                                keys.iter().filter(|key| key.contains('*') == stars).cloned().collect();
                            if !keys.is_empty() {
                                text.push_str(&self.case(&keys, &self.list(what.0, &what.1)));
                            }
                        }
                    }
                }
                "# {made}" => text.push_str(&format!(
                    "# Made of {source} and the clap definition by `UPDATE=1 cargo test --test it docs`.\n"
                )),
                _ => text.push_str(&format!("{line}\n")),
            }
        }
        text
    }

    fn case(self, keys: &BTreeSet<String>, body: &str) -> String {
        // What ends in a star, or begins with one, is a pattern.
        let patterns = keys.iter().map(|key| match (self, key.strip_suffix('*'), key.strip_prefix('*')) {
            (Shell::Fish, _, _) | (_, None, None) => self.quoted(key),
            (_, Some(key), _) => format!("{}*", self.quoted(key)),
            (_, _, Some(key)) => format!("*{}", self.quoted(key)),
        });
        let patterns: Vec<String> = patterns.collect();
        match self {
            Shell::Fish => format!("        case {}\n{body}", patterns.join(" ")),
            _ => format!("        {})\n{body}            ;;\n", patterns.join(" | ")),
        }
    }

    fn lead(self, to: &str) -> String {
        match self {
            Shell::Fish => format!("            echo {}\n", self.quoted(to)),
            // Or it could be meant as a command.
            _ => format!("            at='{to}'\n"),
        }
    }

    /// Sets, or prints, a list.
    fn list(self, head: &str, offers: &[Offer]) -> String {
        let plain = |offer: &Offer| self.quoted(&offer.0);
        match self {
            Shell::Bash => {
                let words: String = offers.iter().map(|offer| format!(" {}", plain(offer))).collect();
                format!("            what=({head}{words})\n")
            }
            Shell::Zsh => {
                let described = |(word, what): &Offer| match what.as_str() {
                    "" => self.quoted(word),
                    what => self.quoted(&format!("{word}:{what}")),
                };
                let lines: String =
                    offers.iter().map(|offer| format!("                {}\n", described(offer))).collect();
                match lines.as_str() {
                    "" => format!("            what=({head})\n"),
                    lines => format!("            what=(\n                {head}\n{lines}            )\n"),
                }
            }
            Shell::Fish => {
                let described = |(word, what): &Offer| match what.as_str() {
                    "" => self.quoted(word),
                    what => format!("{}\\t{}", self.quoted(word), self.quoted(what)),
                };
                let lines = [head.to_owned()].into_iter().chain(offers.iter().map(described));
                format!("            printf '%s\\n' {}\n", lines.collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn quoted(self, text: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            return text.to_owned();
        }
        let escaped = match self {
            Shell::Fish => text.replace('\\', "\\\\").replace('\'', "\\'"),
            _ => text.replace('\'', "'\\''"),
        };
        format!("'{escaped}'")
    }
}

#[test]
fn files_are_what_clap_says() {
    for (shell, file) in FILES {
        hold(&format!("completions/{file}"), &shell.generated());
    }
}

#[test]
fn every_positional_that_is_a_name_has_its_kind() {
    let program = program();
    let mut wanted = BTreeSet::new();
    let all = visible(&program).map(|verb| (verb.get_name().to_owned(), verb));
    let below = visible(&program)
        .flat_map(|verb| visible(verb).map(|below| (format!("{} {}", verb.get_name(), below.get_name()), below)));
    for (at, command) in all.chain(below) {
        for arg in command.get_positionals() {
            let names = arg.get_value_names().unwrap_or_default().iter().map(|name| name.to_uppercase());
            if names
                .flat_map(|name| name.split('|').map(str::to_owned).collect::<Vec<_>>())
                .any(|name| ["AGENT", "IDENTITY", "IDENTITIES"].contains(&name.as_str()))
            {
                wanted.insert((at.clone(), arg.get_id().to_string()));
            }
        }
    }
    let known = NAMES.iter().map(|(at, id, _)| ((*at).to_owned(), (*id).to_owned())).collect();
    assert_eq!(wanted, known);
}

/// What is typed, and what the shell must offer.
fn questions() -> Vec<(String, BTreeSet<String>)> {
    let (agents, resting) = ("both broken here plain", "here-kept2 plain-kept1 plain-lost1");
    let (running, sessions) = ("plain-away1 plain-live1", "here-kept2 plain-away1 plain-kept1 plain-live1 plain-lost1");
    let either = format!("{agents} {sessions}");
    let mut all: Vec<(&str, &str)> = vec![
        ("st", "start stop"),
        ("start --format ", "text json sh"),
        ("list --format ", "text json"),
        ("start --format=", "text json sh"),
        ("start --format=j", "json"),
        ("start --cwd=", "unignored all"),
        ("start ", agents),
        ("start p", "plain"),
        ("start --cwd ", agents),
        ("start --format json -p more ", agents),
        ("-q --color never start ", agents),
        ("start plain -- ", ""),
        ("start plain -- p", ""),
        ("start -p ", ""),
        ("check ", agents),
        ("check plain ", ""),
        ("edit ", agents),
        ("build ", agents),
        ("resume ", resting),
        ("resume --dry-run plain-k", "plain-kept1"),
        ("cleanup ", resting),
        ("cleanup plain-lost1 ", resting),
        ("cleanup --older-than ", ""),
        ("attach ", "plain-away1"),
        ("exec ", running),
        ("exec plain-live1 -- ", ""),
        ("put ", running),
        ("put plain-live1 pic", "picture.png"),
        ("put plain-live1 picture.png pic", ""),
        ("get plain-live1 pic", ""),
        ("get plain-live1 x pic", "picture.png"),
        ("git ", "allow"),
        ("git allow ", running),
        ("check --body pic", "picture.png"),
        ("forward ", running),
        ("forward plain-live1 ", ""),
        ("forward plain-live1 80 ", ""),
        ("info ", &either),
        ("logs ", sessions),
        ("logs -f ", running),
        ("logs --denied --follow ", running),
        ("work ", "diff fetch apply pull"),
        ("work diff ", sessions),
        ("work fetch --", "--quiet --verbose --timings --color --help"),
        ("work apply plain-kept1 ", ""),
        ("help st", "start stop"),
        ("shell ", "bash zsh fish"),
        ("names ", ""),
    ];
    let words = |words: &str| words.split_whitespace().map(str::to_owned).collect::<BTreeSet<String>>();
    let program = program();
    let long =
        |verb: &Command| flags(verb).into_iter().filter(|flag| flag.starts_with("--")).collect::<Vec<_>>().join(" ");
    let typed: Vec<(String, String)> =
        verbs().iter().map(|verb| (format!("{} --", verb.get_name()), long(verb))).collect();
    let verbs: Vec<&str> = visible(&program).map(Command::get_name).collect();
    let (verbs, of_list) = (verbs.join(" "), long(program.find_subcommand("list").unwrap()));
    // Where nothing else can stand.
    all.extend([("", verbs.as_str()), ("list ", &of_list), ("list -", &of_list), ("help ", &verbs)]);
    all.extend(typed.iter().map(|(typed, flags)| (typed.as_str(), flags.as_str())));
    all.into_iter().map(|(typed, wanted)| (format!("claude-bottle {typed}"), words(wanted))).collect()
}

/// Runs a script, beside the completions, that prints one offer a line, and a line `?` before each question's.
fn compare(shell: &str, args: &[&str], script: &str) {
    let world = World::new();
    for (shell, file) in FILES {
        world.place.write(&format!("home/{file}"), &shell.generated());
    }
    world.place.write("home/script", script);
    let before = world.place.whole_home();
    let script = world.place.path("home/script").display().to_string();
    let run = world.place.run_other(tool(shell).get_program().to_str().unwrap(), &[args, &[&script]].concat());
    let done = run
        .env("PATH", with_program())
        .env("XDG_CONFIG_HOME", world.place.path("config").display())
        .env("XDG_DATA_HOME", world.place.path("config").display())
        .done();
    assert!(done.status == 0 && done.stderr.is_empty(), "{done:?}");
    let mut answers = done.stdout.split("?\n").skip(1);
    for (typed, wanted) in questions() {
        let answer = answers.next().unwrap_or_else(|| panic!("no answer to `{typed}`:\n{}", done.stdout));
        // Two shells complete a flag and its value as one word.
        let word = |line: &str| line.trim().rsplit_once('=').map_or(line.trim(), |(_, value)| value).to_owned();
        let offered: BTreeSet<String> = answer.lines().map(word).filter(|word| !word.is_empty()).collect();
        assert_eq!(offered, wanted, "`{typed}`");
    }
    assert_eq!(answers.next(), None);
    assert!(world.place.whole_home() == before && !world.place.path("work/ran").exists(), "TAB changes nothing");
    assert_eq!(world.place.calls(), [[""; 0]; 0], "TAB asks no engine");
}

fn quoted(text: &str) -> String {
    shlex::try_quote(text).unwrap().into_owned()
}

#[test]
fn in_bash() {
    // The function that `complete -F` registered, called as readline calls it.
    let mut script = String::from(
        r#"set -u
source ~/claude-bottle.bash
ask() {
    local line=$1
    COMP_LINE=$line COMP_POINT=${#line} COMPREPLY=()
    # As readline splits it.
    read -ra COMP_WORDS <<<"${line//=/ = }"
    [[ $line != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    local how; how=$(complete -p claude-bottle) || exit 1
    local function=${how#*-F }; function=${function%% *}
    # Outside of readline, it cannot say what a file is.
    local files=''
    compopt() { [[ $* != *'-o default'* ]] || files=yes; }
    "$function" claude-bottle "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo '?'
    [[ ! $files ]] || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    printf '%s\n' "${COMPREPLY[@]-}"
}
"#,
    );
    for (typed, _) in questions() {
        script.push_str(&format!("ask {}\n", quoted(&typed)));
    }
    compare("bash", &["--norc", "--noprofile"], &script);
}

#[test]
fn in_fish() {
    let mut script = String::from("source ~/claude-bottle.fish\nor exit 1\n");
    for (typed, _) in questions() {
        // What follows a tab is the description.
        script.push_str(&format!("echo '?'\ncomplete -C {} | string replace -r '\\t.*' ''\n", quoted(&typed)));
    }
    compare("fish", &["--no-config"], &script);
}

/// Completion lives in zsh's line editor, which wants a terminal: an inner zsh on a pseudo-terminal gets the keys, and
/// writes what the completion system is given.
#[test]
fn in_zsh() {
    let inner = r#"PROMPT= RPROMPT= fpath=(~ $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    # The system's own look-ups store into arrays and offer nothing.
    local -a hits
    if (( ! ${@[(I)-[OAD]*]} )); then
        builtin compadd -A hits "$@"
        print -rl -- $hits >>offers
    fi
    builtin compadd "$@"
}
next() { print -r -- '?' >>offers; BUFFER=; }
leave() { exit }
zle -N next; zle -N leave
bindkey '^I' complete-word; bindkey '^N' next; bindkey '^X' leave
"#;
    let mut keys = String::new();
    for (typed, _) in questions() {
        keys.push_str(&format!("zpty -wn z $'\\C-n'{}$'\\t'\n", quoted(&typed)));
    }
    let script = format!(
        "zmodload zsh/zpty\nprint -r -- {} >inner\nzpty z zsh -fi\nzpty -w z 'source ./inner'\n{keys}zpty -wn z $'\\C-x'\n\
         while zpty -r z line; do done\ngrep -v '^$' offers\n",
        quoted(inner)
    );
    compare("zsh", &["-f"], &script);
}

/// A person types a file's path as the shell wants it, and TAB goes on from there.
#[test]
fn a_path_is_completed_however_it_is_quoted() {
    let world = World::new();
    for (shell, file) in FILES {
        world.place.write(&format!("home/{file}"), &shell.generated());
    }
    world.place.write("home/my picture.png", "");
    world.place.write("home/below/other.png", "");
    let home = world.place.path("home").display().to_string();
    let print = "printf '<%s>' ";
    for (shell, args, begin) in [
        (
            "bash",
            &["--norc", "--noprofile", "-i"][..],
            format!("source ~/claude-bottle.bash; claude-bottle() {{ {print}\"$@\"; }}"),
        ),
        (
            "fish",
            &["--no-config", "-i"],
            format!("source ~/claude-bottle.fish; function claude-bottle; {print}$argv; end"),
        ),
        (
            "zsh",
            &["-f", "-i"],
            format!("fpath=(~ $fpath); autoload -Uz compinit && compinit -u -D; claude-bottle() {{ {print}\"$@\"; }}"),
        ),
    ] {
        let program = tool(shell).get_program().to_str().unwrap().to_owned();
        let run = world.place.run_other(&program, args).env("PATH", with_program()).env("TERM", "dumb");
        let mut terminal =
            run.env("PS1", "").env("XDG_CONFIG_HOME", world.place.path("config").display()).on_terminal();
        terminal.types(&format!("{begin}; echo re\"\"ady\n"));
        terminal.until("ready");
        for (typed, file) in [
            ("~/my\\ pic", "my picture.png"),
            ("~/bel\tot", "below/other.png"),
            ("\"$HOME/my pic", "my picture.png"),
            ("$HOME/below/o", "below/other.png"),
        ] {
            terminal.types(&format!("claude-bottle put plain-live1 {typed}\t\n"));
            terminal.until(&format!("<put><plain-live1><{home}/{file}>"));
        }
        terminal.types("exit\n");
        assert_eq!(terminal.end().0, 0, "{shell}");
    }
}
