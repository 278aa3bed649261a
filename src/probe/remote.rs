//! What this machine knows of a bottle's ssh keys: those that open a remote's upstream, those by which the upstream's host is
//! known, and the one that signs commits.

use crate::exit::UserError;
use crate::facts::{RemoteFacts, SigningKeyFacts};
use crate::hint;
use crate::manifest::{Remote, RemoteAccess};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of a private key's file; a key of 16,384 bits has 13 KiB.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Bytes of the lines about one host.
const MAX_KNOWN_HOSTS_BYTES: usize = 256 << 10;
/// Where ssh looks for hosts that everybody on this machine knows.
const MACHINE_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// Reads the remote's key and the known hosts. What is missing is a fact, too: a plan can be shown all the same.
pub fn remote(remote: &Remote) -> RemoteFacts {
    let Some(upstream) = &remote.upstream else { return RemoteFacts::default() };
    let RemoteAccess::Ssh { identity_file, host_key } = &upstream.access else { return RemoteFacts::default() };
    let host = match upstream.port {
        22 => upstream.host.clone(),
        port => format!("[{}]:{port}", upstream.host),
    };
    let known_hosts = match host_key {
        Some(key) => Ok(format!("{host} {key}\n")),
        None => known_hosts(&host, (upstream.port != 22).then_some(&upstream.host)),
    };
    let problem = |what: String| UserError::new(format!("remote `{}` ({}): {what}", remote.name, remote.origin));
    let unknown = || {
        problem(format!("no host key of `{host}` is known, so nothing would go there")).hint(hint!(
            "ask its owner for the key, and give it as `known_host_key`, or log in once and compare it: `ssh -p {} {}`",
            upstream.port,
            format!("{}@{}", upstream.user, upstream.host)
        ))
    };
    let of_key = read_key(identity_file);
    let is_locked = of_key.as_deref().is_ok_and(is_locked);
    let found = of_key.and(known_hosts.clone());
    RemoteFacts {
        is_locked,
        known_hosts: known_hosts.unwrap_or_default(),
        problem: match found {
            Err(UserError { what, hint }) => Some(UserError { hint, ..problem(what) }),
            Ok(lines) => lines.is_empty().then(unknown),
        },
    }
}

/// Reads the key that signs commits.
pub fn signing_key(path: &Path) -> SigningKeyFacts {
    let old = || {
        UserError::new(format!("`{}` is not in OpenSSH's own form", path.display()))
            .hint(hint!("ssh-keygen -p -f {}", path.display()))
    };
    let read = read_key(path).and_then(|key| Ok((public_key(&key).ok_or_else(old)?, is_locked(&key))));
    match read {
        Ok((public, is_locked)) => SigningKeyFacts { public, is_locked, problem: None },
        Err(UserError { what, hint }) => {
            let problem = UserError { hint, ..UserError::new(format!("`git.signing_key`: {what}")) };
            SigningKeyFacts { problem: Some(problem), ..SigningKeyFacts::default() }
        }
    }
}

/// The text of a private key.
///
/// # Errors
/// `UserError` for what ssh would not take either: no file, no key, or one that others may read.
fn read_key(path: &Path) -> Result<String, UserError> {
    let unreadable = |error: std::io::Error| UserError::unreadable(path, &error);
    let meta = fs::metadata(path).map_err(unreadable)?;
    let refused = |what: &str| UserError::new(format!("`{}` {what}", path.display()));
    if !meta.is_file() {
        return Err(refused("is not a file"));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        return Err(refused("can be read by others of this machine, so it is not used as a key")
            .hint(hint!("chmod 600 {}", path.display())));
    }
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY_BYTES).read_to_string(&mut text));
    if read.is_ok() && text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Ok(text);
    }
    Err(match read {
        Err(error) if error.kind() != std::io::ErrorKind::InvalidData => unreadable(error),
        _ if text.starts_with("ssh-") => {
            refused("is a public key").hint("name the private one beside it, without `.pub`")
        }
        _ => refused("is not a private key of ssh"),
    })
}

/// Whether the key is of no use without its passphrase. The old form says it in a header. The new one (`PROTOCOL.key` of
/// OpenSSH) has the name of a cipher behind its magic word, and `none` where there is none.
fn is_locked(key: &str) -> bool {
    if key.contains("ENCRYPTED") {
        return true;
    }
    let Some(body) = openssh_body(key) else { return false };
    !body.starts_with(b"openssh-key-v1\0\0\0\0\x04none")
}

/// The public key that is in a file of OpenSSH's own form, in front of the private one, which may be locked.
fn public_key(key: &str) -> Option<String> {
    let body = openssh_body(key)?;
    let mut rest = body.strip_prefix(b"openssh-key-v1\0")?;
    let (_cipher, _derivation, _its_options) =
        (take_string(&mut rest)?, take_string(&mut rest)?, take_string(&mut rest)?);
    let mut rest = rest.strip_prefix(&1u32.to_be_bytes())?;
    let public = take_string(&mut rest)?;
    let kind = std::str::from_utf8(take_string(&mut &*public)?).ok()?;
    Some(format!("{kind} {}", wire::encode_base64(public)))
}

fn openssh_body(key: &str) -> Option<Vec<u8>> {
    let (_, rest) = key.split_once("-----BEGIN OPENSSH PRIVATE KEY-----")?;
    let body: String = rest.lines().take_while(|line| !line.starts_with("-----")).collect();
    wire::decode_base64(body.trim())
}

/// Takes bytes whose number stands before them.
fn take_string<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = from.split_first_chunk()?;
    let (string, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *from = rest;
    Some(string)
}

/// The lines of the user's and the machine's known hosts that are about this host, hashed ones and those of authorities
/// too. ssh's own program finds them: it knows hashes, patterns and marks. `plain`: the host without its port, of which the
/// authorities count, too, as for ssh.
///
/// # Errors
/// `UserError` where there is no such program.
fn known_hosts(host: &str, plain: Option<&String>) -> Result<String, UserError> {
    let own = dirs::home_dir().map(|home| home.join(".ssh"));
    let own = own.iter().flat_map(|folder| ["known_hosts", "known_hosts2"].map(|name| folder.join(name)));
    let mut found = String::new();
    for file in own.chain(MACHINE_KNOWN_HOSTS.map(PathBuf::from)).filter(|file| file.is_file()) {
        for (name, begin) in [(Some(host), ""), (plain.map(String::as_str), "@cert-authority ")] {
            let Some(name) = name else { continue };
            let said = Command::new("ssh-keygen").args(["-F", name, "-f"]).arg(&file).stderr(Stdio::null()).output();
            let said = said.map_err(|error| {
                UserError::new(format!("`ssh-keygen`, which reads known hosts, cannot be run: {error}"))
                    .hint("install OpenSSH's client, or give the host's key as `known_host_key`")
            })?;
            let text = String::from_utf8_lossy(&said.stdout);
            let lines =
                text.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && line.starts_with(begin));
            for line in lines {
                if found.len() + line.len() < MAX_KNOWN_HOSTS_BYTES {
                    found.extend([line, "\n"]);
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_ssh_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, args: &[&str]| {
            let path = folder.path().join(name);
            let made = Command::new("ssh-keygen").args(args).args(["-q", "-f"]).arg(&path).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            path
        };
        for (name, args, locked) in [
            ("plain", ["-t", "ed25519", "-N", "", "-m", "RFC4716"], false),
            ("locked", ["-t", "ed25519", "-N", "a passphrase", "-m", "RFC4716"], true),
            ("old", ["-t", "ecdsa", "-N", "", "-m", "PEM"], false),
            ("old-locked", ["-t", "ecdsa", "-N", "a passphrase", "-m", "PEM"], true),
            ("pkcs8-locked", ["-t", "ecdsa", "-N", "a passphrase", "-m", "PKCS8"], true),
        ] {
            let path = make(name, &args);
            let key = read_key(&path).unwrap();
            assert_eq!(is_locked(&key), locked, "{name}");
            let public = fs::read_to_string(path.with_extension("pub")).unwrap();
            let public: Vec<&str> = public.split_whitespace().take(2).collect();
            let of_own_form = key.contains("OPENSSH").then(|| public.join(" "));
            assert_eq!(public_key(&key), of_own_form, "{name}");
        }
        let refused = |path: &Path| read_key(path).unwrap_err().what;
        assert!(refused(&folder.path().join("none")).contains("cannot read"));
        assert!(refused(folder.path()).ends_with("is not a file"));
        let public = folder.path().join("plain.pub");
        fs::set_permissions(&public, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refused(&public).ends_with("is a public key"));
        let open = folder.path().join("plain");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(refused(&open).contains("can be read by others"));
    }
}
