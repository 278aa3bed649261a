//! A place of its own for a test on the fake engine: temporary home, working directory and engine state. What is on
//! the engine and on the disk is read from here.

use crate::harness::Run;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_claude-bottle");

/// The folder that holds the fake engine's client, `docker`.
pub const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake");

/// The engine's programs that the fake one plays, by its name.
pub const ENGINES: [&str; 2] = ["docker", "podman"];

/// One agent in a bottle out of which nothing gets.
pub const PLAIN: &str = r#"{ "bottles": { "box": {} }, "agents": { "plain": { "bottle": "box" } } }"#;

/// The shortest certificate that is whole: one sequence without content.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";

/// A home, a working directory and an engine that nothing else uses.
pub struct Place {
    folder: tempfile::TempDir,
    /// The engine's program.
    engine: &'static str,
}

impl Place {
    pub fn new(manifest: &str) -> Place {
        Place::on("docker", manifest)
    }

    /// By the names of the engine's programs that the fake one plays.
    pub fn on(engine: &'static str, manifest: &str) -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap(), engine };
        for folder in [
            "calls",
            "hosts",
            "groups",
            "containers",
            "volumes",
            "images",
            "pipes",
            "ready",
            "ran",
            "worked",
            "filled",
            "documents",
            "handed",
        ] {
            fs::create_dir_all(place.engine(folder)).unwrap();
        }
        for folder in ["home", "home/.claude-bottle", "work"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        fs::write(place.path("gate"), "the gate's program").unwrap();
        fs::write(place.path("roots.pem"), CERTIFICATE).unwrap();
        place.write("home/.claude-bottle/claude-bottle.json", manifest);
        place
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn engine(&self, below: &str) -> PathBuf {
        self.path("engine").join(below)
    }

    pub fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The program with these arguments.
    pub fn run(&self, args: &[&str]) -> Run<'_> {
        self.run_other(PROGRAM, args)
    }

    /// Another program in the same place.
    pub fn run_other(&self, program: &str, args: &[&str]) -> Run<'_> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut env = vec![
            ("PATH", FAKE.to_owned()),
            ("HOME", text(self.path("home"))),
            ("CLAUDE_BOTTLE_HOME", text(self.path("home/.claude-bottle"))),
            ("CLAUDE_BOTTLE_GATE", text(self.path("gate"))),
            ("CLAUDE_BOTTLE_UPSTREAM_CA", text(self.path("roots.pem"))),
            ("FAKE", text(self.path("engine"))),
            ("TERM", "xterm".to_owned()),
            ("TZ", "UTC".to_owned()),
        ];
        if self.engine != "docker" {
            env.push(("CLAUDE_BOTTLE_DOCKER", self.engine.to_owned()));
        }
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Run::new(self, program, args, env)
    }

    /// The arguments of every call of the engine's client, in the order they came.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let read = |number: u32| fs::read_to_string(self.engine("calls").join(number.to_string())).ok();
        (1..).map_while(read).map(|call| call.split_terminator('\0').map(str::to_owned).collect()).collect()
    }

    /// What `DOCKER_HOST`, or podman's `CONTAINER_HOST`, was in each call.
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.calls().len()).map(|number| text(&self.engine("hosts").join(number.to_string()))).collect()
    }

    /// Was the client of each call the leader of a process group of its own?
    pub fn own_groups(&self) -> Vec<bool> {
        (1..=self.calls().len()).map(|number| text(&self.engine("groups").join(number.to_string())) == "own").collect()
    }

    pub fn forget_calls(&self) {
        for number in 1..=self.calls().len() {
            fs::remove_file(self.engine("calls").join(number.to_string())).unwrap();
        }
    }

    /// Containers and volumes that are there now.
    pub fn objects(&self) -> Vec<String> {
        [names(&self.engine("containers")), names(&self.engine("volumes"))].concat()
    }

    /// Identities on the disk.
    pub fn sessions(&self) -> Vec<String> {
        names(&self.path("home/.claude-bottle/state"))
    }

    /// The one session's identity.
    pub fn session(&self) -> String {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        sessions.into_iter().next().unwrap()
    }

    /// A file of the one session.
    pub fn session_file(&self, below: &str) -> PathBuf {
        self.path("home/.claude-bottle/state").join(self.session()).join(below)
    }

    /// The one session's mark, as it is on the disk.
    pub fn mark(&self) -> serde_json::Value {
        self.mark_of(&self.session())
    }

    /// A session's mark, as it is on the disk.
    pub fn mark_of(&self, identity: &str) -> serde_json::Value {
        let file = self.path("home/.claude-bottle/state").join(identity).join("mark");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// Why the one session is kept.
    pub fn kept(&self) -> String {
        let mark = self.mark();
        assert_eq!(mark["mark"], "kept", "{mark}");
        mark["why"].as_str().unwrap().to_owned()
    }

    /// A tar stream as `docker cp` prints it, holding one transcript. Its path, for FAKE_TAR.
    pub fn transcript(&self) -> String {
        let mut tar = tar::Builder::new(File::create(self.path("transcript.tar")).unwrap());
        let mut add = |name: &str, mode: u32, kind: tar::EntryType, text: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, name, text.as_bytes()).unwrap();
        };
        add("projects", 0o755, tar::EntryType::Directory, "");
        add("projects/-home-agent-workspace", 0o755, tar::EntryType::Directory, "");
        add("projects/-home-agent-workspace/one.jsonl", 0o644, tar::EntryType::Regular, "{\"said\":1}\n");
        tar.finish().unwrap();
        self.path("transcript.tar").to_str().unwrap().to_owned()
    }

    /// Every file below the home: path, mode, content.
    pub fn whole_home(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.path("home")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
                match path.is_dir() {
                    true => {
                        folders.push(path.clone());
                        found.push((path, mode, Vec::new()));
                    }
                    false => found.push((path.clone(), mode, fs::read(&path).unwrap())),
                }
            }
        }
        found.sort();
        found
    }

    /// The random id of the user's home.
    pub fn home_id(&self) -> Option<String> {
        let file = fs::read_to_string(self.path("home/.claude-bottle/id")).ok()?;
        file.lines().next().map(str::to_owned)
    }

    /// `text` with what differs from run to run replaced: this place, identities, image digests, random ids.
    pub fn steady(&self, text: &str) -> String {
        let text = text.replace(self.folder.path().to_str().unwrap(), "[PLACE]");
        let text = text.replace(env!("CARGO_MANIFEST_DIR"), "[REPOSITORY]");
        let text = self.home_id().map_or_else(|| text.clone(), |id| text.replace(&id, "[HOME-ID]"));
        let mut steady = text;
        for agent in ["plain-", "fixer-", "other-"] {
            steady = replace_word(&steady, agent, 5, "[ID]");
        }
        // What is some seconds old is as new as can be.
        for seconds in 0..60 {
            steady = steady.replace(&format!(" for {seconds}s"), " for [NOW]");
        }
        steady = replace_agent_uid(&steady);
        for stem in ["gate:", "git:", "agent:", "session:", "box:", "dev:"] {
            steady = replace_word(&steady, &format!("claude-bottle-{stem}"), 16, "[DIGEST]");
        }
        steady
    }
}

impl Drop for Place {
    /// Whoever of the fake engine still waits is told that all is over.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.engine("containers"));
        for pipe in names(&self.engine("pipes")) {
            let pipe = OpenOptions::new().read(true).write(true).open(self.engine("pipes").join(pipe));
            let _ = pipe.and_then(|mut pipe| pipe.write_all(b"\n"));
        }
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names
}

/// Replaces the agent's user id where it is written twice, `ID:ID`, and where it is an image's argument.
fn replace_agent_uid(text: &str) -> String {
    let is_uid = |word: &str| word.parse().is_ok_and(|uid: u32| (20_000..60_000).contains(&uid));
    let is_pair = |word: &str| word.split_once(':').is_some_and(|(uid, gid)| uid == gid && is_uid(uid));
    let steady_word = |word: &str| match word.strip_prefix("AGENT_UID=").is_some_and(is_uid) {
        true => "AGENT_UID=[UID]".to_owned(),
        false if is_pair(word) => "[UID]:[UID]".to_owned(),
        false => word.to_owned(),
    };
    let words = text.split_inclusive([' ', '\n']);
    words
        .map(|word| {
            let end = word.trim_end_matches([' ', '\n']).len();
            format!("{}{}", steady_word(&word[..end]), &word[end..])
        })
        .collect()
}

/// Replaces the `length` characters `a-z0-9` behind each `stem`, where exactly so many are there.
pub fn replace_word(text: &str, stem: &str, length: usize, by: &str) -> String {
    let mut parts = text.split(stem);
    let mut steady = parts.next().unwrap().to_owned();
    for part in parts {
        let word = part.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).unwrap_or(part.len());
        steady.push_str(stem);
        steady.push_str(if word == length { by } else { &part[..word] });
        steady.push_str(&part[word..]);
    }
    steady
}

/// Reads a whole file as text.
pub fn text(path: &Path) -> String {
    let mut text = String::new();
    File::open(path).and_then(|mut file| file.read_to_string(&mut text)).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    text
}
