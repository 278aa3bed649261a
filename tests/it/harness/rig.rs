//! A home on the real engine, and the containers that a test puts beside its bottles. All of it is removed by label.

use super::process::{run, run_bytes};
use super::wait::until;
use crate::harness::{Going, Ran};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use testing::process::{PipeReader, output, try_output};

/// A home of its own, and whatever containers the test puts beside its bottles.
pub struct Rig {
    pub home: tempfile::TempDir,
    pub id: String,
    /// The engine's program.
    engine: &'static str,
}

/// The agent's user id in every bottle of these tests, so that all of them use one image.
pub const UID: u32 = 31_234;

/// A random home id that gives agents [`UID`].
fn home_id() -> String {
    let host = claude_bottle::probe::HostIds::read();
    let stem = unique().replace('-', "x");
    let mut ids = (0..).map(|number: u64| format!("t{stem}x{number}"));
    ids.find(|id| claude_bottle::plan::agent_uid(id, |uid| host.contain(uid)) == UID).unwrap()
}

impl Rig {
    /// `manifest` goes into the home; it is JSON.
    pub fn new(manifest: &Value) -> Rig {
        Rig::on("docker", manifest)
    }

    pub fn on(engine: &'static str, manifest: &Value) -> Rig {
        ready();
        let home = tempfile::Builder::new().prefix("claude-bottle-test-").tempdir().unwrap();
        let rig = Rig { id: format!("t{}", unique()), home, engine };
        rig.manifest(manifest);
        std::fs::write(rig.path().join("id"), home_id()).unwrap();
        rig
    }

    pub fn manifest(&self, manifest: &Value) {
        std::fs::write(self.path().join("claude-bottle.json"), manifest.to_string()).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// The program, with an environment of the test's.
    pub fn ours(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_claude-bottle"));
        self.dress(command.args(args));
        command
    }

    pub fn dress(&self, command: &mut Command) {
        command.env_clear().current_dir(self.path());
        for name in ["PATH", "CLAUDE_BOTTLE_GATE", "CLAUDE_BOTTLE_BASE_IMAGE", "DOCKER_HOST", "DOCKER_CONTEXT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("CLAUDE_BOTTLE_DOCKER", self.engine);
        command.env("HOME", self.path()).env("CLAUDE_BOTTLE_HOME", self.path()).env("TERM", "xterm-256color");
    }

    /// A PATH on which this bash script is the engine's program; `$real` is the engine's own.
    pub fn path_with_engine(&self, script: &str) -> String {
        let real = run(Command::new("sh").args(["-c", &format!("command -v {}", self.engine)]), "").code(0).stdout;
        let folder = self.path().join("engine-program");
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join(self.engine);
        std::fs::write(&program, format!("#!/bin/bash\nreal={}\n{script}", real.trim())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
    }

    /// Runs it to its end, with this on stdin.
    pub fn run(&self, args: &[&str], stdin: &str) -> Ran {
        run(&mut self.ours(args), stdin)
    }

    /// Starts it with pipes; read and write as it goes.
    pub fn begin(&self, args: &[&str]) -> Going {
        Going::new(&mut self.ours(args))
    }

    /// The same on a terminal that util-linux's `script` makes.
    pub fn on_terminal(&self, args: &[&str]) -> Going {
        Going::new(&mut self.terminal_command(args))
    }

    pub fn terminal_command(&self, args: &[&str]) -> Command {
        let words = [env!("CARGO_BIN_EXE_claude-bottle")].into_iter().chain(args.iter().copied());
        let line = format!("stty rows 40 cols 120; exec {}", shlex::try_join(words).unwrap());
        let mut command = Command::new("script");
        command.args(["-qfec", &line, "/dev/null"]);
        self.dress(&mut command);
        command.env("SHELL", "/bin/sh");
        command
    }

    /// Identities on disk.
    pub fn sessions(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path().join("state")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub fn state(&self, identity: &str) -> PathBuf {
        self.path().join("state").join(identity)
    }

    /// Nothing of this home's is on the engine or in the state.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.sessions(), Vec::<String>::new());
        assert_eq!(self.objects(), Vec::<String>::new());
    }

    /// Containers and volumes with this home's label.
    pub fn objects(&self) -> Vec<String> {
        let Ok(id) = std::fs::read_to_string(self.path().join("id")) else { return Vec::new() };
        let filter = format!("label=claude-bottle.home={}", id.lines().next().unwrap_or_default());
        let mut names = lines(&self.engine(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]));
        names.extend(lines(&self.engine(&["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"])));
        names
    }

    /// The engine's own program; what it printed.
    #[track_caller]
    pub fn engine(&self, args: &[&str]) -> String {
        told(self.engine, args)
    }

    /// A container of the test on the bridge, with these files in /srv, up once it has printed its first line.
    pub fn serve(&self, files: &[(&str, &[u8])], command: &[&str]) -> Served {
        let label = format!("claude-bottle.test={}", self.id);
        let fixed = ["create", "--label", &label, "--user", "0:0", "--workdir", "/srv", "--entrypoint", ""];
        let id = self.engine(&[&fixed[..], &[agent_image()], command].concat()).trim().to_owned();
        self.copy_in(&id, files);
        self.engine(&["start", &id]);
        let mut logs = Command::new(self.engine).args(["logs", "-f", &id]).stdout(Stdio::piped()).spawn().unwrap();
        let reader = PipeReader::start(logs.stdout.take().unwrap());
        until("a first line of the test's container", || {
            reader.so_far().contains(&b'\n') || logs.try_wait().unwrap().is_some()
        });
        let _ = logs.kill();
        logs.wait().unwrap();
        assert!(!reader.so_far().is_empty(), "it ended: {}", self.engine(&["logs", &id]));
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = self.engine(&["inspect", "--format", format, &id]).trim().to_owned();
        Served { id, address, engine: self.engine }
    }

    /// The scripted model with these turns; it speaks plain HTTP at port 80.
    pub fn model(&self, turns: &Value) -> Served {
        let program = std::fs::read(testing::scripted_model()).unwrap();
        let turns = turns.to_string();
        let files: [(&str, &[u8]); 2] = [("model", &program), ("script.json", turns.as_bytes())];
        self.serve(&files, &["/srv/model", "--script", "/srv/script.json"])
    }

    /// A TLS origin for `allowed.example.org`, its CA in the home's `ca.pem`, with a git repository at /git/repo.git.
    pub fn origin(&self) -> Served {
        let make = "git init -q --bare git/repo.git; git init -q work; cd work; echo one > file; git add .; \
            git -c user.name=t -c user.email=t@example.org commit -qm one; \
            git push -q ../git/repo.git HEAD:refs/heads/main; cd ..; git -C git/repo.git symbolic-ref HEAD refs/heads/main; \
            exec python3 -u origin.py";
        self.serve_tls(include_bytes!("../engine/origin.py"), make)
    }

    /// The program as `origin.py` beside `tls_server.py` and a certificate for `allowed.example.org`, whose CA is the home's
    /// `ca.pem`.
    pub fn serve_tls(&self, program: &[u8], script: &str) -> Served {
        let (cert, key) = self.certificate("allowed.example.org");
        let server = include_bytes!("../engine/tls_server.py");
        let files: [(&str, &[u8]); 4] = [
            ("cert.pem", cert.as_bytes()),
            ("key.pem", key.as_bytes()),
            ("tls_server.py", server),
            ("origin.py", program),
        ];
        self.serve(&files, &["sh", "-c", script])
    }
}

impl Rig {
    /// A certificate for this name or address, and its key, both PEM. Its CA is written to the home's `ca.pem`.
    fn certificate(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "CA of a test");
        let ca = params.self_signed(&key).unwrap();
        std::fs::write(self.path().join("ca.pem"), ca.pem()).unwrap();
        let issuer = rcgen::Issuer::new(params, key);
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (leaf.signed_by(&key, &issuer).unwrap().pem(), key.serialize_pem())
    }

    /// Gives a container that runs a certificate for its address: `cert.pem`, then `key.pem`.
    pub fn certify(&self, served: &Served) {
        let (cert, key) = self.certificate(&served.address);
        self.copy_in(&served.id, &[("cert.pem", cert.as_bytes()), ("key.pem", key.as_bytes())]);
    }

    /// Copies these files into a container's /srv.
    fn copy_in(&self, container: &str, files: &[(&str, &[u8])]) {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o755);
            archive.append_data(&mut header, name, *bytes).unwrap();
        }
        let mut copy = Command::new(self.engine);
        copy.args(["cp", "-", &format!("{container}:/srv")]);
        run_bytes(&mut copy, &archive.into_inner().unwrap()).code(0);
    }
}

/// A container of the test.
pub struct Served {
    id: String,
    engine: &'static str,
    pub address: String,
}

impl Served {
    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it printed.
    pub fn log(&self) -> String {
        told(self.engine, &["logs", &self.id])
    }

    /// A route to the origin.
    pub fn route(&self) -> Value {
        json!({ "host": "allowed.example.org", "connect_to": format!("{}:8443", self.address), "private": true,
            "upstream_ca": "ca.pem" })
    }

    /// The route of the model, with its credential in this variable.
    pub fn model_route(&self, variable: &str) -> Value {
        json!({ "host": "api.anthropic.com", "role": "claude", "auth": { "token_ref": variable },
            "connect_to": format!("http://{}:80", self.address), "private": true })
    }

    /// Lets a turn of the model's go on.
    pub fn release(&self, hold: &str) {
        self.control(&["-X", "POST", &format!("http://{}:8081/_release/{hold}", self.address)]);
    }

    /// The model begins another script.
    pub fn rewrite(&self, turns: &Value) {
        let script = turns.to_string();
        self.control(&["-X", "PUT", "-d", &script, &format!("http://{}:8081/_script", self.address)]);
    }

    fn control(&self, args: &[&str]) {
        run(Command::new("curl").args(["-sSf"]).args(args), "").code(0);
    }

    /// The model's requests to the Messages API that offered tools, in order.
    pub fn turns(&self) -> Vec<Value> {
        let requests = lines(&self.log()).into_iter().skip(1);
        let requests = requests.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        requests.filter(|request| request["path"] == "/v1/messages" && request["body"]["tools"].is_array()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = try_output(&mut self.ours(&["cleanup", "--yes"]));
        // A test that failed may leave a session live.
        for name in self.objects() {
            let _ = try_output(Command::new(self.engine).args(["rm", "-f", "-v", &name]));
            let _ = try_output(Command::new(self.engine).args(["volume", "rm", &name]));
        }
        let filter = format!("label=claude-bottle.test={}", self.id);
        for container in lines(&self.engine(&["ps", "-aq", "--filter", &filter])) {
            self.engine(&["rm", "-f", "-v", &container]);
        }
    }
}

/// Docker's own program; what it printed.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    told("docker", args)
}

#[track_caller]
pub fn told(program: &str, args: &[&str]) -> String {
    let output = output(Command::new(program).args(args));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

pub fn unique() -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// The image that agents run in by default; the tests' own servers run in it too.
pub fn agent_image() -> &'static str {
    &images().agent
}

/// The tags of the images that the tests' bottles use.
pub struct ImageTags {
    /// The default one of agents, without its last layer.
    pub agent: String,
    /// Of a gate without remotes.
    pub gate: String,
    /// Of a gate with remotes, and of readers.
    pub git: String,
}

pub fn images() -> &'static ImageTags {
    static IMAGES: OnceLock<ImageTags> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let home = tempfile::tempdir().unwrap();
        let manifest = json!({
            "bottles": { "b": {}, "g": { "git": { "remotes": [{ "name": "a", "upstream": "https://a.example.org/a" }] } } },
            "agents": { "a": { "bottle": "b" }, "g": { "bottle": "g" } },
        });
        std::fs::write(home.path().join("claude-bottle.json"), manifest.to_string()).unwrap();
        let images = |agent: &str| {
            let mut plan = Command::new(env!("CARGO_BIN_EXE_claude-bottle"));
            plan.args(["start", "--dry-run", "--format", "json", agent]).env("CLAUDE_BOTTLE_HOME", home.path());
            serde_json::from_str::<Value>(&run(&mut plan, "").code(0).stdout).unwrap()["images"].take()
        };
        let (plain, git) = (images("a"), images("g"));
        let agent = plain["builds"].as_array().unwrap().iter().find(|build| build["also"].is_string()).unwrap();
        let [agent, gate, git] =
            [&agent["tag"], &plain["gate"], &git["gate"]].map(|tag| tag.as_str().unwrap().to_owned());
        ImageTags { agent, gate, git }
    })
}

/// Engine, images and gate are there, or the test says what to type.
pub fn ready() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        for name in ["CLAUDE_BOTTLE_GATE", "CLAUDE_BOTTLE_BASE_IMAGE"] {
            assert!(std::env::var_os(name).is_some(), "`{name}` is not set: run these tests by `make test`");
        }
        let images = docker(&["image", "inspect", "--format", "{{.Id}}", agent_image()]);
        assert!(!images.is_empty());
    });
}
