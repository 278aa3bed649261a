//! Bounds and times of the git service. What a bound refuses is told in words.

use std::time::Duration;

// What the agent says.

/// Time for the agent's next bytes where the gate waits for some, and for the agent to take some.
pub const AGENT_IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time for the first bytes of a push's pack: git compares and compresses all of its objects before it sends any.
pub const PACK_START_TIMEOUT: Duration = Duration::from_secs(1800);
/// Time for the agent to say what is to be signed, and to take the signature.
pub const AGENT_REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two signatures. More of them wait.
pub const SIGNATURE_INTERVAL: Duration = Duration::from_millis(20);
/// Refs that one push may change.
pub const MAX_PUSH_REFS: usize = 1000;
/// Commits at which the history of a shallow clone ends, in one push.
pub const MAX_SHALLOW_BOUNDARIES: usize = 100_000;
/// Bytes of a push's pack.
pub const MAX_PACK_BYTES: u64 = 2 << 30;
/// Objects that one push may add.
pub const MAX_PUSH_OBJECTS: u64 = 2_000_000;
/// Bytes of new objects, unpacked, that one push may add.
pub const MAX_PUSH_OBJECT_BYTES: u64 = 16 << 30;
/// Bytes of a commit, a tag or a folder of a push, which are read whole.
pub const MAX_SMALL_OBJECT_BYTES: u64 = 8 << 20;
/// Bytes of what git tells an https upstream in one request: what it has and wants.
pub const MAX_FETCH_REQUEST_BYTES: usize = 16 << 20;
/// Operations at once. Others wait.
pub const MAX_OPERATIONS: usize = 4;
/// Commits that are remembered as refused, so that the operator can let one through; the oldest go first.
pub const MAX_REFUSED_COMMITS: usize = 1024;

/// Time in which the refs of a local remote are counted when the agent's program has ended. A push may hold them.
pub const COUNT_TIMEOUT: Duration = Duration::from_secs(5);

// What an upstream says.

/// Bytes of an upstream's list of refs.
pub const MAX_ADVERTISEMENT_BYTES: usize = 64 << 20;
/// Bytes that one refresh may bring.
pub const MAX_FETCH_BYTES: u64 = 16 << 30;
/// Bytes of an upstream's report about a push.
pub const MAX_REPORT_BYTES: usize = 1 << 20;
/// Bytes of an upstream's own words that one push passes on to the agent.
pub const MAX_REMARK_BYTES: usize = 64 << 10;
/// Time for the next bytes of an upstream. A forge may run checks before it says anything.
pub const UPSTREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// Time for one refresh, or for one push to be forwarded and answered.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// Time for what carried a broken stream to say why it broke.
pub const EXPLANATION_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for an upstream's list of refs, from its name on.
pub const ADVERTISEMENT_TIMEOUT: Duration = Duration::from_secs(60);

// Children.

/// Time for the whole scan of one push.
pub const SCAN_TIMEOUT: Duration = Duration::from_secs(3600);
/// Seconds of processor time for one child.
pub const CHILD_CPU_SECONDS: u64 = 1800;
/// Bytes of memory that one child may have for itself.
pub const CHILD_DATA_BYTES: u64 = 640 << 20;
/// Bytes of one file that a child writes.
pub const CHILD_FILE_BYTES: u64 = 17 << 30;
/// Open files of one child.
pub const CHILD_FILES: u64 = 256;
/// Bytes of a child's messages that are kept.
pub const MAX_MESSAGE_BYTES: usize = 16 << 10;
/// Bytes that are copied at once.
pub const COPY_BYTES: usize = 64 << 10;
/// Bytes of a short output of git's, as a list of the refs.
pub const MAX_OUTPUT_BYTES: usize = 64 << 20;
/// Files beyond this size are scanned whole, because git does not compare them line by line.
pub const BIG_FILE_BYTES: u64 = 32 << 20;

// Findings.

/// Findings of one push that are told.
pub const MAX_FINDINGS: usize = 20;
/// Findings of one push that are kept: one with more is refused at once, whatever the operator lets through.
pub const MAX_KEPT_FINDINGS: usize = 10_000;
/// Pieces of text of one push, each of a file or a message, that are told apart in what gitleaks finds.
pub const MAX_SCAN_PIECES: usize = 1_000_000;
/// Bytes of gitleaks' report.
pub const MAX_GITLEAKS_REPORT_BYTES: usize = 16 << 20;
