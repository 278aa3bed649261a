//! Man pages: prose in `manual`, with holes for what the clap definition says. The pages in `man/` are the two together.

use super::{flags, hold, long_flags_in, program, read, repository, spellings, tool, verbs};
use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use claude_bottle::cli::VARIABLES;
use claude_bottle::exit::CODES;
use claude_bottle::manifest::keys;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use testing::process::{output, try_output};

/// `claude-bottle.1` and its like, with the command each is of.
fn pages() -> BTreeMap<String, Option<Command>> {
    let of = |command: &Command| command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut pages: BTreeMap<String, Option<Command>> =
        ["claude-bottle.json.5", AUDIT, "claude-bottle-gate.8", "claude-bottle-security.7", "claude-bottle-trust.7"]
            .map(|page| (page.to_owned(), None))
            .into();
    for command in [program()].into_iter().chain(verbs()) {
        pages.insert(format!("{}.1", of(&command)), Some(command));
    }
    pages
}

fn files_in(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository().join(folder)).unwrap();
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let names = files.map(|entry| entry.file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

#[test]
fn pages_are_prose_and_definition() {
    let pages = pages();
    let wanted: BTreeSet<String> = pages.keys().cloned().collect();
    assert_eq!(files_in("man/prose", ".roff"), wanted, "a page for every verb, and no other");
    for (page, command) in &pages {
        hold(&format!("man/{page}"), &whole(page, command.as_ref()));
    }
    assert_eq!(files_in("man", ""), wanted);
}

/// The page: its prose with the holes filled.
fn whole(page: &str, command: Option<&Command>) -> String {
    let source = format!("man/prose/{page}.roff");
    let mut text = format!(".\\\" Made of {source} and the clap definition\n");
    text.push_str(".\\\" by `UPDATE=1 cargo test --test it docs`.\n");
    // Once for all generated parts, which spell an apostrophe this way.
    text.push_str(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n");
    for line in read(&source).lines() {
        let line = line.replace("{version}", env!("CARGO_PKG_VERSION")).replace("{verbs}", &see_also());
        match (line.strip_prefix(".\\\" "), command) {
            (Some("{synopsis}"), Some(command)) => text.push_str(&synopsis(command)),
            (Some("{options}"), Some(command)) => text.push_str(&options(command)),
            (Some("{exit status}"), _) => text.push_str(&exit_status()),
            (Some("{trust}"), _) => text.push_str(&trust()),
            (Some("{environment}"), _) => text.push_str(&environment()),
            (Some("{commands}"), Some(command)) => {
                text.push_str(&part(|roff| Man::new(command.clone()).render_subcommands_section(roff)));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    wrapped(&text)
}

/// Lines of text no longer than 80 bytes, as mandoc counts them; a page is filled by whoever shows it.
fn wrapped(page: &str) -> String {
    // It reads `\[u2026]` for what is not ASCII.
    let counted = |word: &str| word.chars().map(|c| if c.is_ascii() { 1 } else { 8 }).sum::<usize>();
    let mut wrapped = String::new();
    let mut literal = false;
    for line in page.lines() {
        literal = (literal || [".nf", ".EX"].contains(&line)) && ![".fi", ".EE"].contains(&line);
        let mut length = 0;
        for word in line.split(' ') {
            // A word that begins so would be a macro's, and one behind a backslash belongs to it.
            let may_break =
                !literal && !line.starts_with(['.', '\'']) && !word.starts_with(['.', '\'']) && !word.is_empty();
            let may_break = may_break && !wrapped.ends_with('\\');
            let between = match length {
                0 => "",
                _ if may_break && length + 1 + counted(word) > 80 => "\n",
                _ => " ",
            };
            length = if between == "\n" { 0 } else { length + between.len() } + counted(word);
            wrapped.push_str(between);
            wrapped.push_str(word);
        }
        wrapped.push('\n');
    }
    wrapped
}

/// The page that an agent reads, as it is, but for its heading.
fn trust() -> String {
    let page = read("crates/gate/src/pages/trust.txt");
    page.lines().skip(2).map(escaped).map(|line| format!("{}\n", line.trim_end())).collect()
}

fn escaped(line: &str) -> String {
    let (mut roff, text) = (Roff::new(), line.trim_start());
    roff.text([roman(text)]);
    // Spaces at a line's beginning stay behind what is nothing.
    let indent =
        if text.len() < line.len() { format!("\\&{}", " ".repeat(line.len() - text.len())) } else { String::new() };
    indent + &roff.to_roff()
}

fn see_also() -> String {
    let names: Vec<String> = verbs().iter().map(|verb| format!(".BR claude-bottle-{} (1)", verb.get_name())).collect();
    names.join(",\n")
}

/// A verb's own, and where the others are told of.
fn options(command: &Command) -> String {
    let whole = part(|roff| Man::new(command.clone()).render_options_section(roff));
    if command.get_name() == program().get_name() {
        return whole;
    }
    let own = match whole.split_once(".SH") {
        Some((own, _)) => own,
        None => &whole,
    };
    let global = command.get_opts().chain(switches(command)).filter(|flag| is_global(flag));
    let global: Vec<String> = global.map(|flag| format!(".BR \\-\\-{} ", flag.get_long().unwrap())).collect();
    format!("{own}.PP\nAnd, as for every command,\n{},\ntold of in\n.BR claude-bottle (1).\n", global.join(",\n"))
}

fn is_global(flag: &Arg) -> bool {
    flag.get_help_heading().is_some()
}

fn exit_status() -> String {
    let code = |code: &str| match code.strip_suffix('n') {
        Some(before) => format!(".RI {before} n\n").replace(".RI  n", ".I n"),
        None => format!(".B {code}\n"),
    };
    CODES.iter().map(|one| format!(".TP\n{}{}", code(one.code), prose(&sentence(one.short), one.more))).collect()
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), chars.as_str()))
}

fn environment() -> String {
    let head = |names: &[&str]| format!(".BR {}\n", names.join(" \", \" "));
    VARIABLES.iter().map(|one| format!(".TP\n{}{}", head(one.names), prose(one.short, one.more))).collect()
}

/// Sentences, a line each; what backticks enclose is bold.
fn prose(short: &str, more: &str) -> String {
    let text = [short, more].join(" ").replace('\\', "\\e").replace('-', "\\-").replace('~', "\\(ti");
    let text = text.trim_end().replace(". ", ".\n");
    let parts = text.split('`').enumerate();
    let whole: String =
        parts.map(|(n, part)| if n % 2 == 1 { format!("\\fB{part}\\fR") } else { part.to_owned() }).collect();
    format!("{whole}\n")
}

/// A generated section without its heading, which is the prose's.
fn part(render: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    render(&mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let body = text.lines().skip_while(|line| !line.starts_with(".SH")).skip(1);
    // A bare break at the start of a line is not a line of its own.
    body.filter(|line| *line != ".br").map(|line| format!("{line}\n")).collect()
}

fn synopsis(command: &Command) -> String {
    let mut line = vec![bold(command.get_bin_name().unwrap_or(command.get_name()))];
    let mut put = |words: Vec<Inline>, needed: bool| {
        line.push(roman(if needed { " " } else { " [" }));
        line.extend(words);
        line.push(roman(if needed { "" } else { "]" }));
    };
    let whole = command.get_name() == program().get_name();
    for flag in command.get_opts().chain(switches(command)).filter(|flag| whole || !is_global(flag)) {
        let mut words: Vec<Inline> = Vec::new();
        for spelling in spellings(flag).into_iter().rev() {
            if !words.is_empty() {
                words.push(roman("|"));
            }
            words.push(bold(spelling));
        }
        if flag.get_action().takes_values() {
            words.extend([roman(" "), italic(value(flag))]);
        }
        put(words, flag.is_required_set());
    }
    for positional in command.get_positionals() {
        match (positional.is_last_set(), positional.is_trailing_var_arg_set()) {
            (true, _) => put(vec![bold("--"), roman(" "), italic(value(positional)), roman(" ...")], false),
            (_, true) => put(vec![italic(value(positional)), roman(" ...")], false),
            _ => put(vec![italic(value(positional))], positional.is_required_set()),
        }
    }
    if command.has_subcommands() {
        put(vec![italic("COMMAND"), roman(" ...")], true);
    }
    let mut roff = Roff::new();
    roff.text(line);
    roff.to_roff()
}

/// Flags without a value, those of the help last.
fn switches(command: &Command) -> impl Iterator<Item = &Arg> {
    let of_help = |flag: &&Arg| matches!(flag.get_id().as_str(), "help" | "version");
    let switches = move || {
        command
            .get_arguments()
            .filter(|arg| !arg.is_positional() && !arg.is_hide_set() && !arg.get_action().takes_values())
    };
    switches().filter(move |flag| !of_help(flag)).chain(switches().filter(of_help))
}

fn value(of: &Arg) -> String {
    of.get_value_names().map_or_else(|| of.get_id().to_string(), |names| names.join(" "))
}

#[test]
fn pages_have_no_lint() {
    let folder = tempfile::tempdir().unwrap();
    for (page, command) in pages() {
        let path = folder.path().join(&page);
        fs::write(&path, whole(&page, command.as_ref())).unwrap();
        let output = output(tool("mandoc").args(["-T", "lint"]).arg(path));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.is_empty(), "{page}: {said}");
    }
}

/// As people open them, with nothing left unfilled.
#[test]
fn pages_are_rendered_by_man() {
    let folder = tempfile::tempdir().unwrap();
    for (page, command) in pages() {
        let path = folder.path().join(&page);
        fs::write(&path, whole(&page, command.as_ref())).unwrap();
        let mut man = std::process::Command::new("man");
        let man =
            try_output(man.args(["--warnings", "-l"]).arg(&path).envs([("MANWIDTH", "100"), ("LC_ALL", "C.UTF-8")]));
        // Where there is only mandoc, it is what `man` would run.
        let output = man.or_else(|_| try_output(tool("mandoc").arg(&path))).unwrap();
        let (said, text) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success() && said.is_empty(), "{page}: {said}");
        assert!(text.contains("NAME") && text.lines().count() > 20 && !text.contains("{version}"), "{page}: {text}");
    }
}

/// The page with `--yes` as it is typed.
fn plain(page: &str) -> String {
    let command = pages().remove(page).flatten();
    let whole = whole(page, command.as_ref());
    let shown = whole.lines().filter(|line| !line.starts_with(".\\\"")).map(|line| format!("{line}\n"));
    let text = shown.collect::<String>().replace("\\-", "-");
    ["\\fB", "\\fI", "\\fR"].iter().fold(text, |text, font| text.replace(font, ""))
}

#[test]
fn every_flag_of_the_help_is_in_its_page_and_no_other() {
    for (page, command) in pages() {
        let Some(mut command) = command else { continue };
        let text = plain(&page);
        let own: BTreeSet<String> = flags(&command).into_iter().filter(|flag| flag.starts_with("--")).collect();
        let help = long_flags_in(&command.render_long_help().to_string());
        assert_eq!(help, own, "--help of {page}");
        // A verb's own verbs are on its page, the program's have their pages.
        let mut needed = own.clone();
        if command.get_name() != program().get_name() {
            let below = command.get_subcommands().flat_map(flags).filter(|flag| flag.starts_with("--"));
            needed.extend(below);
        }
        let mut known = needed.clone();
        if command.has_subcommands() {
            known.extend(
                verbs()
                    .iter()
                    .flat_map(|verb| verb.get_subcommands().chain([verb]).flat_map(flags).collect::<Vec<_>>()),
            );
        }
        // An example may hand a flag on to the agent's program.
        let typed: String =
            text.lines().map(|line| format!("{}\n", line.split(" -- ").next().unwrap_or(line))).collect();
        let found = long_flags_in(&typed);
        assert!(needed.is_subset(&found), "{page} lacks {:?}", needed.difference(&found));
        assert!(found.is_subset(&known), "{page} invents {:?}", found.difference(&known));
    }
}

/// Names in a `.TP` heading of bold words.
fn headings(text: &str) -> BTreeSet<String> {
    let lines: Vec<&str> = text.lines().collect();
    let heads = lines.windows(2).filter(|pair| pair[0] == ".TP").map(|pair| pair[1]);
    let words = heads.filter_map(|head| head.strip_prefix(".B").map(|head| head.trim_start_matches('R')));
    words.flat_map(|words| words.split([' ', ',', '"'])).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Words of lines that are bold, or alternate with it.
fn bold_words(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(".B").map(|line| line.trim_start_matches(['R', 'I'])));
    let words = lines.flat_map(|line| line.split([' ', ',', '"', '(', ')', '.', ':']));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn section<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!(".SH {name}\n")).unwrap_or_else(|| panic!("no section {name}"));
    let rest = &text[start + 4..];
    &rest[..rest.find("\n.SH ").unwrap_or(rest.len())]
}

#[test]
fn every_variable_that_is_read_is_told_of_and_no_other() {
    let told: BTreeSet<String> = VARIABLES.iter().flat_map(|one| one.names).map(|name| (*name).to_owned()).collect();
    let mut read = BTreeSet::from(["COLORTERM".to_owned(), "TZ".to_owned()]);
    let shells =
        files_in("shell", "").into_iter().map(|file| (PathBuf::from(&file), super::read(&format!("shell/{file}"))));
    for (file, source) in sources(&repository().join("src")).into_iter().chain(shells) {
        if file.ends_with("cli/environment.rs") {
            continue;
        }
        read.extend(names_in(&source, "CLAUDE_BOTTLE_"));
        for call in ["variable(\"", "var(\"", "var_os(\""] {
            read.extend(source.match_indices(call).map(|(at, _)| name(&source[at + call.len()..])));
        }
    }
    assert_eq!(told, read);
    assert_eq!(headings(section(&plain("claude-bottle.1"), "ENVIRONMENT")), told);
    let readme: BTreeSet<String> = names_in(&super::read("README.md"), "CLAUDE_BOTTLE_").collect();
    let ours: BTreeSet<String> = told.into_iter().filter(|name| name.starts_with("CLAUDE_BOTTLE_")).collect();
    assert_eq!(readme, ours, "README.md");
}

/// The README's tables of variables and exit codes are the program's; `UPDATE=1` rewrites them.
#[test]
fn tables_of_the_readme_are_what_the_program_says() {
    let row = |left: &str, right: &str| format!("| {left} | {right} |\n");
    let names = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let variables: String = VARIABLES.iter().map(|one| row(&names(one.names), one.short)).collect();
    let codes: String = CODES.iter().map(|one| row(one.code, one.short)).collect();
    let mut readme = super::read("README.md");
    for (what, rows) in [("variables", variables), ("exit codes", codes)] {
        let begin = format!("<!-- made: {what} -->\n");
        let (before, rest) = readme.split_once(&begin).unwrap_or_else(|| panic!("README.md has no `{begin}`"));
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        readme = format!("{before}{begin}| | |\n|---|---|\n{rows}<!-- end -->{after}");
    }
    hold("README.md", &readme);
}

/// Every command that ends the process, and every code of it: no bare number is anywhere else.
#[test]
fn every_exit_code_is_told_of() {
    use claude_bottle::exit::Exit;
    let told: BTreeSet<&str> = CODES.iter().map(|one| one.code).collect();
    let known = [Exit::OK, Exit::DENIED, Exit::REFUSED, Exit::REBUILD, Exit::PANIC, Exit::ENGINE];
    let known = known.map(|exit| exit.0.to_string());
    let known: BTreeSet<&str> = known.iter().map(String::as_str).chain(["n", "128+n"]).collect();
    assert_eq!(told, known);
}

/// The program's help has the verbs in kinds of its own making: all of them, in their own words.
#[test]
fn the_help_has_every_verb_in_its_own_words() {
    let help = program().render_help().to_string();
    let shown: BTreeSet<&str> =
        help.split("Global options:").next().unwrap().lines().filter_map(|line| line.strip_prefix("  ")).collect();
    let own: Vec<String> =
        verbs().iter().map(|verb| format!("{:<11}{}", verb.get_name(), verb.get_about().unwrap())).collect();
    assert_eq!(shown, own.iter().map(String::as_str).collect(), "HELP in src/cli.rs");
}

/// On every page of a verb the reader finds the same sections.
#[test]
fn every_page_of_a_verb_has_its_sections() {
    for (page, command) in pages() {
        let text = plain(&page);
        for name in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            let there = text.contains(&format!(".SH {name}\n"));
            assert!(
                there || command.as_ref().is_none_or(|of| of.get_name() == "claude-bottle"),
                "{page} has no {name}"
            );
        }
    }
}

fn names_in<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
    text.match_indices(prefix).map(|(at, _)| name(&text[at..])).filter(move |name| name != prefix)
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_').collect()
}

/// With their paths.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        match path.extension() {
            _ if path.is_dir() => found.extend(sources(&path)),
            Some(rs) if rs == "rs" => found.push((path.clone(), fs::read_to_string(path).unwrap())),
            _ => {}
        }
    }
    found
}

const MANIFEST: &str = "claude-bottle.json.5";

#[test]
fn every_key_of_the_manifest_is_in_its_page_and_no_other() {
    let text = plain(MANIFEST);
    let mut told = headings(&text);
    // Named in the text of the key above them.
    let inner =
        ["allow_delete", "allow_force", "email", "header", "identity_file", "known_host_key", "refs", "upstream"];
    for key in inner.into_iter().chain(["user", "name"]) {
        assert!(text.lines().any(|line| line.starts_with(".B") && line.contains(key)), "{key}");
        told.insert(key.to_owned());
    }
    let known = keys::ALL.iter().flat_map(|(_, table)| table.keys).map(|key| (*key).to_owned());
    assert_eq!(told, known.collect::<BTreeSet<String>>());
}

const AUDIT: &str = "claude-bottle-audit.5";

/// Fields of a struct, or variants of an enum with the fields that stand in them, as JSON has them.
fn members(source: &str, of: &str) -> BTreeSet<String> {
    let start = source.find(&format!(" {of} {{\n")).unwrap_or_else(|| panic!("no `{of}` in crate wire"));
    let body = source[start..].lines().skip(1).take_while(|line| *line != "}").map(str::trim);
    let lines = body.filter(|line| !line.starts_with(['/', '#', '}']) && !line.is_empty());
    let name = |line: &str| -> String { line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    lines.map(|line| name(line.trim_start_matches("pub ")).to_lowercase()).collect()
}

/// The page of the audit trail has every field and every word of it, each where it belongs, and no other.
#[test]
fn every_field_of_the_audit_trail_is_in_its_page_and_no_other() {
    let source = ["event", "work", "supervise"].map(|file| super::read(&format!("crates/wire/src/{file}.rs"))).concat();
    let text = plain(AUDIT);
    let line = members(&source, "struct Line");
    let events = members(&source, "enum Event");
    assert!(
        line.contains("seq") && events.contains("request") && events.contains("fingerprint"),
        "{line:?} {events:?}"
    );
    assert_eq!(headings(section(&text, "\"EVERY LINE\"")), line);
    let of_work = ["struct Work", "struct Repository", "struct Proposal", "struct Decision", "enum Verdict"];
    let of_work = of_work.into_iter().flat_map(|of| members(&source, of));
    assert_eq!(bold_words(section(&text, "EVENTS")), events.into_iter().chain(of_work).collect());
    let of_change = ["enum Change", "struct Packages"].into_iter().flat_map(|of| members(&source, of));
    assert_eq!(bold_words(section(&text, "CHANGES")), of_change.chain(["kind".to_owned()]).collect());
    for (title, of) in [("\"REQUESTS AND CONNECTIONS\"", "struct Audit"), ("ALARMS", "struct Alarm")] {
        assert_eq!(headings(section(&text, title)), members(&source, of), "{title}");
    }
    for (title, of) in [("\"REQUESTS AND CONNECTIONS\"", "enum Outcome"), ("ALARMS", "enum Done")] {
        assert!(members(&source, of).is_subset(&bold_words(section(&text, title))), "{title}");
    }
}

/// Names of a schema's properties, and the words that a property can be.
fn vocabulary(schema: &Value, root: &Value, names: &mut BTreeSet<String>, words: &mut BTreeSet<String>) {
    if let Some(to) = schema["$ref"].as_str() {
        vocabulary(root.pointer(to.trim_start_matches('#')).unwrap(), root, names, words);
    }
    names.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    words.extend(schema["enum"].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)));
    let below = schema.as_object().into_iter().flatten().filter(|(name, _)| *name != "$defs").map(|(_, below)| below);
    below.chain(schema.as_array().into_iter().flatten()).for_each(|below| vocabulary(below, root, names, words));
}

/// What is printed as JSON is told of in the command's page, field by field.
#[test]
fn every_field_of_an_output_is_in_its_page_and_no_other() {
    let root: Value = serde_json::from_str(include_str!("../../../../schema/output.schema.json")).unwrap();
    let list = |name: &str| {
        let (mut names, mut words) = (BTreeSet::new(), BTreeSet::new());
        vocabulary(&root["$defs"][name], &root, &mut names, &mut words);
        (names, words)
    };
    for of in ["list", "info", "check", "cleanup", "work", "doctor"] {
        let text = plain(&format!("claude-bottle-{of}.1"));
        let begin = text
            .match_indices("\n.B ")
            .map(|(at, _)| at)
            .find(|at| text[*at + 4..].lines().next().unwrap().ends_with("json"));
        let rest = &text[begin.unwrap_or_else(|| panic!("{of}: no word of JSON"))..];
        let end = rest.find("\n.SH ").into_iter().chain(rest.find("\nfetch ")).min().unwrap();
        let mut told = bold_words(&rest[..end]);
        // What stands between bold words, and other things than fields.
        told.retain(|word| word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.starts_with("claude-bottle"));
        told.retain(|word| !["and", "or", "with"].contains(&word.as_str()));
        let (mut needed, words) = list(of);
        if of == "check" {
            needed.extend(list("replay").0);
        }
        let mut known: BTreeSet<String> = needed.union(&words).cloned().collect();
        known.extend(["json", "diff"].map(str::to_owned));
        known.extend(if of == "check" { list("replay").1 } else { BTreeSet::new() });
        if of == "info" {
            // It has what the list has, and says so.
            needed = needed.difference(&list("list").0).cloned().collect();
        }
        if of == "cleanup" {
            needed = needed.difference(&list("work").0).cloned().collect();
        }
        assert!(needed.is_subset(&told), "{of}: its page lacks {:?}", needed.difference(&told));
        assert!(told.is_subset(&known), "{of}: its page invents {:?}", told.difference(&known));
    }
}
