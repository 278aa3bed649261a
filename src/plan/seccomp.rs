//! The filter of system calls of our containers, as a profile that the engine's client reads from a file.
//!
//! `seccomp.txt` names what is allowed without a condition; what depends on a call's arguments is here.

use super::Plan;
use crate::facts::{EngineFacts, EngineSeccomp};
use crate::manifest::SeccompChoice;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const CALLS: &str = include_str!("seccomp.txt");
const EVERY: &str = "every container";
const AGENT: &str = "agent only";
const NOT_IMPLEMENTED: &str = "not implemented";

/// Processors as `uname -m` names them, and as profiles do.
const PROCESSORS: [(&str, &str); 2] = [("x86_64", "SCMP_ARCH_X86_64"), ("aarch64", "SCMP_ARCH_AARCH64")];

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const NETLINK_ROUTE: u64 = 0;
/// All namespaces that `clone` can make: `CLONE_NEW…`.
const NAMESPACES: u64 = 0x7e02_0000;
/// Asks for the present personality, and changes nothing.
const QUERY_PERSONALITY: u64 = 0xffff_ffff;
/// `ADDR_NO_RANDOMIZE`, which debuggers set in the programs that they start.
const NO_RANDOMIZE: u64 = 0x0004_0000;
const ENOSYS: u32 = 38;

/// Which filter of system calls the containers of a bottle get.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seccomp {
    /// Our own.
    #[default]
    Own,
    /// The engine's, because the bottle says so.
    Engine,
    /// None: the bottle wants the engine's, and the engine has none.
    Unfiltered,
    /// None, although the bottle wants ours: the engine cannot filter.
    Missing,
    /// The engine's, although the bottle wants ours: there is none for the engine's processor.
    UnknownProcessor,
}

impl Seccomp {
    /// An engine that was never seen is taken to filter: if it does not, it fails where a container is made.
    pub(super) fn decide(choice: SeccompChoice, engine: Option<&EngineFacts>) -> Seccomp {
        match (choice, engine) {
            (SeccompChoice::Engine, Some(seen)) if seen.seccomp != EngineSeccomp::Filtered => Seccomp::Unfiltered,
            (SeccompChoice::Engine, _) => Seccomp::Engine,
            (SeccompChoice::Own, Some(seen)) if seen.seccomp == EngineSeccomp::Missing => Seccomp::Missing,
            (SeccompChoice::Own, Some(seen)) if !PROCESSORS.iter().any(|(name, _)| *name == seen.arch) => {
                Seccomp::UnknownProcessor
            }
            (SeccompChoice::Own, _) => Seccomp::Own,
        }
    }

    /// The engine in words, where it cannot give containers the filter that the bottle wants.
    pub fn unfit_engine(self) -> Option<&'static str> {
        match self {
            Seccomp::Own | Seccomp::Engine | Seccomp::Unfiltered => None,
            Seccomp::Missing => Some("an engine that cannot filter system calls"),
            Seccomp::UnknownProcessor => {
                Some("an engine for whose processor claude-bottle has no filter of system calls")
            }
        }
    }
}

/// A profile of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Agent,
    /// For containers that only serve: the gate and the reader.
    Service,
}

impl Profile {
    pub const ALL: [Profile; 2] = [Profile::Agent, Profile::Service];

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Profile::Agent => "seccomp-agent.json",
            Profile::Service => "seccomp-service.json",
        }
    }

    /// The profile in the engine's notation.
    ///
    /// An architecture's older forms (32-bit calls, x32) are not named, so that the kernel's filter refuses all of their
    /// calls. Engines choose the entry of their own processor.
    pub fn text(self) -> String {
        let mut rules = vec![allow(&calls(EVERY))];
        if self == Profile::Agent {
            rules.push(allow(&calls(AGENT)));
        }
        rules.push(json!({
            "names": calls(NOT_IMPLEMENTED), "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS,
        }));
        for call in ["socket", "socketpair"] {
            rules.extend([AF_UNIX, AF_INET, AF_INET6].map(|family| allow_if(call, &[equal(0, family)])));
            rules.push(allow_if(call, &[equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)]));
        }
        let no_namespace = json!({ "index": 0, "value": NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" });
        rules.push(allow_if("clone", &[no_namespace]));
        let personalities: &[u64] = match self {
            Profile::Agent => &[0, QUERY_PERSONALITY, NO_RANDOMIZE],
            Profile::Service => &[0, QUERY_PERSONALITY],
        };
        rules.extend(personalities.iter().map(|value| allow_if("personality", &[equal(0, *value)])));
        let native = PROCESSORS.map(|(_, name)| json!({ "architecture": name, "subArchitectures": [] }));
        json!({ "defaultAction": "SCMP_ACT_ERRNO", "archMap": native, "syscalls": rules }).to_string()
    }
}

impl Plan {
    /// The arguments by which a container gets the filter. The file is in the folder `profiles`.
    pub(super) fn seccomp_args(&self, profile: Profile) -> Vec<String> {
        match self.seccomp {
            Seccomp::Own => {
                let file = self.profiles.join(profile.file_name());
                vec!["--security-opt".to_owned(), format!("seccomp={}", file.display())]
            }
            Seccomp::Engine | Seccomp::Unfiltered | Seccomp::Missing | Seccomp::UnknownProcessor => Vec::new(),
        }
    }
}

fn allow(names: &[&str]) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ALLOW" })
}

/// Allows a call whose arguments meet all conditions.
fn allow_if(name: &str, conditions: &[Value]) -> Value {
    json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": conditions })
}

fn equal(index: u32, value: u64) -> Value {
    json!({ "index": index, "value": value, "valueTwo": 0, "op": "SCMP_CMP_EQ" })
}

/// The calls of one list of `seccomp.txt`.
fn calls(list: &str) -> Vec<&'static str> {
    let lines = CALLS.lines().skip_while(|line| line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) != Some(list));
    let lines = lines.skip(1).take_while(|line| !line.starts_with('['));
    lines.filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_call_is_in_one_list_once_and_none_is_empty() {
        let all: Vec<&str> = [EVERY, AGENT, NOT_IMPLEMENTED].into_iter().flat_map(calls).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        let words = CALLS.lines().filter(|line| !line.starts_with(['#', '['])).flat_map(str::split_whitespace);
        assert_eq!(words.count(), all.len(), "every list of the file is read");
        for list in [EVERY, AGENT, NOT_IMPLEMENTED] {
            assert!(!calls(list).is_empty(), "{list}");
        }
    }

    #[test]
    fn what_depends_on_arguments_or_reaches_the_kernel_is_in_no_list() {
        let allowed: Vec<&str> = [EVERY, AGENT].into_iter().flat_map(calls).collect();
        for call in [
            "socket",
            "socketpair",
            "socketcall",
            "clone",
            "personality",
            "unshare",
            "setns",
            "mount",
            "bpf",
            "keyctl",
            "add_key",
            "request_key",
            "perf_event_open",
            "userfaultfd",
            "modify_ldt",
            "vmsplice",
            "mq_open",
            "msgget",
            "semget",
            "kcmp",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "sched_setattr",
            "io_uring_setup",
            "memfd_secret",
            "open_by_handle_at",
            "chroot",
            "init_module",
        ] {
            assert!(!allowed.contains(&call), "{call}");
        }
        assert!(!Profile::Service.text().contains("ptrace"));
        assert!(Profile::Agent.text().contains("ptrace"));
    }
}
