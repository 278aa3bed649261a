//! A filter of system calls for this process and all that it will start. It cannot be taken away.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::io;

/// How a system call fails that is not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// With EPERM.
    NotPermitted,
    /// With ENOSYS, as on a kernel without it: C libraries then use an older one.
    NotKnown,
}

/// One rule of a filter. The first that fits a call decides; a call that none fits passes.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    Refuse {
        call: i64,
        with: Refusal,
    },
    /// Passes where the low 32 bits of the argument of this index equal `value`, and else fails with EPERM.
    Require {
        call: i64,
        argument: u32,
        value: u32,
    },
    /// Fails with EPERM where the argument has any of these bits.
    RefuseBits {
        call: i64,
        argument: u32,
        bits: u32,
    },
}

/// The architecture as the kernel names it to filters (`AUDIT_ARCH_…`).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
/// The bit of the system calls of x32, a second set of numbers on x86_64.
const X32_BIT: u32 = 0x4000_0000;

/// Offsets in what a filter sees of a call (`struct seccomp_data`).
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;

/// Forbids new privileges, and sets the filter. Calls of other architectures end the process.
pub fn install(rules: &[Rule]) -> io::Result<()> {
    nix::sys::prctl::set_no_new_privs()?;
    let mut program = program(rules);
    let length = u16::try_from(program.len()).map_err(|_| io::Error::from(Errno::E2BIG))?;
    let filter = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `filter` points to a program of `length` instructions, which the kernel copies and checks.
    let done = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter, 0, 0) };
    Errno::result(done).map(drop).map_err(io::Error::from)
}

fn program(rules: &[Rule]) -> Vec<libc::sock_filter> {
    let refuse = |error: Errno| statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | error as u32);
    let pass = statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW);
    let kill = statement(libc::BPF_RET, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![
        load(ARCHITECTURE_OFFSET),
        jump(libc::BPF_JEQ, ARCHITECTURE, Skip { yes: 1, no: 0 }),
        kill,
        load(NUMBER_OFFSET),
        jump(libc::BPF_JGE, X32_BIT, Skip { yes: 0, no: 1 }),
        kill,
    ];
    for rule in rules {
        match *rule {
            Rule::Refuse { call, with } => {
                let error = if with == Refusal::NotKnown { Errno::ENOSYS } else { Errno::EPERM };
                program.extend([jump(libc::BPF_JEQ, call as u32, Skip { yes: 0, no: 1 }), refuse(error)]);
            }
            Rule::Require { call, argument, value } => program.extend([
                jump(libc::BPF_JEQ, call as u32, Skip { yes: 0, no: 4 }),
                load(ARGUMENTS_OFFSET + 8 * argument),
                jump(libc::BPF_JEQ, value, Skip { yes: 0, no: 1 }),
                pass,
                refuse(Errno::EPERM),
            ]),
            Rule::RefuseBits { call, argument, bits } => program.extend([
                jump(libc::BPF_JEQ, call as u32, Skip { yes: 0, no: 4 }),
                load(ARGUMENTS_OFFSET + 8 * argument),
                jump(libc::BPF_JSET, bits, Skip { yes: 0, no: 1 }),
                refuse(Errno::EPERM),
                pass,
            ]),
        }
    }
    program.push(pass);
    program
}

/// How many instructions are passed over where a comparison holds, and where it does not.
struct Skip {
    yes: u8,
    no: u8,
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: (code | libc::BPF_K) as u16, jt: 0, jf: 0, k }
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn jump(comparison: u32, k: u32, Skip { yes, no }: Skip) -> libc::sock_filter {
    libc::sock_filter { code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16, jt: yes, jf: no, k }
}
