//! `-Y …`: what git of the agent runs in place of `ssh-keygen` (`gpg.ssh.program`). Signatures come from the gate, which has
//! the key; everything else that git asks, as whether a signature is good, is answered by the bottle's `ssh-keygen`.

use crate::failure::Failure;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wire::{MAX_SIGNED_BYTES, REFUSED, one_line};

/// The first argument of every call of git's.
pub const VERB: &str = "-Y";
/// Bytes of a signature; one by an rsa key of 4,096 bits has 1,600.
const MAX_SIGNATURE_BYTES: u64 = 16 << 10;
/// Time for the gate to answer. Many signatures that are asked for at once wait for each other.
const GATE_TIMEOUT: Duration = Duration::from_secs(120);
/// How a signature begins.
const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----\n";

/// `args`: all behind [`VERB`].
///
/// # Errors
/// There is no signature, or nothing that can answer.
pub fn run(socket: &Path, args: &[String]) -> Result<i32, Failure> {
    match args.first().map(String::as_str) {
        Some("sign") => sign(socket, &SignCall::parse(&args[1..])?),
        _ => Err(run_ssh_keygen(args)),
    }
}

/// `-n git -f KEYFILE [-U] FILE`, as git says it.
#[derive(Default)]
struct SignCall<'a> {
    /// The file of the public key.
    key: &'a str,
    file: &'a str,
}

impl SignCall<'_> {
    fn parse(args: &[String]) -> Result<SignCall<'_>, Failure> {
        let mut call = SignCall::default();
        let mut rest = args;
        while let [word, tail @ ..] = rest {
            rest = match (word.as_str(), tail) {
                ("-n", [namespace, tail @ ..]) if namespace == "git" => tail,
                ("-f", [key, tail @ ..]) => {
                    call.key = key;
                    tail
                }
                ("-U", tail) => tail,
                (file, []) if !file.starts_with('-') => {
                    call.file = file;
                    &[]
                }
                _ => return Err(Failure(format!("only commits and tags are signed here: `{}`", one_line(word)))),
            };
        }
        match call {
            SignCall { key: "", .. } | SignCall { file: "", .. } => Err(Failure("no key and no file to sign".into())),
            call => Ok(call),
        }
    }
}

fn sign(socket: &Path, call: &SignCall<'_>) -> Result<i32, Failure> {
    let key = String::from_utf8_lossy(&read(call.key)?).into_owned();
    let key: Vec<&str> = key.lines().next().unwrap_or_default().split_whitespace().take(2).collect();
    let mut request = format!("{}\n", key.join(" ")).into_bytes();
    request.extend_from_slice(&read(call.file)?);
    let mut gate = UnixStream::connect(socket)?;
    gate.set_read_timeout(Some(GATE_TIMEOUT))?;
    gate.write_all(format!("SIGN {}\n", request.len()).as_bytes())?;
    gate.write_all(&request)?;
    let mut answer = String::new();
    gate.take(MAX_SIGNATURE_BYTES).read_to_string(&mut answer)?;
    if let Some(why) = answer.strip_prefix(REFUSED) {
        return Err(Failure(one_line(why.trim_end())));
    }
    if !answer.starts_with(SIGNATURE) {
        return Err(Failure("the gate gave no signature".into()));
    }
    std::fs::write(format!("{}.sig", call.file), answer)?;
    Ok(0)
}

fn read(path: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let failed = |error| Failure(format!("cannot read `{}`: {error}", one_line(path)));
    File::open(path).and_then(|file| file.take(MAX_SIGNED_BYTES as u64).read_to_end(&mut bytes)).map_err(failed)?;
    // The line of the key is signed for nobody, but is sent.
    if bytes.len() >= MAX_SIGNED_BYTES {
        return Err(Failure(format!("more than {} KiB are not signed", MAX_SIGNED_BYTES >> 10)));
    }
    Ok(bytes)
}

/// Becomes the bottle's own program. Returns why it did not.
fn run_ssh_keygen(args: &[String]) -> Failure {
    let error = Command::new("ssh-keygen").arg(VERB).args(args).exec();
    // git sends these what was signed, and shows no words of a program that ends before it took that.
    if matches!(args.first().map(String::as_str), Some("verify" | "check-novalidate")) {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    }
    Failure(match error.kind() {
        ErrorKind::NotFound => {
            "this bottle's image has no `ssh-keygen`, which checks signatures: install `openssh-client` in it".into()
        }
        _ => format!("cannot run `ssh-keygen`: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_as_git_makes_them() {
        let parse = |words: &str| {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            SignCall::parse(&words).map(|call| (call.key.to_owned(), call.file.to_owned())).ok()
        };
        let good = Some(("key".to_owned(), "file".to_owned()));
        assert_eq!(parse("-n git -f key file"), good);
        assert_eq!(parse("-n git -f key -U file"), good);
        for bad in ["", "-n git", "-n git -f key", "-n file -f key file", "-f key file more", "-n git -f key -O x file"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
