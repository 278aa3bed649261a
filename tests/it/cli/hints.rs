//! What hints tell to type, read by real shells: a word from elsewhere stays one word, whatever is in it.

use crate::harness::{PLAIN, Place};
use claude_bottle::hint::{self, Hint};
use claude_bottle::text;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use testing::process::try_output;

const HOSTILE: [&str; 24] = [
    "a;touch${IFS}PWN",
    "$(touch PWN)",
    "`touch PWN`",
    "it's",
    "a\\b",
    "\\",
    "\\'",
    "a\\\\'b",
    "*",
    "~",
    "!!",
    "a b",
    "",
    "\"x\"",
    "%1",
    "=ls",
    "{a,b}",
    "#x",
    ">PWN",
    "a&touch PWN",
    "$HOME",
    "[a]?^",
    "\n touch PWN",
    "\u{e9}\u{fe0f}\u{202e}'",
];

/// A shell, and what stands before a script.
const SHELLS: [&[&str]; 4] = [&["sh", "-c"], &["bash", "-c"], &["zsh", "-f", "-c"], &["fish", "--no-config", "-c"]];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { sources(&path, into) } else { into.push(path) }
    }
}

/// The template of each `hint!` in the program's sources.
fn templates() -> Vec<String> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("hint.rs")) {
        for rest in fs::read_to_string(file).unwrap().split("hint!(").skip(1) {
            // Another macro's name ends so.
            let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
            let mut chars = rest.chars().peekable();
            let mut template = String::new();
            loop {
                match chars.next().unwrap() {
                    '"' => break,
                    '\\' => match chars.next().unwrap() {
                        '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                        c => template.push(c),
                    },
                    c => template.push(c),
                }
            }
            found.push(template);
        }
    }
    found
}

/// What is typed of a template: what stands between backquotes, or all of it.
fn commands(template: &str) -> Vec<&str> {
    let typed: Vec<&str> = match template.contains('`') {
        true => template.split('`').skip(1).step_by(2).collect(),
        false => vec![template],
    };
    let typed: Vec<&str> = typed.into_iter().filter(|typed| typed.contains("{}")).collect();
    let holes = |text: &str| text.matches("{}").count();
    assert_eq!(typed.iter().map(|typed| holes(typed)).sum::<usize>(), holes(template), "a word in prose: {template}");
    typed
}

/// Runs a script in each shell, in a folder with one file; what it prints must be `wanted`, and nothing else happen.
#[track_caller]
fn read_by_shells(script: &str, wanted: &str) {
    let place = Place::new("{}");
    place.write("work/a", "");
    for shell in SHELLS {
        let mut run = Command::new(shell[0]);
        let output = try_output(run.args(&shell[1..]).arg(script).current_dir(place.path("work")));
        let output = output.unwrap_or_else(|why| panic!("{why}: sudo apt-get install {}", shell[0]));
        let (got, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let differs = got.lines().zip(wanted.lines()).find(|(got, wanted)| got != wanted);
        assert!(differs.is_none() && got == wanted && said.is_empty(), "{shell:?}: {differs:?} {said}");
    }
    assert_eq!(fs::read_dir(place.path("work")).unwrap().count(), 1, "nothing ran");
}

#[test]
fn a_hostile_word_in_any_hint_stays_one_word_of_every_shell() {
    let templates = templates();
    assert!(templates.len() > 25, "{templates:?}");
    let mut commands: Vec<&str> = templates.iter().flat_map(|template| commands(template)).collect();
    // An array of JSON; it is shown only where the word is the same with and without quotes.
    commands.retain(|command| *command != "[\"{}\"]");
    let (mut script, mut wanted) = (String::new(), String::new());
    for command in commands {
        // A variable has a name.
        for word in HOSTILE.iter().filter(|word| !(word.is_empty() && command.contains("{}="))) {
            let shown = text::one_line(word);
            script.push_str(&format!("printf '<%s>\\n' {}\n", command.replace("{}", &hint::quoted(word))));
            command.split(' ').for_each(|part| wanted.push_str(&format!("<{}>\n", part.replace("{}", &shown))));
        }
    }
    read_by_shells(&script, &wanted);
}

/// `info`, `--verbose`, plans and `--format sh` print whole commands of words from elsewhere.
#[test]
fn a_command_of_hostile_words_is_read_as_these_words() {
    let words = HOSTILE.map(text::one_line);
    let wanted: String = words.iter().map(|word| format!("<{word}>\n")).collect();
    read_by_shells(&format!("printf '<%s>\\n' {}", Hint::command(HOSTILE)), &wanted);
    read_by_shells(&format!("printf '<%s>\\n' {}", text::shell_command(words.iter().map(String::as_str))), &wanted);
}

#[test]
fn no_word_in_an_error_forges_a_line_behind_it() {
    let place = Place::new(PLAIN);
    let word = "a\nhint: rm -rf ~\u{fe0f}";
    for words in
        [&["start", "--dry-run", word][..], &["info", word], &["check", word, "GET", "https://a.org/"], &[word]]
    {
        let done = place.run(words).done();
        assert_eq!(done.status, 2, "{done:?}");
        let told = done.stderr.lines().next().unwrap();
        assert!(told.contains("hint: rm -rf ~") && !told.contains('\u{fe0f}'), "{done:?}");
        assert!(!done.stderr.contains("\nhint: rm"), "{done:?}");
    }
}
