//! What this machine has: manifest, variables, files, programs, the state's folder.

use super::{Finding, Scene};
use crate::cli::VARIABLES;
use crate::cmd::world;
use crate::exit::UserError;
use crate::git::Git;
use crate::manifest::Manifest;
use crate::plan::Source;
use crate::probe;
use crate::secrets;
use crate::state::{Condition, DRAFT_PREFIX};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub fn look(scene: &Scene) -> Vec<Finding> {
    // What every agent would stumble over comes first.
    let mut findings = environment();
    findings.push(roots());
    findings.extend(match &scene.manifest {
        Ok(manifest) => of_manifest(scene, manifest),
        Err(refused) => vec![Finding::refused("manifest", refused.clone())],
    });
    findings.extend(sessions(scene));
    findings.push(state(scene));
    findings.extend(leftovers(scene));
    findings.push(git());
    findings.extend(shell());
    findings
}

/// `1 agent`, `2 agents`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Agents, and what each needs of this machine.
fn of_manifest(scene: &Scene, manifest: &Manifest) -> Vec<Finding> {
    let mut findings = Vec::new();
    for fault in manifest.sources().iter().flat_map(|(_, file)| manifest.faults_in(file)) {
        findings.push(Finding::refused("manifest", fault));
    }
    if findings.is_empty() {
        let (agents, bottles) = (manifest.agents().len(), manifest.bottles().len());
        let text = format!("{} in {}", counted(agents, "agent"), counted(bottles, "bottle"));
        findings.push(match agents {
            0 => Finding::problem("manifest", "no agent is defined").hint("claude-bottle edit"),
            _ => Finding::ok("manifest", text),
        });
    }
    let mut needs = Needs::new();
    for name in manifest.agents() {
        let Ok(chosen) = manifest.choose(name) else { continue };
        match world::unasked(&scene.home, &chosen) {
            Ok(plan) => {
                for source in plan.values.into_values() {
                    needs.entry(source).or_default().insert(name);
                }
            }
            Err(error) => findings.push(match error.downcast::<UserError>() {
                Ok(refused) => Finding::refused("agents", refused),
                Err(error) => Finding::problem("agents", format!("{error:#}")),
            }),
        }
    }
    findings.extend(lacking(&needs));
    findings
}

/// Where a value comes from, and the agents that want it.
type Needs<'a> = BTreeMap<Source, BTreeSet<&'a str>>;

/// What is not there of what agents need; no value is looked at.
fn lacking(needs: &Needs) -> Vec<Finding> {
    let lack = |source: &Source| match source {
        Source::Env(name) => secrets::is_there(name).err(),
        Source::Command(argv) if !probe::is_on_path(&argv[0]) => {
            Some(UserError::new(format!("no program `{}`, which prints a token", argv[0])))
        }
        Source::File(path) => {
            fs::File::open(path).err().map(|e| UserError::new(format!("cannot read `{}`: {e}", path.display())))
        }
        Source::Command(_) | Source::Ask(_) => None,
    };
    let mut findings = Vec::new();
    for (source, agents) in needs {
        if let Some(refused) = lack(source) {
            let agents: Vec<String> = agents.iter().map(|agent| format!("`{agent}`")).collect();
            let text = format!("{}, for {}", refused.what, agents.join(", "));
            findings.push(Finding { hint: refused.hint, ..Finding::problem("values", text) });
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("values", "whatever agents need of this machine is there"));
    }
    findings
}

/// The roots that the gate trusts, as it will read them.
fn roots() -> Finding {
    let path = match probe::roots() {
        Ok(path) => path,
        Err(refused) => return Finding::refused("roots", refused),
    };
    let shown = path.display();
    match fs::read(&path) {
        Err(error) => Finding::problem("roots", format!("cannot read `{shown}`: {error}")),
        // What stands between certificates may be in any encoding.
        Ok(bytes) => match String::from_utf8_lossy(&bytes).matches("-----BEGIN CERTIFICATE-----").count() {
            0 => Finding::problem("roots", format!("no certificate in `{shown}`")),
            count => Finding::ok("roots", format!("{} in `{shown}`", counted(count, "certificate"))),
        },
    }
}

/// How many there are; and those whose program was killed.
fn sessions(scene: &Scene) -> Vec<Finding> {
    let mut findings = Vec::new();
    let [mut live, mut detached, mut kept] = [0; 3];
    for folder in scene.home.folders() {
        let identity = &folder.identity;
        let why = match folder.condition() {
            Condition::Kept(rest) if rest.unsettled => "is not settled: its engine did not answer at its end",
            Condition::Lost => "is lost: the program that had it was killed",
            at_ease => {
                match at_ease {
                    Condition::Live => live += 1,
                    Condition::Detached => detached += 1,
                    _ => kept += 1,
                }
                continue;
            }
        };
        let note = Finding::note("sessions", format!("`{identity}` {why}"));
        findings.push(note.hint(format!("claude-bottle resume {identity}")));
    }
    findings.insert(0, Finding::ok("sessions", format!("{live} live, {detached} detached, {kept} kept")));
    findings
}

/// Transcripts and trails lie in it: it is its owner's alone.
fn state(scene: &Scene) -> Finding {
    let path = scene.home.path();
    let shown = path.display();
    match fs::metadata(path) {
        Err(_) => Finding::ok("state", format!("`{shown}` is made by the first start")),
        Ok(meta) if !meta.is_dir() => Finding::problem("state", format!("`{shown}` is not a folder")),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            Finding::note("state", format!("others of this machine may look into `{shown}`"))
                .hint(format!("chmod 700 {shown}"))
        }
        Ok(meta) if meta.uid() != nix::unistd::geteuid().as_raw() => {
            Finding::problem("state", format!("`{shown}` is another user's"))
        }
        Ok(_) => Finding::ok("state", format!("`{shown}` is yours alone")),
    }
}

/// Files that a killed program left: older than anything that is under way.
fn leftovers(scene: &Scene) -> Vec<Finding> {
    const OLD: Duration = Duration::from_secs(3600);
    let mine = |path: &PathBuf| {
        let meta = path.symlink_metadata().ok();
        let old = |meta: &fs::Metadata| meta.modified().ok()?.elapsed().ok().map(|age| age > OLD);
        meta.is_some_and(|meta| meta.uid() == nix::unistd::geteuid().as_raw() && old(&meta) == Some(true))
    };
    let found = |folder: &Path, begins: &[&str]| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let named = entries.filter(|entry| begins.iter().any(|b| entry.file_name().to_string_lossy().starts_with(b)));
        named.map(|entry| entry.path()).filter(mine).collect()
    };
    let mut paths = found(scene.home.path(), &[".tmp", DRAFT_PREFIX]);
    paths.extend(found(&std::env::temp_dir(), &["claude-bottle-build-"]));
    paths.sort();
    let note = |path: &PathBuf| {
        let text = format!("`{}` was left behind by a program that was killed: look into it", path.display());
        Finding::note("leftovers", text).hint(format!("rm -r {}", path.display()))
    };
    paths.iter().map(note).collect()
}

/// Variables of ours that say what they should not, or that nobody reads.
fn environment() -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(probe::detach_keys().err().map(|refused| Finding::refused("environment", refused)));
    let known = || VARIABLES.iter().flat_map(|variable| variable.names.iter().copied());
    let ours = |name: &String| name.starts_with("CLAUDE_BOTTLE_") && !known().any(|one| one == name);
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(ours) {
        let refused = UserError::new(format!("`{name}` is set, and nobody reads it")).meant(&name, known());
        findings.push(Finding { hint: refused.hint, ..Finding::note("environment", refused.what) });
    }
    findings
}

fn git() -> Finding {
    match Git::new(Path::new("/")).args(["--version"]).run(Vec::new()) {
        Ok(said) => Finding::ok("git", String::from_utf8_lossy(&said.stdout).trim()),
        Err(refused) => {
            let text = format!("{}: `start --cwd` of a repository and `work` need it", refused.what);
            Finding { hint: refused.hint, ..Finding::note("git", text) }
        }
    }
}

/// Does the user's shell read what `shell` prints?
fn shell() -> Option<Finding> {
    let shell = PathBuf::from(probe::variable("SHELL")?);
    let home = dirs::home_dir()?;
    let zsh = probe::variable("ZDOTDIR").map_or(home.clone(), PathBuf::from);
    let (file, line) = match shell.file_name()?.to_str()? {
        "bash" => (home.join(".bashrc"), "eval \"$(claude-bottle shell bash)\""),
        "zsh" => (zsh.join(".zshrc"), "eval \"$(claude-bottle shell zsh)\""),
        "fish" => (home.join(".config/fish/config.fish"), "claude-bottle shell fish | source"),
        _ => return None,
    };
    let shown = file.display();
    Some(match fs::read_to_string(&file).is_ok_and(|text| text.contains("claude-bottle shell")) {
        true => Finding::ok("shell", format!("`{shown}` brings completions and the prompt")),
        false => Finding::note("shell", format!("no completions and no prompt by `{shown}`"))
            .hint(format!("add to it: {line}")),
    })
}
