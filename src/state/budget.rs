//! The budget of a session: what a bottle may make this machine write to disk or hold in memory, on one page, with what
//! happens at each bound. Everything that reads a stream out of a container takes its bound from here, or from
//! `docker/run.rs` (8 MiB of what an engine call prints).

use wire::Event;

const MIB: u64 = 1 << 20;

/// `audit.jsonl`, across all resumes of a session: its size on disk counts. A line that would pass the bound of its kind is
/// left out, and a `dropped` line with `full` counts what was. The kinds have bounds of their own, so that requests, which
/// an agent can make without an end, never take the room of an alarm, nor alarms that of the session's own events.
pub const MAX_AUDIT_BYTES: u64 = 64 * MIB;
/// Requests and connections end here.
const MAX_REQUEST_BYTES: u64 = 52 * MIB;
/// Alarms end here.
const MAX_ALARM_BYTES: u64 = 60 * MIB;
/// Events of the session end here; what is left is for the last `dropped` line.
const MAX_SESSION_EVENT_BYTES: u64 = MAX_AUDIT_BYTES - MIB;

/// One line of the trail or of the engine's log in memory; a longer one is left out.
pub const MAX_AUDIT_LINE_BYTES: u64 = 256 << 10;

/// A transcript's copy. One that is larger is given up: the copy before stays, the session and its home are kept.
pub const TRANSCRIPT: UnpackBounds = UnpackBounds { bytes: 512 * MIB, entries: 100_000 };

/// The files outside repositories that `work apply` unpacks beside the session, until it ends. More is an error.
pub const LOOSE_FILES: UnpackBounds = UnpackBounds { bytes: 1024 * MIB, entries: 100_000 };

/// What an archive out of a container may hold, by what its headers say: a sparse file counts as long as it reads.
#[derive(Debug, Clone, Copy)]
pub struct UnpackBounds {
    pub bytes: u64,
    /// Files, folders and all other entries.
    pub entries: u64,
}

/// A bundle of commits or a patch, in a temporary file for as long as `work fetch` or `work apply` runs. More is an error.
pub const MAX_WORK_FILE_BYTES: u64 = 2048 * MIB;

/// The files that `work fetch`, `work apply` and `work pull` write into a repository's worktree at once: a file that is sparse,
/// or compressed well, counts as long as it is. More is an error.
pub const MAX_PLACED_BYTES: u64 = 2048 * MIB;

/// The uncommitted changes of a repository that `work apply` remembers on disk, as a patch, until the session is removed. A
/// larger one is not remembered.
pub const MAX_REMEMBERED_PATCH_BYTES: u64 = 64 * MIB;

/// An answer of the reader in memory: counts and sizes. More is an error.
pub const MAX_ANSWER_BYTES: u64 = 64 * MIB;

/// What `work diff` prints. More is an error.
pub const MAX_DIFF_BYTES: u64 = 1024 * MIB;
/// A line of it in memory; a longer one is printed in pieces.
pub const MAX_DIFF_LINE_BYTES: u64 = MIB;

/// `get` and `put` ask before more than this is copied, and again whenever it has doubled.
pub const MAX_UNASKED_COPY_BYTES: u64 = 1024 * MIB;
/// They end here, whatever was answered, `--yes` included: an endless file is an error.
pub const MAX_COPY_BYTES: u64 = 64 * 1024 * MIB;

/// The size of the trail beyond which a line of this event is left out.
pub fn max_audit_bytes(event: &Event) -> u64 {
    match event {
        Event::Request(_) | Event::Connection(_) | Event::Git(_) => MAX_REQUEST_BYTES,
        Event::Alarm(_) => MAX_ALARM_BYTES,
        Event::Dropped { .. } => MAX_AUDIT_BYTES,
        _ => MAX_SESSION_EVENT_BYTES,
    }
}
