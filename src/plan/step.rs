//! Up and down: the engine calls of a bottle's life, in order. The printed script and the driver run the same ones.

use super::{Plan, Profile, Runtime, gate};
use crate::facts::{EngineKind, Terminal};
use crate::spec::Beginning;
use policy::PROXY_VARIABLES;
use wire::{GATE_BINARY, GATE_UID, HOME, REPOSITORIES_DIR};

/// Labels of every container and volume of ours. The home's is that of `~/.claude-bottle/id`.
pub const IDENTITY_LABEL: &str = "claude-bottle.identity";
pub const ROLE_LABEL: &str = "claude-bottle.role";
pub const HOME_LABEL: &str = "claude-bottle.home";

/// The role of a reader's container.
pub const READER_ROLE: &str = "reader";

/// The memory of the reader's container. It covers git's packing and the tmpfs.
const READER_MEMORY: &str = "2g";

/// The arguments of one call of the engine's program, without the program itself.
pub type Args = Vec<String>;

/// One call on the way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub kind: StepKind,
    pub args: Args,
}

/// What a step is for. It decides how the call is run, and not which call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    CreateGate,
    /// Copies into a container's volumes what its image has at their places. Docker does that when it creates the container.
    FillVolumes,
    /// Its stdin is held open for the document; its stdout is the audit trail.
    StartGate,
    /// Makes the volume of the gate's repositories, on engines that cannot label it while they create the gate. It may be
    /// there already.
    CreatePushesVolume,
    /// Makes the home, on engines that cannot label it while they create the agent.
    CreateVolume,
    CreateAgent,
    /// Feeds a tar stream to the home before the agent starts: the workspace, or the transcript of a home that is gone.
    FillHome,
    /// Runs in the foreground: it has the terminal.
    StartAgent,
}

/// What a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadVolume {
    Home,
    /// What was pushed to a local remote. It is the gate's, with whose rights it is read.
    Pushes,
}

/// The calls that end a session, in this order. The volumes go only where nothing in it needs to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// Prints the state of the agent's container as JSON; it decides how the session ended.
    pub inspect: Args,
    /// Writes the transcript as a tar stream to stdout. It works on a stopped container.
    pub snapshot: Args,
    /// Each removes a container that served the agent's.
    pub sidecars: Vec<Args>,
    /// Removes the agent's container.
    pub agent: Args,
    /// Removes the home.
    pub volume: Args,
    /// Removes what was pushed to a local remote, with the home.
    pub pushes: Option<Args>,
}

impl Down {
    /// Each removes a container; the home stays.
    pub fn containers(&self) -> impl Iterator<Item = &Args> {
        self.sidecars.iter().chain([&self.agent])
    }

    /// Each removes a volume.
    pub fn volumes(&self) -> impl Iterator<Item = &Args> {
        [&self.volume].into_iter().chain(&self.pushes)
    }
}

/// Removes a container and its anonymous volumes, running or not.
pub fn remove_container(name: &str) -> Args {
    args(&["rm", "-f", "-v", name])
}

/// Removes a volume that no container uses.
pub fn remove_volume(name: &str) -> Args {
    args(&["volume", "rm", name])
}

/// Gives `lo` its `::1`, which it has not in a namespace of its own that no network of the engine's is in.
pub const IPV6_LOOPBACK: &str = "net.ipv6.conf.lo.disable_ipv6=0";

impl Plan {
    /// From nothing to a running session.
    ///
    /// podman (4.3 was tried) fills a container's volumes from its image when it starts the container, not when it creates
    /// it. So an agent that starts beside its gate would find no program in the gate's volume (125), and a home that is
    /// filled before the start would get nothing of the image's. podman's `init` does that part of a start alone. podman
    /// cannot label a volume in `--mount` either.
    pub fn up(&self) -> Vec<Step> {
        let podman = self.engine.kind == EngineKind::Podman;
        let (gate, agent) = (self.gate_container(), self.agent_container());
        let step = |kind, args| Step { kind, args };
        let fill_volumes = |container: &str| podman.then(|| step(StepKind::FillVolumes, args(&["init", container])));
        let mut steps = Vec::new();
        if podman && self.keeps_pushes {
            steps.push(step(StepKind::CreatePushesVolume, self.create_volume("pushes", self.pushes_volume())));
        }
        steps.push(step(StepKind::CreateGate, gate::create(self)));
        steps.extend(fill_volumes(&gate));
        steps.push(step(StepKind::StartGate, args(&["start", "-ai", &gate])));
        if podman && self.spec.beginning != Beginning::Resume {
            steps.push(step(StepKind::CreateVolume, self.create_volume("home", self.volume())));
        }
        steps.push(step(StepKind::CreateAgent, self.create_agent()));
        if self.fills_home() {
            steps.extend(fill_volumes(&agent));
            steps.push(step(StepKind::FillHome, args(&["cp", "-", &format!("{agent}:{HOME}")])));
        }
        steps.push(step(StepKind::StartAgent, self.start_agent()));
        steps
    }

    /// The call of the last step of [`Plan::up`].
    pub fn start_agent(&self) -> Args {
        self.start_agent_by(&self.client_detach_keys())
    }

    /// As [`Plan::start_agent`], where no program of ours looks at what is typed.
    pub fn start_agent_by_hand(&self) -> Args {
        self.start_agent_by(&self.detach_keys)
    }

    fn start_agent_by(&self, keys: &str) -> Args {
        args(&["start", "-ai", "--detach-keys", keys, &self.agent_container()])
    }

    /// The client's own detach keys, which nothing types or pastes: those of the user, and the home's random id. On a terminal
    /// this program finds the user's keys itself. The client holds back what begins as its own do; all that is typed so is
    /// held back here already.
    fn client_detach_keys(&self) -> String {
        match self.terminal {
            Terminal::Tty => self.home_id.chars().fold(self.detach_keys.clone(), |keys, key| format!("{keys},{key}")),
            Terminal::Pipes => self.detach_keys.clone(),
        }
    }

    /// From an ended session to nothing but what is kept.
    pub fn down(&self) -> Down {
        let agent = self.agent_container();
        Down {
            inspect: args(&["container", "inspect", "--format", "{{json .State}}", &agent]),
            snapshot: args(&["cp", &format!("{agent}:{HOME}/.claude/projects"), "-"]),
            sidecars: vec![remove_container(&self.gate_container())],
            agent: remove_container(&agent),
            volume: args(&["volume", "rm", "-f", &self.volume()]),
            pushes: self.keeps_pushes.then(|| args(&["volume", "rm", "-f", &self.pushes_volume()])),
        }
    }

    /// Does something of this machine go into the home, between the agent's making and its start?
    fn fills_home(&self) -> bool {
        match self.spec.beginning {
            Beginning::New => self.workspace.is_some(),
            Beginning::Transcript => true,
            Beginning::Resume => false,
        }
    }

    /// Sends the agent TERM, and KILL after three seconds.
    pub fn stop(&self) -> Args {
        args(&["stop", "-t", "3", &self.agent_container()])
    }

    /// Sends the agent KILL.
    pub fn kill(&self) -> Args {
        args(&["kill", &self.agent_container()])
    }

    /// Attaches this terminal to the running agent.
    pub fn attach(&self) -> Args {
        args(&["attach", "--detach-keys", &self.client_detach_keys(), &self.agent_container()])
    }

    /// Runs `init` inside the running agent's container. `flags` are those of the engine's `exec`; `words` follow `init`.
    pub fn exec(&self, flags: &str, words: &[&str]) -> Args {
        exec(&[flags], &self.agent_container(), &[&[GATE_BINARY, "init"], words].concat())
    }

    /// Runs the reader: a throw-away container that sees one volume, whatever state the session is in, and can change
    /// nothing of it. `name` is one that [`Plan::reader_container`] gave, `image` is the gate's, which has git and `init`;
    /// `words` follow `init`.
    pub fn reader(&self, of: ReadVolume, name: &str, image: &str, words: &[&str]) -> Args {
        let (mount, uid) = match of {
            ReadVolume::Home => (self.home_mount(), self.agent_uid),
            ReadVolume::Pushes => (self.pushes_mount(), GATE_UID),
        };
        let user = format!("{uid}:{uid}");
        let label = selinux(&self.identity);
        let mount = match self.engine.kind {
            EngineKind::Docker => format!("{mount},volume-nocopy,readonly"),
            // podman knows neither word, and copies nothing into a volume that was used before.
            EngineKind::Podman => format!("{mount},ro"),
        };
        let mut args: Vec<String> = ["run", "--rm", "-i", "--pull", "never", "--name", name].map(str::to_owned).into();
        args.extend(labels(self, READER_ROLE));
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
            ["--cpus", "1"],
            ["--workdir", "/"],
            ["--mount", &mount],
            ["--env", "HOME=/tmp"],
        ];
        args.extend(fixed.into_iter().flatten().map(str::to_owned));
        args.extend(self.seccomp_args(Profile::Service));
        args.push("--read-only".to_owned());
        args.extend(ulimits());
        args.extend(no_proxies());
        args.extend([image.to_owned(), "init".to_owned()]);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        args
    }

    /// Runs a throw-away container that tries a profile of system calls, by the name of the container that gets the profile
    /// in a session. It prints the error numbers of making a socket of AF_VSOCK, and a netlink socket of another protocol
    /// than 0, with a space between; 0 where there was no error.
    pub fn try_filter(&self, profile: Profile) -> Args {
        let mut args: Vec<String> =
            ["run", "--rm", "--pull", "never", "--name", &self.name_of(profile)].map(str::to_owned).into();
        args.extend(labels(self, "trial"));
        let fixed = [
            ["--network", "none"],
            ["--cap-drop", "ALL"],
            ["--security-opt", "no-new-privileges"],
            ["--pids-limit", "16"],
            ["--memory", "64m"],
            ["--log-driver", "none"],
        ];
        args.extend(fixed.into_iter().flatten().map(str::to_owned));
        args.extend(self.seccomp_args(profile));
        args.push("--read-only".to_owned());
        args.extend(no_proxies());
        args.extend([&self.images.gate, "init", "try-sockets"].map(str::to_owned));
        args
    }

    /// Removes what [`Plan::try_filter`] may have left.
    pub fn remove_trial(&self, profile: Profile) -> Args {
        remove_container(&self.name_of(profile))
    }

    fn name_of(&self, profile: Profile) -> String {
        match profile {
            Profile::Agent => self.agent_container(),
            Profile::Service => self.gate_container(),
        }
    }

    /// Has the bottle set the program's modes on the next client's terminal, and the program draw its screen again.
    pub fn redraw(&self) -> Args {
        exec(&[], &self.agent_container(), &[GATE_BINARY, "init", "redraw"])
    }

    /// Talks to the running gate. A secret goes into the call's stdin, never into `words`, which every process can read.
    pub fn ctl(&self, words: &[&str]) -> Args {
        exec(&["-i"], &self.gate_container(), &[&["claude-bottle-gate", "ctl"], words].concat())
    }

    /// Prints the gate's lines from its first: the durable audit trail.
    pub fn gate_log(&self) -> Args {
        args(&["logs", &self.gate_container()])
    }

    /// Prints the gate's lines from its first, and goes on with each new one.
    pub fn follow_gate(&self) -> Args {
        args(&["logs", "-f", &self.gate_container()])
    }

    fn create_agent(&self) -> Args {
        let flags = match self.terminal {
            Terminal::Tty => "-it",
            Terminal::Pipes => "-i",
        };
        let name = self.agent_container();
        let user = format!("{0}:{0}", self.agent_uid);
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
            // The image's own folder is the agent's, which may put a file there.
            ["--workdir", "/"],
            ["--volumes-from", &gate],
            ["--mount", &mount],
            ["--entrypoint", GATE_BINARY],
        ];
        args.extend(fixed.into_iter().flatten().map(str::to_owned));
        args.extend(self.seccomp_args(Profile::Agent));
        args.extend(self.resolver().iter().map(|arg| (*arg).to_owned()));
        if self.ipv6_loopback {
            args.extend(["--sysctl", IPV6_LOOPBACK].map(str::to_owned));
        }
        // A health check of the image would run beside the agent, and could reach nothing.
        args.push("--no-healthcheck".to_owned());
        args.extend(ulimits());
        args.extend(no_proxies());
        if let Runtime::Gvisor { runtime } = &self.runtime {
            args.extend(["--runtime".to_owned(), runtime.clone()]);
        }
        args.extend([self.images.agent.clone(), "init".to_owned()]);
        args
    }

    /// How names are resolved: the agent's init answers every query on its loopback.
    fn resolver(&self) -> &'static [&'static str] {
        match self.engine.kind {
            EngineKind::Docker => &["--dns", "127.0.0.1", "--dns-search", "."],
            // podman refuses `--dns` beside `--network none`, and leaves the image's `resolv.conf`, which says the same.
            // Without the flag, `/etc/hosts` would have the host's own names.
            EngineKind::Podman => &["--no-hosts"],
        }
    }

    fn create_volume(&self, role: &str, name: String) -> Args {
        let mut args = ["volume", "create"].map(str::to_owned).to_vec();
        args.extend(labels(self, role));
        args.push(name);
        args
    }

    fn home_mount(&self) -> String {
        self.mount("home", &self.volume(), HOME)
    }

    /// Mounts the volume of the gate's repositories by its name.
    pub(super) fn pushes_mount(&self) -> String {
        self.mount("pushes", &self.pushes_volume(), REPOSITORIES_DIR)
    }

    fn mount(&self, role: &str, volume: &str, target: &str) -> String {
        let mut mount = format!("type=volume,source={volume},target={target}");
        if self.engine.kind == EngineKind::Docker {
            for (name, value) in label_pairs(self, role) {
                mount.push_str(&format!(",volume-label={name}={value}"));
            }
        }
        mount
    }
}

fn args(words: &[&str]) -> Args {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Runs a program in a container that runs. It begins in `/`: the image's own folder may be the agent's, which can put a
/// file there.
fn exec(flags: &[&str], container: &str, words: &[&str]) -> Args {
    args(&[&["exec", "-w", "/"], flags, &[container], words].concat())
}

fn label_pairs<'a>(plan: &'a Plan, role: &'a str) -> [(&'static str, &'a str); 4] {
    [(IDENTITY_LABEL, &plan.identity), (ROLE_LABEL, role), ("claude-bottle.schema", "1"), (HOME_LABEL, &plan.home_id)]
}

pub(super) fn labels(plan: &Plan, role: &str) -> Vec<String> {
    label_pairs(plan, role)
        .into_iter()
        .flat_map(|(name, value)| ["--label".to_owned(), format!("{name}={value}")])
        .collect()
}

/// Sets every spelling of the proxy variables to nothing; `init` removes the empty ones. Docker's client copies the proxies
/// of its own configuration, with their passwords, into every container that does not set them. The agent could read them
/// from its first process, and every user of the engine from `inspect`.
pub(super) fn no_proxies() -> impl Iterator<Item = String> {
    let spellings = PROXY_VARIABLES.iter().flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()]);
    spellings.flat_map(|name| ["--env".to_owned(), format!("{name}=")])
}

/// Limits of each process that are the machine's otherwise. A crash leaves no core file, and POSIX message queues do not
/// exist in a bottle; 1,024 queued signals and timers are enough. All of them are lower than what any engine has, since an
/// engine without the privilege to raise a limit cannot start a container that asks for more: the count of open files
/// stays the engine's.
pub(super) fn ulimits() -> impl Iterator<Item = String> {
    let limits = ["core=0:0", "msgqueue=0:0", "sigpending=1024:1024"];
    limits.into_iter().flat_map(|limit| ["--ulimit".to_owned(), limit.to_owned()])
}

/// The SELinux level of an identity. Both containers get the same one, because SELinux denies the socket between two levels.
/// Engines without SELinux ignore it.
pub(super) fn selinux(identity: &str) -> String {
    let digest = crate::facts::digest(identity.as_bytes());
    let low = digest % 1023;
    let high = low + 1 + (digest >> 32) % (1023 - low);
    format!("label=level:s0:c{low},c{high}")
}
