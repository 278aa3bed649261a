//! `serve`: reads one document, binds the sockets, writes `ready`, and serves until a signal comes.
//!
//! Nothing is served before the whole document was read and checked. Every error until then ends in one `failed` line.

use crate::audit::AuditTrail;
use crate::audit::events::Events;
use crate::control::server::{self, Verbs};
use crate::egress::{self, Authority, Egress};
use crate::git::service::{Folders, GitService};
use crate::listen::accept::{Services, accept};
use crate::sessions::Sessions;
use crate::socket;
use crate::stdio::complain;
use crate::supervise;
use crate::supervise::service::SuperviseService;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use wire::{DOCUMENT_VERSION, Document, Event, PRIVATE_DIR, REPOSITORIES_DIR, SHARED_DIR};

/// Bytes of the document, which is usually far smaller.
pub const MAX_DOCUMENT_BYTES: u64 = 64 * 1024 * 1024;
/// How long the process waits for the reader of its stdout when it ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// Stack bytes of each runtime thread.
const THREAD_STACK: usize = 1024 * 1024;
/// Threads for blocking calls.
const MAX_BLOCKING_THREADS: usize = 4;
/// The agent's user may connect to the gate's socket; only the gate's own user to the control socket.
const GATE_SOCKET_MODE: u32 = 0o666;
const CONTROL_SOCKET_MODE: u32 = 0o600;

pub fn run(args: &[String]) -> i32 {
    let mut places =
        Places { shared: SHARED_DIR.into(), private: PRIVATE_DIR.into(), repositories: REPOSITORIES_DIR.into() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--shared", Some(dir)) => places.shared = dir.into(),
            ("--private", Some(dir)) => places.private = dir.into(),
            ("--repositories", Some(dir)) => places.repositories = dir.into(),
            _ => {
                return complain("usage: claude-bottle-gate serve [--shared DIR] [--private DIR] [--repositories DIR]");
            }
        }
    }
    let events = match Events::start() {
        Ok(events) => events,
        Err(error) => return complain(&format!("no thread: {error}")),
    };
    let ended = harden().and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_BLOCKING_THREADS)
            .thread_stack_size(THREAD_STACK)
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let ended = runtime.block_on(serve(&places, &events));
        // Connections that are still open are cut off: the container stops.
        runtime.shutdown_background();
        ended
    });
    let code = match ended {
        Ok(()) => 0,
        Err(reason) => {
            events.push(Event::Failed { reason });
            1
        }
    };
    events.flush(FLUSH_TIMEOUT);
    code
}

/// Forbids core dumps and tracers, because the process holds secrets, and raises the limit of descriptors, because each
/// connection takes two.
pub fn harden() -> Result<(), String> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    nix::sys::prctl::set_dumpable(false).map_err(|error| format!("cannot become undumpable: {error}"))?;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Without a higher limit, the soft one bounds the number of connections.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

/// Folders of the gate.
struct Places {
    /// The agent reads it.
    shared: PathBuf,
    private: PathBuf,
    repositories: PathBuf,
}

async fn serve(places: &Places, events: &Arc<Events>) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| format!("no signal handler: {error}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| format!("no signal handler: {error}"))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    // Made before the document comes, while the user still reads the plan.
    let authority = Authority::new()?;
    let document = tokio::select! {
        document = read_document() => document?,
        () = &mut stop => return Ok(()),
    };
    let fingerprint = authority.fingerprint();
    let roots = document.values.get(&document.roots).map(|blob| blob.0.clone()).unwrap_or_default();
    authority.publish(&places.shared, &roots)?;
    let sessions: Arc<Sessions> = Arc::default();
    let git = match &document.git {
        Some(git) => {
            let folders = Folders { private: &places.private, repositories: &places.repositories };
            Some(Arc::new(GitService::new(git, &document.values, &folders, sessions.clone())?))
        }
        None => None,
    };
    let may_propose = document.supervise.is_some();
    let egress = Arc::new(Egress::new(document, authority, AuditTrail::new(events.clone()))?);
    let mut verbs = Verbs::default();
    egress::control_verbs::register(&mut verbs, &egress);
    supervise::control_verbs::register(&mut verbs, &egress, git.clone());
    if let Some(git) = git.clone() {
        verbs.add("git-allow", move |body| git.tools.commits.allow(body));
    }
    let supervise = may_propose.then(|| Arc::new(SuperviseService::new(egress.clone(), git.clone())));
    let door = bound(&places.shared.join("gate.sock"), GATE_SOCKET_MODE)?;
    let control = bound(&places.private.join("ctl.sock"), CONTROL_SOCKET_MODE)?;
    events.push(Event::Ready { version: env!("CARGO_PKG_VERSION").to_owned(), fingerprint });
    tokio::select! {
        () = accept(Services { egress: egress.clone(), git, supervise, sessions: sessions.clone() }, door) => {}
        () = egress.live.watch_tokens() => {}
        () = server::serve(control, verbs, sessions) => {}
        () = &mut stop => {}
    }
    Ok(())
}

/// Reads stdin to its end, on a thread of its own so that a signal ends the wait.
async fn read_document() -> Result<Document, String> {
    let (sender, receiver) = oneshot::channel();
    let reader = sys::thread::spawn(move || {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    reader.map_err(|error| format!("cannot read the document: {error}"))?;
    let text = match receiver.await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(format!("cannot read the document: {error}")),
        Err(_) => return Err("cannot read the document".to_owned()),
    };
    if text.is_empty() {
        return Err("no document on stdin".to_owned());
    }
    if text.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err("the document is too large".to_owned());
    }
    parse(&text)
}

/// The error names only a position: an error of serde quotes what it found, which may be a secret in the wrong place.
pub fn parse(text: &[u8]) -> Result<Document, String> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let invalid = |error: serde_json::Error| {
        format!("the document is not valid: line {}, column {}", error.line(), error.column())
    };
    let Versioned { version } = serde_json::from_slice(text).map_err(invalid)?;
    if version != DOCUMENT_VERSION {
        return Err(format!(
            "the document has version {version}, this gate speaks {DOCUMENT_VERSION}: rebuild the images"
        ));
    }
    serde_json::from_slice(text).map_err(invalid)
}

fn bound(path: &Path, mode: u32) -> Result<UnixListener, String> {
    socket::bind(path, mode).map_err(|error| format!("cannot bind `{}`: {error}", path.display()))
}
