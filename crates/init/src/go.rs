//! The go: fetched from the gate, and turned into the environment, the directory and the arguments of a command.
//!
//! Invariant: it fails closed. Without an answer, with half an answer, or with one that names a value which it does not
//! contain, no command starts.

use crate::failure::{Failure, print_error};
use crate::files::content;
use crate::terminfo;
use policy::PROXY_VARIABLES;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use wire::GoMessage;

/// Longest answer to `GO`, in bytes.
const MAX_GO_BYTES: u64 = 64 << 20;
/// How long the gate may take to come up and answer.
const GO_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval between two attempts to connect to the gate. The start of the bottle waits for it, so it is short.
const CONNECT_INTERVAL: Duration = Duration::from_millis(2);

/// Waits for the gate to come up and requests the go.
///
/// # Errors
/// There is no valid answer within [`GO_TIMEOUT`].
pub async fn fetch(socket: &Path) -> Result<GoMessage, Failure> {
    match tokio::time::timeout(GO_TIMEOUT, request(socket)).await {
        Ok(answer) => parse(&answer?),
        Err(_) => Err(Failure(format!("the gate gave no go within {} s", GO_TIMEOUT.as_secs()))),
    }
}

async fn request(socket: &Path) -> Result<Vec<u8>, Failure> {
    let mut gate = loop {
        match UnixStream::connect(socket).await {
            Ok(gate) => break gate,
            // The socket is not bound yet, is bound and not listening yet, or its queue is full.
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(nix::libc::ENOENT | nix::libc::ECONNREFUSED | nix::libc::EAGAIN)
                ) =>
            {
                tokio::time::sleep(CONNECT_INTERVAL).await;
            }
            Err(e) => return Err(Failure(format!("cannot reach the gate: {e}"))),
        }
    };
    let broken_off = |e| Failure(format!("the gate broke off its go: {e}"));
    gate.write_all(b"GO\n").await.map_err(broken_off)?;
    let mut answer = Vec::new();
    gate.take(MAX_GO_BYTES + 1).read_to_end(&mut answer).await.map_err(broken_off)?;
    Ok(answer)
}

fn parse(answer: &[u8]) -> Result<GoMessage, Failure> {
    if answer.is_empty() {
        return Err(Failure("the gate refused the go".into()));
    }
    if answer.len() as u64 > MAX_GO_BYTES {
        return Err(Failure(format!("the gate's go is larger than {} MiB", MAX_GO_BYTES >> 20)));
    }
    // Only the position, because serde_json's message may quote a secret value.
    serde_json::from_slice(answer).map_err(|e| {
        Failure(format!("cannot read the gate's go (line {}, column {}): gate and init differ?", e.line(), e.column()))
    })
}

/// The agent's command, and the environment and directory in which it and later programs start.
pub struct AgentCommand {
    /// Program and arguments; not empty.
    pub command: Vec<String>,
    pub environment: BTreeMap<OsString, OsString>,
    pub directory: PathBuf,
    /// The terminal that the go named and the image does not know: the environment has another one.
    pub unknown_term: Option<OsString>,
}

impl AgentCommand {
    /// Makes the directory if it is missing. The environment is the go's over this process's own, without proxy variables.
    ///
    /// # Errors
    /// The go has no command, no absolute directory, a variable that no environment can hold, or misses a value.
    pub fn new(message: &GoMessage, home: &Path) -> Result<AgentCommand, Failure> {
        if message.go.command.is_empty() {
            return Err(Failure("the gate's go names no command".into()));
        }
        let directory = PathBuf::from(&message.go.cwd);
        if !directory.is_absolute() {
            return Err(Failure(format!("the gate's go names no absolute directory: `{}`", directory.display())));
        }
        let directory = start_directory(directory, home);
        let mut environment = environment(message, std::env::vars_os(), home)?;
        let unknown_term = terminfo::replace_unknown(&mut environment);
        Ok(AgentCommand { command: message.go.command.clone(), environment, directory, unknown_term })
    }
}

/// `wanted`, which is made if it is missing. Where no program can start there, because the agent put a file in its place or
/// closed it, the home or `/`: programs start in any case, so that the bottle can be mended.
fn start_directory(wanted: PathBuf, home: &Path) -> PathBuf {
    let enter = |directory: &Path| std::fs::metadata(directory.join(".")).map(drop);
    match std::fs::create_dir_all(&wanted).and_then(|()| enter(&wanted)) {
        Ok(()) => wanted,
        Err(e) => {
            let instead = if enter(home).is_ok() { home } else { Path::new("/") };
            print_error(&format!("cannot start in `{}`: {e}; starting in `{}`", wanted.display(), instead.display()));
            instead.to_path_buf()
        }
    }
}

fn environment(
    message: &GoMessage,
    own: impl Iterator<Item = (OsString, OsString)>,
    home: &Path,
) -> Result<BTreeMap<OsString, OsString>, Failure> {
    // The docker client may set proxy variables in every container. They are wrong here, where the door is the only way.
    let is_proxy = |key: &OsStr| PROXY_VARIABLES.iter().any(|proxy| key.eq_ignore_ascii_case(proxy));
    let mut environment: BTreeMap<OsString, OsString> = own.filter(|(key, _)| !is_proxy(key)).collect();
    environment.insert("HOME".into(), home.into());
    for (key, source) in &message.go.env {
        let value = content(message, source)?;
        if key.is_empty() || key.contains(['=', '\0']) || value.contains(&0) {
            return Err(Failure(format!("the gate's go has a variable that no environment can hold: `{key}`")));
        }
        environment.insert(key.into(), OsStr::from_bytes(value).into());
    }
    let shell = if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" };
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (key, value) in [("USER", "agent"), ("LOGNAME", "agent"), ("SHELL", shell), ("PATH", path)] {
        environment.entry(key.into()).or_insert_with(|| value.into());
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Blob, Go, Source};

    #[test]
    fn the_environment_is_ours_over_the_containers() {
        let own = [
            ("PATH", "/p"),
            ("LANG", "C"),
            ("HTTPS_PROXY", "x"),
            ("Http_Proxy", "x"),
            ("no_proxy", "x"),
            ("HOME", "/"),
        ];
        let go = Go {
            env: [("LANG".into(), Source::Text("C.UTF-8".into())), ("KEY".into(), Source::Value("k".into()))].into(),
            ..Go::default()
        };
        let message = GoMessage { go, values: [("k".into(), Blob(b"\xff\n".to_vec()))].into() };
        let own = own.iter().map(|(key, value)| (key.into(), value.into()));
        let all = environment(&message, own, Path::new("/home/agent")).unwrap();
        let of = |key: &str| all.get(OsStr::new(key)).map(|value| value.as_bytes());
        assert_eq!(of("PATH"), Some(&b"/p"[..]));
        assert_eq!(of("LANG"), Some(&b"C.UTF-8"[..]));
        assert_eq!(of("KEY"), Some(&b"\xff\n"[..]));
        assert_eq!(of("HOME"), Some(&b"/home/agent"[..]));
        assert_eq!(of("USER"), Some(&b"agent"[..]));
        assert!(all.keys().all(|key| !key.to_ascii_lowercase().as_bytes().ends_with(b"_proxy")));
    }

    #[test]
    fn programs_start_whatever_is_in_the_place_of_their_directory() {
        let home = tempfile::tempdir().unwrap();
        let of = |name: &str| home.path().join(name);
        std::fs::write(of("file"), "x").unwrap();
        std::os::unix::fs::symlink(of("loop"), of("loop")).unwrap();
        std::os::unix::fs::symlink(of("missing"), of("dangling")).unwrap();
        assert_eq!(start_directory(of("new/folder"), home.path()), of("new/folder"));
        assert!(of("new/folder").is_dir());
        for taken in ["file", "file/below", "loop", "dangling"] {
            assert_eq!(start_directory(of(taken), home.path()), home.path(), "{taken}");
            assert_eq!(start_directory(of(taken), &of("file")), Path::new("/"), "{taken}");
        }
    }

    #[test]
    fn what_no_environment_can_hold_is_an_error() {
        for (key, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            let go = Go { env: [(key.into(), Source::Text(value.into()))].into(), ..Go::default() };
            let message = GoMessage { go, values: Default::default() };
            assert!(environment(&message, std::iter::empty(), Path::new("/")).is_err(), "{key:?}");
        }
    }

    #[test]
    fn half_a_go_is_none() {
        let whole = serde_json::to_vec(&GoMessage { go: Go::default(), values: Default::default() }).unwrap();
        assert!(parse(&whole).is_ok());
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err());
        }
        assert!(parse(br#"{"go":{"env":{},"files":[],"command":[],"cwd":"/","new":1},"values":{}}"#).is_err());
        let Failure(why) = parse(br#"{"go":"sekret"}"#).unwrap_err();
        assert!(!why.contains("sekret"), "{why}");
    }
}
