//! Checks of this machine: manifest, variables, files, programs, the state's folder.

use super::{Diagnosis, Severity, Surroundings};
use crate::cli::VARIABLES;
use crate::cmd::planning;
use crate::exit::UserError;
use crate::git::{self, Git};
use crate::hint;
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

pub fn check(around: &Surroundings) -> Vec<Diagnosis> {
    // Problems of every agent come first.
    let mut diagnoses = environment();
    diagnoses.push(roots());
    diagnoses.extend(match &around.manifest {
        Ok(manifest) => manifest_and_agents(around, manifest),
        Err(error) => vec![Diagnosis::user_error("manifest", error.clone())],
    });
    diagnoses.extend(sessions(around));
    diagnoses.push(state_folder(around));
    diagnoses.extend(leftovers(around));
    diagnoses.push(git());
    diagnoses.extend(shell());
    diagnoses
}

/// A count with its noun, as in `1 agent`, `2 agents`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The manifest's errors, its agents, and what each needs of this machine.
fn manifest_and_agents(around: &Surroundings, manifest: &Manifest) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    for fault in manifest.sources().iter().flat_map(|(_, file)| manifest.faults_in(file)) {
        diagnoses.push(Diagnosis::user_error("manifest", fault));
    }
    if diagnoses.is_empty() {
        let (agents, bottles) = (manifest.agents().len(), manifest.bottles().len());
        let text = format!("{} in {}", counted(agents, "agent"), counted(bottles, "bottle"));
        diagnoses.push(match agents {
            0 => Diagnosis::problem("manifest", "no agent is defined").hint("claude-bottle edit"),
            _ => Diagnosis::ok("manifest", text),
        });
    }
    let is_read = diagnoses.iter().all(|diagnosis| diagnosis.state == Severity::Ok);
    let (mut needs, mut tunnels) = (Needs::new(), BTreeSet::new());
    for name in manifest.agents() {
        let Ok(chosen) = manifest.choose(name) else { continue };
        match planning::plan_offline(&around.home, &chosen) {
            Ok(planned) => {
                let of_remotes = planned.of_remotes.into_iter();
                diagnoses.extend(of_remotes.map(|problem| Diagnosis::user_error("remotes", problem)));
                diagnoses.extend(planned.of_signing.map(|problem| Diagnosis::user_error("signing", problem)));
                tunnels.extend(planned.plan.tunnels_to_other_ports());
                for source in planned.plan.values.into_values() {
                    needs.entry(source).or_default().insert(name);
                }
            }
            Err(error) => diagnoses.push(match error.downcast::<UserError>() {
                Ok(error) => Diagnosis::user_error("agents", error),
                Err(error) => Diagnosis::problem("agents", format!("{error:#}")),
            }),
        }
    }
    let missing = missing_values(&needs, around.home.path());
    // Of what could not be read, nothing good is known.
    if missing.is_empty() && is_read {
        diagnoses.push(Diagnosis::ok("values", "every variable and file the manifest refers to exists"));
    }
    diagnoses.extend(missing);
    if !tunnels.is_empty() {
        let upstreams: Vec<String> = tunnels.iter().map(|upstream| format!("`{upstream}`")).collect();
        let text = format!("for {} the proxy must connect to other ports than 443", upstreams.join(", "));
        diagnoses.push(
            Diagnosis::note("proxy", text).hint("many proxies do not; `\"proxy\": false` in a route goes past it"),
        );
    }
    diagnoses
}

/// The sources of values, each with the agents that need it.
type Needs<'a> = BTreeMap<Source, BTreeSet<&'a str>>;

/// The sources that are missing. No value is read. `home`: the folder in which commands are run.
fn missing_values(needs: &Needs, home: &Path) -> Vec<Diagnosis> {
    let missing = |source: &Source| match source {
        Source::Env(name) => secrets::check_variable(name).err(),
        Source::Command(argv) if !probe::can_run(&argv[0], home) => {
            Some(UserError::new(format!("no program `{}`, which prints a token", argv[0])))
        }
        Source::File(path) => fs::File::open(path).err().map(|e| UserError::unreadable(path, &e)),
        Source::EnvOrEmpty(_) | Source::Command(_) | Source::Ask(_) => None,
    };
    let mut diagnoses = Vec::new();
    for (source, agents) in needs {
        if let Some(error) = missing(source) {
            let agents: Vec<String> = agents.iter().map(|agent| format!("`{agent}`")).collect();
            let text = format!("{}, for {}", error.what, agents.join(", "));
            diagnoses.push(Diagnosis { hint: error.hint, ..Diagnosis::problem("values", text) });
        }
    }
    diagnoses
}

/// The root certificates that the gate trusts, read as it will read them.
fn roots() -> Diagnosis {
    let path = match probe::roots() {
        Ok(path) => path,
        Err(error) => return Diagnosis::user_error("roots", error),
    };
    let shown = path.display();
    match fs::read(&path) {
        Err(error) => Diagnosis::problem("roots", format!("cannot read `{shown}`: {error}")),
        // Comments between certificates may be in any encoding.
        Ok(bytes) => match String::from_utf8_lossy(&bytes).matches("-----BEGIN CERTIFICATE-----").count() {
            0 => Diagnosis::problem("roots", format!("no certificate in `{shown}`")),
            count => Diagnosis::ok("roots", format!("{} in `{shown}`", counted(count, "certificate"))),
        },
    }
}

/// How many sessions there are, and which are lost or unsettled.
fn sessions(around: &Surroundings) -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    let [mut live, mut detached, mut kept] = [0; 3];
    for folder in around.home.folders() {
        let identity = &folder.identity;
        let why = match folder.condition() {
            Condition::Kept(rest) if rest.unsettled => "is not settled: its engine did not answer at its end",
            Condition::Lost => "is lost: the program that had it was killed",
            in_order => {
                match in_order {
                    Condition::Live => live += 1,
                    Condition::Detached => detached += 1,
                    _ => kept += 1,
                }
                continue;
            }
        };
        let note = Diagnosis::note("sessions", format!("`{identity}` {why}"));
        diagnoses.push(note.hint(hint!("claude-bottle resume {}", identity)));
    }
    diagnoses.insert(0, Diagnosis::ok("sessions", format!("{live} live, {detached} detached, {kept} kept")));
    diagnoses
}

/// The folder of the state, which no other user may read: transcripts and audit trails are in it.
fn state_folder(around: &Surroundings) -> Diagnosis {
    let path = around.home.path();
    let shown = path.display();
    match fs::metadata(path) {
        Err(_) => Diagnosis::ok("state", format!("`{shown}` is made by the first start")),
        Ok(meta) if !meta.is_dir() => Diagnosis::problem("state", format!("`{shown}` is not a folder")),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            Diagnosis::note("state", format!("others of this machine may look into `{shown}`"))
                .hint(hint!("chmod 700 {}", shown))
        }
        Ok(meta) if meta.uid() != nix::unistd::geteuid().as_raw() => {
            Diagnosis::problem("state", format!("`{shown}` is another user's"))
        }
        Ok(_) => Diagnosis::ok("state", format!("`{shown}` is yours alone")),
    }
}

/// Temporary files of killed programs: older than any that may be in use.
fn leftovers(around: &Surroundings) -> Vec<Diagnosis> {
    const MIN_AGE: Duration = Duration::from_secs(3600);
    let mine = |path: &PathBuf| {
        let meta = path.symlink_metadata().ok();
        let old = |meta: &fs::Metadata| meta.modified().ok()?.elapsed().ok().map(|age| age > MIN_AGE);
        meta.is_some_and(|meta| meta.uid() == nix::unistd::geteuid().as_raw() && old(&meta) == Some(true))
    };
    let found = |folder: &Path, begins: &[&str]| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let named = entries.filter(|entry| begins.iter().any(|b| entry.file_name().to_string_lossy().starts_with(b)));
        named.map(|entry| entry.path()).filter(mine).collect()
    };
    let mut paths = found(around.home.path(), &[".tmp", DRAFT_PREFIX]);
    paths.extend(found(&std::env::temp_dir(), &["claude-bottle-build-", git::FOLDER_PREFIX]));
    paths.sort();
    let note = |path: &PathBuf| {
        let text = format!("`{}` was left behind by a program that was killed: look into it", path.display());
        Diagnosis::note("leftovers", text).hint(hint!("rm -r {}", path.display()))
    };
    paths.iter().map(note).collect()
}

/// Variables of claude-bottle with a wrong value, or with a name that no part of it reads.
fn environment() -> Vec<Diagnosis> {
    let mut diagnoses = Vec::new();
    diagnoses.extend(probe::detach_keys().err().map(|error| Diagnosis::user_error("environment", error)));
    let known = || VARIABLES.iter().flat_map(|variable| variable.names.iter().copied());
    let ours = |name: &String| name.starts_with("CLAUDE_BOTTLE_") && !known().any(|known| known == name);
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(ours) {
        let error = UserError::new(format!("`{name}` is set, and nobody reads it")).meant(&name, known());
        diagnoses.push(Diagnosis { hint: error.hint, ..Diagnosis::note("environment", error.what) });
    }
    diagnoses
}

/// Is git there?
fn git() -> Diagnosis {
    match Git::isolated(Path::new("/")).args(["--version"]).run(Vec::new()) {
        Ok(said) => Diagnosis::ok("git", String::from_utf8_lossy(&said.stdout).trim()),
        Err(error) => {
            let text = format!("{}: `start --cwd` of a repository and `work` need it", error.what);
            Diagnosis { hint: error.hint, ..Diagnosis::note("git", text) }
        }
    }
}

/// Does the start file of the user's shell evaluate `claude-bottle shell`?
fn shell() -> Option<Diagnosis> {
    let shell = PathBuf::from(probe::variable("SHELL")?);
    let home = dirs::home_dir()?;
    let zsh = probe::variable("ZDOTDIR").map_or(home.clone(), PathBuf::from);
    let (file, line) = match shell.file_name()?.to_str()? {
        "bash" => (home.join(".bashrc"), "add to it: eval \"$(claude-bottle shell bash)\""),
        "zsh" => (zsh.join(".zshrc"), "add to it: eval \"$(claude-bottle shell zsh)\""),
        "fish" => (home.join(".config/fish/config.fish"), "add to it: claude-bottle shell fish | source"),
        _ => return None,
    };
    let shown = file.display();
    Some(match fs::read_to_string(&file).is_ok_and(|text| text.contains("claude-bottle shell")) {
        true => Diagnosis::ok("shell", format!("`{shown}` brings completions and the prompt")),
        false => Diagnosis::note("shell", format!("no completions and no prompt by `{shown}`")).hint(line),
    })
}
