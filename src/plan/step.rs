//! Up and down: the engine calls of a bottle's life, in order. The printed script and the driver consume these.

use super::{Plan, Runtime, gate};
use crate::facts::{EngineKind, Terminal};
use crate::spec::Beginning;
use policy::PROXY_VARIABLES;
use wire::{AGENT_UID, GATE_BINARY, HOME};

/// Of the reader, git's packing and its tmpfs included.
const READER_MEMORY: &str = "2g";

/// One call of the engine's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: What,
    /// Without the program itself.
    pub args: Vec<String>,
}

/// What a step is for; it decides how it is run, not what is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    CreateGate,
    /// A container's volumes get what its image holds in their places: Docker does so when it creates the container.
    FillVolumes,
    /// Held: its stdin is fed the document, its stdout is the audit trail.
    StartGate,
    /// The home, where making the agent cannot label it.
    CreateVolume,
    CreateAgent,
    /// Feeds a tar stream to the home, before the agent starts: the workspace, or the transcript of a home that is gone.
    Fill,
    /// The terminal's.
    StartAgent,
    /// TERM, three seconds, KILL.
    StopAgent,
    /// One inspect decides how it ended.
    Inspect,
    /// The transcript, as a tar stream on stdout. Works on a stopped container.
    Snapshot,
    RemoveGate,
    RemoveAgent,
    RemoveVolume,
}

impl What {
    /// Is it only there to take something away?
    pub fn removes(self) -> bool {
        matches!(self, What::RemoveGate | What::RemoveAgent | What::RemoveVolume)
    }
}

/// What becomes of the home volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Keep,
    Drop,
}

impl Plan {
    /// From nothing to a running session.
    ///
    /// podman (4.3 was tried) fills a container's volumes from its image when it starts, not when it creates it. So an
    /// agent that starts beside its gate finds no program in the gate's volume (125), and a home that is filled before
    /// gets nothing of the image's. Its `init` does that part of a start alone. It cannot label a volume in `--mount`.
    pub fn up(&self) -> Vec<Step> {
        let podman = self.engine.kind == EngineKind::Podman;
        let fill_volumes = |container: &str| podman.then(|| step(What::FillVolumes, &["init", container]));
        let (gate, agent) = (self.gate_container(), self.agent_container());
        let mut steps = vec![Step { what: What::CreateGate, args: gate::create(self) }];
        steps.extend(fill_volumes(&gate));
        steps.push(step(What::StartGate, &["start", "-ai", &gate]));
        if podman && self.spec.beginning != Beginning::Resume {
            steps.push(Step { what: What::CreateVolume, args: self.create_volume() });
        }
        steps.push(Step { what: What::CreateAgent, args: self.create_agent() });
        if let Some(fill) = self.fill() {
            steps.extend(fill_volumes(&agent));
            steps.push(fill);
        }
        steps.push(self.start_agent());
        steps
    }

    /// The last of [`Plan::up`].
    pub fn start_agent(&self) -> Step {
        step(What::StartAgent, &["start", "-ai", "--detach-keys", &self.detach_keys, &self.agent_container()])
    }

    /// From an ended session to nothing but what is kept.
    pub fn down(&self, fate: Fate) -> Vec<Step> {
        let (agent, gate) = (self.agent_container(), self.gate_container());
        let mut steps = vec![
            step(What::Inspect, &["container", "inspect", "--format", "{{json .State}}", &agent]),
            step(What::Snapshot, &["cp", &format!("{agent}:{HOME}/.claude/projects"), "-"]),
            step(What::RemoveGate, &["rm", "-f", "-v", &gate]),
            step(What::RemoveAgent, &["rm", "-f", "-v", &agent]),
        ];
        if fate == Fate::Drop {
            steps.push(step(What::RemoveVolume, &["volume", "rm", "-f", &self.volume()]));
        }
        steps
    }

    /// Something of the host into the home, between the agent's making and its start; names are relative to [`HOME`].
    fn fill(&self) -> Option<Step> {
        let wanted = match self.spec.beginning {
            Beginning::New => self.workspace.is_some(),
            Beginning::Transcript => true,
            Beginning::Resume => false,
        };
        wanted.then(|| step(What::Fill, &["cp", "-", &format!("{}:{HOME}", self.agent_container())]))
    }

    /// Asks the agent to end: what the engine calls stop.
    pub fn stop(&self) -> Step {
        step(What::StopAgent, &["stop", "-t", "3", &self.agent_container()])
    }

    /// Ends the agent now.
    pub fn kill(&self) -> Step {
        step(What::StopAgent, &["kill", &self.agent_container()])
    }

    /// This terminal to the running agent.
    pub fn attach(&self) -> Step {
        step(What::StartAgent, &["attach", "--detach-keys", &self.detach_keys, &self.agent_container()])
    }

    /// The reader: a throw-away container that looks at the home, whatever state the session is in, and can change
    /// nothing. `image`: the gate's, which has git and `init`; `words` follow `init`.
    pub fn reader(&self, image: &str, words: &[&str]) -> Vec<String> {
        let user = format!("{AGENT_UID}:{AGENT_UID}");
        let label = selinux(&self.identity);
        let mount = match self.engine.kind {
            EngineKind::Docker => format!("{},volume-nocopy,readonly", self.home_mount()),
            // It knows neither word, and copies nothing into a volume that was used before.
            EngineKind::Podman => format!("{},ro", self.home_mount()),
        };
        let mut args: Vec<String> = ["run", "--rm", "-i", "--pull", "never"].map(str::to_owned).into();
        args.extend(labels(self, "reader"));
        let fixed = [
            ["--network", "none"],
            ["--user", &user],
            ["--cap-drop", "ALL"],
            ["--security-opt", "no-new-privileges"],
            ["--security-opt", &label],
            ["--tmpfs", "/tmp:rw,nosuid,nodev,size=1g,mode=1777"],
            ["--pids-limit", "256"],
            ["--memory", READER_MEMORY],
            ["--memory-swap", READER_MEMORY],
            ["--log-driver", "none"],
            ["--mount", &mount],
            ["--env", "HOME=/tmp"],
        ];
        args.extend(fixed.into_iter().flatten().map(str::to_owned));
        args.push("--read-only".to_owned());
        args.extend(no_proxies());
        args.extend([image.to_owned(), "init".to_owned()]);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        args
    }

    /// Makes the program on the agent's terminal draw again.
    pub fn redraw(&self) -> Vec<String> {
        ["exec", &self.agent_container(), GATE_BINARY, "init", "redraw"].map(str::to_owned).into()
    }

    /// Asks the running gate, or tells it; what is secret goes into the call's stdin, never into these words.
    pub fn ctl(&self, words: &[&str]) -> Vec<String> {
        let call = ["exec", "-i", &self.gate_container(), "claude-bottle-gate", "ctl"];
        call.iter().chain(words).map(|word| (*word).to_owned()).collect()
    }

    /// The gate's lines from its first: the durable audit trail.
    pub fn gate_log(&self) -> Vec<String> {
        ["logs", &self.gate_container()].map(str::to_owned).into()
    }

    /// The same, and those that come.
    pub fn follow_gate(&self) -> Vec<String> {
        ["logs", "-f", &self.gate_container()].map(str::to_owned).into()
    }

    fn create_agent(&self) -> Vec<String> {
        let flags = match self.terminal {
            Terminal::Tty => "-it",
            Terminal::Pipes => "-i",
        };
        let name = self.agent_container();
        let user = format!("{AGENT_UID}:{AGENT_UID}");
        let label = selinux(&self.identity);
        let (memory, cpus, pids) =
            (self.limits.memory.to_string(), self.limits.cpus.to_string(), self.limits.pids.to_string());
        let gate = format!("{}:ro", self.gate_container());
        let mount = self.home_mount();
        let mut args: Vec<String> = ["create", flags, "--pull", "never", "--name", &name].map(str::to_owned).into();
        args.extend(labels(self, "agent"));
        let fixed = [
            ["--hostname", &self.identity],
            ["--network", "none"],
            ["--sysctl", "net.ipv4.ip_unprivileged_port_start=0"],
            ["--user", &user],
            ["--cap-drop", "ALL"],
            ["--security-opt", "no-new-privileges"],
            ["--security-opt", &label],
            ["--pids-limit", &pids],
            ["--memory", &memory],
            ["--memory-swap", &memory],
            ["--cpus", &cpus],
            ["--log-driver", "none"],
            ["--volumes-from", &gate],
            ["--mount", &mount],
            ["--entrypoint", GATE_BINARY],
        ];
        args.extend(fixed.into_iter().flatten().map(str::to_owned));
        args.extend(self.names().iter().map(|arg| (*arg).to_owned()));
        // A probe of the image's would run beside the agent, with nothing to reach.
        args.push("--no-healthcheck".to_owned());
        args.extend(no_proxies());
        if let Runtime::Gvisor { runtime } = &self.runtime {
            args.extend(["--runtime".to_owned(), runtime.clone()]);
        }
        args.extend([self.images.agent.clone(), "init".to_owned()]);
        args
    }

    /// Every name is asked of the door.
    fn names(&self) -> &'static [&'static str] {
        match self.engine.kind {
            EngineKind::Docker => &["--dns", "127.0.0.1", "--dns-search", "."],
            // It refuses `--dns` beside `--network none`, and leaves the image's `resolv.conf`, which says the same. Its
            // `/etc/hosts` would have the host's own names.
            EngineKind::Podman => &["--no-hosts"],
        }
    }

    fn create_volume(&self) -> Vec<String> {
        let mut args = ["volume", "create"].map(str::to_owned).to_vec();
        args.extend(labels(self, "home"));
        args.push(self.volume());
        args
    }

    fn home_mount(&self) -> String {
        let mut mount = format!("type=volume,source={},target={HOME}", self.volume());
        if self.engine.kind == EngineKind::Docker {
            for (name, value) in label_pairs(self, "home") {
                mount.push_str(&format!(",volume-label={name}={value}"));
            }
        }
        mount
    }
}

fn step(what: What, args: &[&str]) -> Step {
    Step { what, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
}

fn label_pairs<'a>(plan: &'a Plan, role: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("claude-bottle.identity", &plan.identity),
        ("claude-bottle.role", role),
        ("claude-bottle.schema", "1"),
        ("claude-bottle.home", &plan.home_id),
    ]
}

pub(super) fn labels(plan: &Plan, role: &str) -> Vec<String> {
    label_pairs(plan, role)
        .into_iter()
        .flat_map(|(name, value)| ["--label".to_owned(), format!("{name}={value}")])
        .collect()
}

/// Every spelling set to nothing; `init` takes the empty ones away as well. The docker client copies the proxies of its
/// own configuration, passwords and all, into every container that does not set them: the agent could read them from its
/// first process, and anyone from `inspect`.
pub(super) fn no_proxies() -> impl Iterator<Item = String> {
    let spellings = PROXY_VARIABLES.iter().flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()]);
    spellings.flat_map(|name| ["--env".to_owned(), format!("{name}=")])
}

/// Both containers get the same level, or SELinux denies the socket between them. Harmless elsewhere.
pub(super) fn selinux(identity: &str) -> String {
    let digest = crate::facts::digest(identity.as_bytes());
    let low = digest % 1023;
    let high = low + 1 + (digest >> 32) % (1023 - low);
    format!("label=level:s0:c{low},c{high}")
}
