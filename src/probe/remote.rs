//! What this machine knows of a bottle's ssh keys: those that open a remote's upstream, those by which the upstream's host is
//! known, and the one that signs commits.

use crate::exit::UserError;
use crate::facts::{RemoteFacts, SigningKeyFacts};
use crate::hint;
use crate::manifest::{Remote, RemoteAccess};
use crate::text;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of a private key's file; a key of 16,384 bits has 13 KiB.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// Bytes of the modulus of a key by RSA, at least: 2,048 bits.
const MIN_RSA_BYTES: usize = 256;
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
    let is_locked = of_key.as_ref().is_ok_and(|key| key.is_locked);
    let found = of_key.and_then(|_| known_hosts.clone());
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
    match read_key(path) {
        Ok(OpensshKey { public, is_locked, .. }) => SigningKeyFacts { public, is_locked, problem: None },
        Err(UserError { what, hint }) => {
            let problem = UserError { hint, ..UserError::new(format!("`git.signing_key`: {what}")) };
            SigningKeyFacts { problem: Some(problem), ..SigningKeyFacts::default() }
        }
    }
}

/// Reads what a private key says of itself.
///
/// # Errors
/// `UserError` for what ssh would not take either (no file, no key, or one that others may read), and for a key that the gate
/// cannot use.
fn read_key(path: &Path) -> Result<OpensshKey, UserError> {
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
    let mut content = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_KEY_BYTES).read_to_string(&mut content));
    match read {
        Err(error) if error.kind() != std::io::ErrorKind::InvalidData => return Err(unreadable(error)),
        _ if content.starts_with("ssh-") => {
            return Err(refused("is a public key").hint("name the private one beside it, without `.pub`"));
        }
        Ok(_) if content.contains("-----BEGIN ") && content.contains("PRIVATE KEY-----") => {}
        _ => return Err(refused("is not a private key of ssh")),
    }
    let Some((_, body)) = content.split_once("-----BEGIN OPENSSH PRIVATE KEY-----") else {
        return Err(refused("is not in OpenSSH's own form, which alone the gate reads")
            .hint(hint!("ssh-keygen -p -f {}", path.display())));
    };
    let body: String = body.lines().take_while(|line| !line.starts_with("-----")).collect();
    let bytes = wire::decode_base64(body.trim()).unwrap_or_default();
    let key = OpensshKey::read(&bytes).ok_or_else(|| refused("is not a whole private key of ssh"))?;
    match key.is_usable() {
        true => Ok(key),
        false => Err(refused(&format!(
            "is a key that the gate cannot use (`{}`): wanted is one of ed25519, ECDSA of 256 or 384 bits, or RSA of 2048 bits or more",
            text::one_line(&key.kind)
        ))),
    }
}

/// What a key says of itself without its passphrase (`PROTOCOL.key` of OpenSSH).
#[derive(Debug)]
struct OpensshKey {
    kind: String,
    /// The public key, as in a file of it.
    public: String,
    /// It is of no use without its passphrase.
    is_locked: bool,
    /// The second number of the public part: of RSA, the modulus.
    modulus_bytes: usize,
}

impl OpensshKey {
    fn read(bytes: &[u8]) -> Option<OpensshKey> {
        let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
        let cipher = string(&mut rest)?;
        let (_kdf, _options) = (string(&mut rest)?, string(&mut rest)?);
        // There is one key.
        rest = rest.strip_prefix(&1u32.to_be_bytes())?;
        let whole = string(&mut rest)?;
        let mut public = whole;
        let kind = String::from_utf8_lossy(string(&mut public)?).into_owned();
        let _exponent = string(&mut public);
        let modulus = string(&mut public).unwrap_or_default();
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let whole = format!("{kind} {}", wire::encode_base64(whole));
        Some(OpensshKey { kind, public: whole, is_locked: cipher != b"none", modulus_bytes: modulus.len() - zeros })
    }

    fn is_usable(&self) -> bool {
        match self.kind.as_str() {
            "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" => true,
            "ssh-rsa" => self.modulus_bytes >= MIN_RSA_BYTES,
            _ => false,
        }
    }
}

/// Takes a string of ssh's own encoding: its length in four bytes, and that many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = after;
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
            ("plain", ["-t", "ed25519", "-N", ""], false),
            ("locked", ["-t", "ed25519", "-N", "a passphrase"], true),
            ("ecdsa", ["-t", "ecdsa", "-N", ""], false),
            ("rsa", ["-t", "rsa", "-N", "a passphrase"], true),
        ] {
            let path = make(name, &args);
            let key = read_key(&path).unwrap();
            assert_eq!(key.is_locked, locked, "{name}");
            let public = fs::read_to_string(path.with_extension("pub")).unwrap();
            assert!(public.starts_with(&key.public), "{name}: {public}");
        }
        let refused = |path: &Path| read_key(path).unwrap_err().what;
        for (name, passphrase, form) in
            [("old", "", "PEM"), ("old-locked", "a passphrase", "PEM"), ("pkcs8-locked", "a passphrase", "PKCS8")]
        {
            let path = make(name, &["-t", "ecdsa", "-N", passphrase, "-m", form]);
            assert!(refused(&path).contains("is not in OpenSSH's own form"), "{name}");
            // What the hint says mends it.
            let mut mend = Command::new("ssh-keygen");
            mend.args(["-q", "-p", "-P", passphrase, "-N", passphrase, "-f"]).arg(&path);
            assert!(mend.output().unwrap().status.success());
            assert_eq!(read_key(&path).unwrap().is_locked, !passphrase.is_empty(), "{name}");
        }
        for (name, kind, bits) in [("curve", "ecdsa", "521"), ("short", "rsa", "1024")] {
            let path = make(name, &["-t", kind, "-b", bits, "-N", ""]);
            assert!(refused(&path).contains("cannot use"), "{name}");
        }
        let cut = folder.path().join("cut");
        let whole = fs::read_to_string(folder.path().join("plain")).unwrap();
        let lines: Vec<&str> = whole.lines().collect();
        fs::write(&cut, [lines[0], lines[1], lines[lines.len() - 1], ""].join("\n")).unwrap();
        fs::set_permissions(&cut, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(refused(&cut).contains("not a whole private key"));
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
