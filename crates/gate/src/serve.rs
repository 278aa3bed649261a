//! `serve`: one document in, the sockets bound, `ready` out, and then requests until a signal.
//!
//! Nothing is served before the document was read whole and found right; whatever is wrong ends in one `failed` line.

use crate::egress::{Authority, Egress};
use crate::events::{Events, complain};
use crate::listen::accept::accept;
use std::fs::{Permissions, set_permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use wire::{DOCUMENT_VERSION, Document, Event, PRIVATE_DIR, SHARED_DIR};

/// Bytes of the document; far above any honest one.
pub const LARGEST: u64 = 64 * 1024 * 1024;

pub fn run(args: &[String]) -> i32 {
    let (mut shared, mut private) = (PathBuf::from(SHARED_DIR), PathBuf::from(PRIVATE_DIR));
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.next()) {
            ("--shared", Some(dir)) => shared = dir.into(),
            ("--private", Some(dir)) => private = dir.into(),
            _ => return complain("usage: claude-bottle-gate serve [--shared DIR] [--private DIR]"),
        }
    }
    let events = match Events::start() {
        Ok(events) => events,
        Err(error) => return complain(&format!("no thread: {error}")),
    };
    let ended = harden().and_then(|()| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(4)
            .thread_stack_size(256 * 1024)
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let ended = runtime.block_on(serve(&shared, &private, &events));
        // Whoever still talks is cut off: the container is going down.
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
    events.flush(Duration::from_secs(1));
    code
}

/// The process holds secrets: no core dump, no tracer. And it holds two descriptors for each connection.
pub fn harden() -> Result<(), String> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    nix::sys::prctl::set_dumpable(false).map_err(|error| format!("cannot become undumpable: {error}"))?;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Refused: then the soft limit bounds the number of connections.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    Ok(())
}

async fn serve(shared: &Path, private: &Path, events: &Arc<Events>) -> Result<(), String> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| format!("no signal handler: {error}"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| format!("no signal handler: {error}"))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    // Made while the person still reads the plan.
    let authority = Authority::new()?;
    let document = tokio::select! {
        document = document() => document?,
        () = &mut stop => return Ok(()),
    };
    let fingerprint = authority.fingerprint();
    let roots = document.values.get(&document.roots).map(|blob| blob.0.clone()).unwrap_or_default();
    authority.publish(shared, &roots)?;
    let egress = Arc::new(Egress::new(document, authority, events.clone())?);
    let door = bind(&shared.join("gate.sock"), 0o666)?;
    let control = bind(&private.join("ctl.sock"), 0o600)?;
    events.push(Event::Ready { version: env!("CARGO_PKG_VERSION").to_owned(), fingerprint });
    tokio::select! {
        () = accept(egress.clone(), door) => {}
        () = egress.clone().watch_tokens() => {}
        () = crate::ctl::serve(control, egress) => {}
        () = &mut stop => {}
    }
    Ok(())
}

/// Reads stdin to its end on a thread of its own, so that a signal ends the wait.
async fn document() -> Result<Document, String> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let read = std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut text);
        let _ = tell.send(read.map(|_| text));
    });
    let text = match told.await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => return Err(format!("cannot read the document: {error}")),
        Err(_) => return Err("cannot read the document".to_owned()),
    };
    if text.is_empty() {
        return Err("no document on stdin".to_owned());
    }
    if text.len() as u64 > LARGEST {
        return Err("the document is too large".to_owned());
    }
    parse(&text)
}

/// serde's messages quote what they found, which may be a secret in the wrong place: only the position is told.
pub fn parse(text: &[u8]) -> Result<Document, String> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let place = |error: serde_json::Error| {
        format!("the document is not valid: line {}, column {}", error.line(), error.column())
    };
    let Versioned { version } = serde_json::from_slice(text).map_err(place)?;
    if version != DOCUMENT_VERSION {
        return Err(format!(
            "the document has version {version}, this gate speaks {DOCUMENT_VERSION}: rebuild the images"
        ));
    }
    serde_json::from_slice(text).map_err(place)
}

/// The socket appears at `path` once it may be connected to, with its mode: who waits for it comes at once.
fn bind(path: &Path, mode: u32) -> Result<UnixListener, String> {
    let failed = |error: std::io::Error| format!("cannot bind `{}`: {error}", path.display());
    let fresh = path.with_extension("new");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(failed)?;
    set_permissions(&fresh, Permissions::from_mode(mode)).map_err(failed)?;
    std::fs::rename(&fresh, path).map_err(failed)?;
    Ok(listener)
}
