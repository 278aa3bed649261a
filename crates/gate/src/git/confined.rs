//! `confined`: becomes another program that can reach nothing but its descriptors. git, gitleaks and ssh read what an agent
//! or an upstream wrote; a hole in one of them must not be a hole in the bottle.
//!
//! git and gitleaks see the system's programs and the folder that they are for, and nothing else of the file system, where the
//! kernel knows Landlock. No socket can be made (by ssh: unix sockets only, for its agent), no process traced, no session or process group left:
//! the gate knows all processes that come of a child by their session, and ends them by their group.

use crate::git::limits::{CHILD_CPU_SECONDS, CHILD_DATA_BYTES, CHILD_FILE_BYTES, CHILD_FILES};
use crate::stdio::complain;
use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, path_beneath_rules};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, dup2_stdin, setsid};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use sys::seccomp::{Refusal, Rule, install};

/// What a confined program may have beyond its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// No sockets at all.
    Plain,
    /// Its stdin becomes descriptor [`CHANNEL`], and the new stdin is empty: `git fetch fd::3`.
    Channel,
    /// Unix sockets, for ssh.
    UnixSockets,
}

impl Confinement {
    pub fn word(self) -> &'static str {
        match self {
            Confinement::Plain => "plain",
            Confinement::Channel => "channel",
            Confinement::UnixSockets => "unix",
        }
    }

    fn parse(word: &str) -> Option<Confinement> {
        [Confinement::Plain, Confinement::Channel, Confinement::UnixSockets].into_iter().find(|one| one.word() == word)
    }
}

/// The descriptor of [`Confinement::Channel`].
pub const CHANNEL: i32 = 3;

/// `confined WORD PARENT PROGRAM ARGS…`: only returns where the program could not be run.
pub fn run(args: &[String]) -> i32 {
    let [word, parent, program, args @ ..] = args else {
        return complain("usage: claude-bottle-gate confined WORD PARENT PROGRAM [ARGS]");
    };
    let (Some(confinement), Ok(parent)) = (Confinement::parse(word), parent.parse()) else {
        return complain("confined: the first two arguments are not valid");
    };
    let error = match confine(confinement, Pid::from_raw(parent)) {
        Ok(()) => Command::new(program).args(args).exec(),
        Err(error) => error,
    };
    complain(&format!("cannot run `{program}`: {error}"))
}

fn confine(confinement: Confinement, parent: Pid) -> io::Result<()> {
    setsid()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before sends no signal.
    if Pid::parent() != parent {
        return Err(io::Error::other("the gate has ended"));
    }
    if confinement == Confinement::Channel {
        if fcntl(io::stdin(), FcntlArg::F_DUPFD(CHANNEL))? != CHANNEL {
            return Err(io::Error::other("the descriptor of the channel is in use"));
        }
        dup2_stdin(File::open("/dev/null")?)?;
    }
    let kept = if confinement == Confinement::Channel { CHANNEL + 1 } else { CHANNEL };
    sys::child::keep_descriptors_below(kept as u32)?;
    for (resource, most) in [
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_CPU, CHILD_CPU_SECONDS),
        (Resource::RLIMIT_DATA, CHILD_DATA_BYTES),
        (Resource::RLIMIT_FSIZE, CHILD_FILE_BYTES),
        (Resource::RLIMIT_NOFILE, CHILD_FILES),
    ] {
        setrlimit(resource, most, most)?;
    }
    // Where memory ends, the kernel is to end this program and not the gate. It works without.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    if confinement != Confinement::UnixSockets {
        let folder = std::env::current_dir()?;
        see_only(&folder).map_err(io::Error::other)?;
    }
    install(&rules(confinement))
}

/// What such a program may read, beside the folders of `PATH`.
const READABLE: [&str; 7] = ["/bin", "/etc", "/lib", "/lib64", "/usr", "/dev/urandom", "/dev/zero"];

/// Closes the file system but for programs, libraries and this folder, which may be written unless it is the root. It is as
/// much as the kernel knows of Landlock: without it, nothing is closed.
fn see_only(folder: &Path) -> Result<(), RulesetError> {
    let abi = ABI::V5;
    let search: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let readable = READABLE.iter().map(Path::new).chain(search.iter().map(PathBuf::as_path));
    let writable = [Path::new("/dev/null"), folder].into_iter().filter(|path| path.parent().is_some());
    Ruleset::default()
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(readable, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(writable, AccessFs::from_all(abi)))?
        .restrict_self()?;
    Ok(())
}

/// What such a program has no use for, and an intruder in it would want.
fn rules(confinement: Confinement) -> Vec<Rule> {
    let mut rules: Vec<Rule> =
        NEVER.iter().map(|call| Rule::Refuse { call: *call, with: Refusal::NotPermitted }).collect();
    // The flags of clone3 lie in memory, where no filter sees them; without it, C libraries use clone.
    rules.push(Rule::Refuse { call: libc::SYS_clone3, with: Refusal::NotKnown });
    rules.push(Rule::RefuseBits { call: libc::SYS_clone, argument: 0, bits: NEW_NAMESPACES });
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        rules.push(match confinement {
            Confinement::UnixSockets => Rule::Require { call, argument: 0, value: libc::AF_UNIX as u32 },
            Confinement::Plain | Confinement::Channel => Rule::Refuse { call, with: Refusal::NotPermitted },
        });
    }
    if confinement != Confinement::UnixSockets {
        rules.push(Rule::Refuse { call: libc::SYS_connect, with: Refusal::NotPermitted });
    }
    rules
}

/// Flags of clone(2) that make namespaces.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// System calls that fail in every confined program.
const NEVER: &[i64] = &[
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_add_key,
    libc::SYS_bind,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_listen,
    libc::SYS_mount,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];
