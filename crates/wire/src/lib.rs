//! What travels between the CLI, the gate and the agent's init: serde types, and the small codecs that they need.
//!
//! CLI → gate: one [`Document`] on stdin. Gate → CLI: [`Line`]s on stdout. Init → gate: a first line on [`GATE_SOCKET`],
//! which is `GO` (answered by one [`GoMessage`], then end of file), `CONNECT name:port` (followed by the connection's own
//! bytes, both ways), or `WORK` and a [`Work`] as JSON (answered by one byte once it is in the gate's queue of events).

mod base64;
mod certificates;
mod control;
mod document;
mod elsewhere;
mod event;
mod exec_input;
mod first_line;
mod git;
mod git_protocol;
mod go;
pub mod mux;
mod nearest;
mod places;
mod proxy_url;
mod supervise;
mod token;
mod visible;
mod work;

pub use base64::{BASE64_ALPHABET, Blob, decode_base64, encode_base64};
pub use certificates::{CertificateFault, read_certificates};
pub use control::{DueTokens, FreshToken, Reload, Trial, TrialDenial, TrialFinding, TrialResult};
pub use document::{DOCUMENT_VERSION, Document, GATE_VERSION, Values};
pub use elsewhere::{
    AppliedChanges, ContentHash, ContentHasher, Elsewhere, LENGTH_DIGITS, MAX_ELSEWHERE_BYTES, WrittenFile,
};
pub use event::{
    Alarm, Audit, Done, Event, GitAudit, GitOperation, GitUpdate, Line, Outcome, RouteSummary, TokenUsage,
};
pub use exec_input::{BadInputFrame, InputFrame};
pub use first_line::{FirstLine, MAX_SIGNED_BYTES, REFUSED, parse_first_line};
pub use git::{
    GitRemote, GitService, GitUpstream, PrivateKey, RemotePlace, fitting_remote, is_remote_name, unknown_remote,
};
pub use git_protocol::{
    GitCommand, GitRequest, MAX_PACKET_BYTES, NO_OBJECT, PacketHead, PushCommand, is_object_id, parse_git_request,
    parse_packet_head, parse_push_command,
};
pub use go::{File, Go, GoMessage, Source, WriteMode};
pub use nearest::nearest;
pub use places::{
    CA_BUNDLE, CA_CERTIFICATE, CA_FOLDER_VARIABLE, CA_JAVA_KEYSTORE, CA_SWITCHES, CA_VARIABLES, CTL_SOCKET,
    GATE_BINARY, GATE_HOST, GATE_SOCKET, GATE_UID, GIT_HOST, GIT_PORT, HOME, LOCAL_REPOSITORY, MCP_URL, PRIVATE_DIR,
    REPOSITORIES_DIR, SHARED_DIR, SUPERVISE_HOST, WORKSPACE,
};
pub use proxy_url::{ProxyCredentials, ProxyScheme, ProxyUrl};
pub use supervise::{
    Change, Decide, Decision, MAX_COMMITS, MAX_PACKAGES, MAX_PROPOSED_PATH_BYTES, MAX_SUPERVISE_REASON_BYTES, Packages,
    Proposal, Supervise, Verdict, short_id,
};
pub use token::{MAX_TOKEN_BYTES, Token, rfc3339};
pub use visible::{is_hidden, needs_escape, one_line, visible};
pub use work::{MAX_REFLOG_CHARS, MAX_REFLOG_COMMITS, MAX_WORK_BYTES, Repository, Work};
