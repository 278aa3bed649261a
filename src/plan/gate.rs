//! How the gate's container is made.

use super::{Args, Plan, Profile, step::labels};
use crate::facts::EngineKind;
use wire::{GATE_UID, PRIVATE_DIR, REPOSITORIES_DIR};

/// More than what all connections can hold at once.
const GATE_MEMORY: &str = "1g";

/// The call that creates the container, with its stdin held open.
pub fn create(plan: &Plan) -> Args {
    let name = plan.gate_container();
    let user = format!("{GATE_UID}:{GATE_UID}");
    let owner = match plan.engine.kind {
        EngineKind::Docker => format!("uid={GATE_UID},gid={GATE_UID}"),
        // podman knows neither option; this one means the user of `--user`.
        EngineKind::Podman => "U".to_owned(),
    };
    let private = format!("{PRIVATE_DIR}:rw,noexec,nosuid,nodev,size=16m,mode=0700,{owner}");
    let cpus = plan.limits.cpus.to_string();
    let label = super::step::selinux(&plan.identity);
    let mut args: Vec<String> = ["create", "-i", "--pull", "never", "--name", &name].map(str::to_owned).into();
    args.extend(labels(plan, "gate"));
    let fixed = [
        ["--user", &user],
        ["--cap-drop", "ALL"],
        ["--security-opt", "no-new-privileges"],
        ["--security-opt", &label],
        ["--tmpfs", &private],
        ["--tmpfs", "/tmp:rw,noexec,nosuid,nodev,size=64m,mode=1777"],
        ["--pids-limit", "256"],
        // The agent decides how much the gate buffers. That does not count to the agent's limit, so the gate has its own.
        ["--memory", GATE_MEMORY],
        ["--memory-swap", GATE_MEMORY],
        // As much as its agent: no agent can make a gate use more processors than its bottle has.
        ["--cpus", &cpus],
        ["--log-driver", "json-file"],
        ["--log-opt", "max-size=10m"],
        ["--log-opt", "max-file=3"],
    ];
    args.extend(fixed.into_iter().flatten().map(str::to_owned));
    args.extend(plan.seccomp_args(Profile::Service));
    args.push("--read-only".to_owned());
    if plan.has_remotes() {
        // The volume is filled from the image, which gives it its mode. One without a name goes with the container.
        args.extend(match plan.keeps_pushes {
            true => ["--mount".to_owned(), plan.pushes_mount()],
            false => ["--volume".to_owned(), REPOSITORIES_DIR.to_owned()],
        });
    }
    args.extend(super::step::ulimits());
    args.extend(super::step::no_proxies());
    // The engine resolves the name only where it is mapped.
    let of_routes = plan.policy.routes.iter().filter_map(|route| Some(route.connect_to.as_ref()?.host.as_str()));
    let of_remotes = plan.git.iter().flat_map(|git| &git.remotes).filter_map(|remote| remote.upstream.host());
    if of_routes.chain(of_remotes).any(|host| host == "host-gateway") {
        args.extend(["--add-host", "host-gateway:host-gateway"].map(str::to_owned));
    }
    args.extend([plan.images.gate.clone(), "serve".to_owned()]);
    args
}
