//! README and its like: manifests parse, commands parse, what a command prints is what it prints, links lead somewhere.

use super::{hold, read, repository};
use clap::Parser;
use claude_bottle::cli::Cli;
use claude_bottle::manifest::{self, Chosen, Image, Manifest, Prompt};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The papers at the top, and all below `docs/`.
fn papers() -> Vec<String> {
    let mut papers: Vec<String> =
        ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned).into();
    for folder in ["docs", "docs/decisions"] {
        let entries = fs::read_dir(repository().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = entries.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".md"));
        papers.extend(names.map(|name| format!("{folder}/{name}")));
    }
    papers
}

pub struct Block {
    /// From a comment `<!-- held: … -->` in the line above.
    pub held: String,
    pub language: String,
    pub text: String,
}

pub fn blocks(paper: &str) -> Vec<Block> {
    let text = read(paper);
    let mut lines = text.lines();
    let mut before = "";
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let held = before.strip_prefix("<!-- held: ").and_then(|held| held.strip_suffix(" -->"));
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(Block {
                held: held.unwrap_or_default().to_owned(),
                language: language.to_owned(),
                text: body.iter().map(|line| format!("{line}\n")).collect(),
            });
        }
        before = line;
    }
    blocks
}

/// The agents of a manifest, none of it broken.
fn agents(manifest: &Manifest) -> Vec<Chosen> {
    let faults: Vec<&str> = manifest.faults().iter().map(|fault| fault.what.as_str()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    let choose = |name: &&str| manifest.choose(name).unwrap_or_else(|refused| panic!("{}", refused.what));
    manifest.agents().iter().map(choose).collect()
}

#[test]
fn manifests_of_the_readme_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let (home, cwd) = (folder.path().join("home"), folder.path().join("cwd"));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&cwd).unwrap();
    let mut names = Vec::new();
    for block in blocks("README.md") {
        let place = match block.held.as_str() {
            "home manifest" => &home,
            "directory manifest" => &cwd,
            _ => continue,
        };
        fs::write(place.join(manifest::FILE), block.text).unwrap();
        let chosen = agents(&manifest::load(&home, &cwd).unwrap());
        names.push(chosen.into_iter().map(|chosen| chosen.agent.name).collect::<Vec<_>>());
    }
    assert_eq!(names, [vec!["claude"], vec!["claude"], vec!["claude"], vec!["claude", "other", "reviewer"]]);
}

/// `UPDATE=1` rewrites what the command printed.
#[test]
fn the_dry_run_of_the_readme_prints_this() {
    let block = blocks("README.md").into_iter().find(|block| block.held == "dry run").unwrap();
    let typed = block.text.lines().next().and_then(|line| line.strip_prefix("$ ")).unwrap();
    let manifest = blocks("README.md").into_iter().find(|block| block.held == "home manifest").unwrap();
    let user = tempfile::tempdir().unwrap();
    let home = user.path().join(".claude-bottle");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(manifest::FILE), manifest.text).unwrap();
    prepare(user.path(), &agents(&manifest::load(&home, user.path()).unwrap()));

    let program = Path::new(env!("CARGO_BIN_EXE_claude-bottle"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    // Nothing of the host's comes in, and what a first start would find is there.
    let output = testing::process::output(
        Command::new("/bin/sh")
            .args(["-c", typed])
            .env_clear()
            .current_dir(user.path())
            .envs([("PATH", path.as_str()), ("TERM", "xterm-256color"), ("TZ", "UTC")])
            .env("HOME", user.path())
            .env("CLAUDE_BOTTLE_GATE", user.path().join("gate"))
            .env("CLAUDE_BOTTLE_UPSTREAM_CA", user.path().join("roots.pem")),
    );
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let printed = as_shown(&String::from_utf8(output.stdout).unwrap(), user.path());
    let files: Vec<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [manifest::FILE], "a dry run leaves nothing");
    let fenced = |text: &str| format!("```console\n{text}```");
    hold("README.md", &read("README.md").replace(&fenced(&block.text), &fenced(&format!("$ {typed}\n{printed}"))));
}

/// The files that the agents' manifest names, and those of an installed program.
fn prepare(user: &Path, agents: &[Chosen]) {
    let make = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, crate::harness::CERTIFICATE).unwrap();
    };
    make(&user.join("gate"));
    make(&user.join("roots.pem"));
    for Chosen { agent, bottle } in agents {
        agent.skills.iter().for_each(|skill| make(&user.join(".claude/skills").join(skill).join("SKILL.md")));
        if let Some(Prompt::File { root, path }) = &agent.prompt {
            make(&root.join(path));
        }
        if let Image::Dockerfile { path, .. } = &bottle.image {
            make(path);
        }
    }
}

/// What differs from run to run is put in one form: the identity, digests, the user's home; and a terminal for the pipe.
fn as_shown(text: &str, user: &Path) -> String {
    let text = text
        .replace(&user.display().to_string(), "~")
        .replace("(pipes, no terminal)", "(interactive; ctrl-],d or ctrl-5,d detaches)");
    let mut shown = String::new();
    for word in text.split_inclusive([' ', ',', '\n']) {
        let (bare, end) = word.split_at(word.trim_end_matches([' ', ',', '\n']).len());
        let digest =
            bare.rsplit_once(':').filter(|(_, hex)| hex.len() == 16 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let identity = bare.rsplit_once('-').filter(|(name, word)| *name == "claude" && word.len() == 5);
        match (digest, identity) {
            (Some((name, _)), _) => shown.push_str(&format!("{name}:…{end}")),
            (_, Some((name, _))) => shown.push_str(&format!("{name}-a1b2c{end}")),
            _ => shown.push_str(word),
        }
    }
    shown
}

/// `claude-bottle …` in blocks of shell and in the EXAMPLES of man pages.
fn commands() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for block in papers().iter().flat_map(|paper| blocks(paper)) {
        if ["sh", "console"].contains(&block.language.as_str()) {
            lines.extend(block.text.lines().map(|line| line.trim_start_matches("$ ").to_owned()));
        }
    }
    for entry in fs::read_dir(repository().join("man/prose")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let examples = text.split(".SH EXAMPLES").nth(1).unwrap_or_default();
        lines.extend(examples.lines().map(|line| line.replace("\\-", "-")));
    }
    lines.retain(|line| line.starts_with("claude-bottle "));
    lines
}

#[test]
fn commands_that_are_shown_can_be_typed() {
    let commands = commands();
    assert!(commands.len() > 20, "{commands:?}");
    for line in commands {
        let words = shlex::split(&line).unwrap_or_else(|| panic!("`{line}` is no command"));
        let own = words.into_iter().take_while(|word| !["|", "#", "&&", ";"].contains(&word.as_str()));
        if let Err(error) = Cli::try_parse_from(own) {
            panic!("`{line}`: {error}");
        }
    }
}

#[test]
fn targets_that_are_shown_are_in_the_makefile() {
    let makefile = read("Makefile");
    for block in papers().iter().flat_map(|paper| blocks(paper)).filter(|block| block.language == "sh") {
        let words: Vec<&str> = block.text.split_whitespace().collect();
        for pair in words.windows(2).filter(|pair| pair[0] == "make") {
            assert!(makefile.contains(&format!("\n{}:", pair[1])), "`make {}`", pair[1]);
        }
    }
}

#[test]
fn links_lead_to_files() {
    for paper in papers() {
        let folder = repository().join(&paper).parent().unwrap().to_owned();
        for part in read(&paper).split("](").skip(1) {
            let to = part.split(')').next().unwrap();
            let file = to.split('#').next().unwrap();
            let fine = to.starts_with("https://") || to.starts_with('#') || folder.join(file).exists();
            assert!(fine, "{paper}: {to}");
        }
    }
}

#[test]
fn the_changelog_has_this_version() {
    assert!(read("CHANGELOG.md").contains(&format!("\n## [{}]", env!("CARGO_PKG_VERSION"))));
}
