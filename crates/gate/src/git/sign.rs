//! Signatures of the bottle's commits and tags. The key stays in the gate's memory, and signs nothing that git would not take
//! for a commit or a tag, in the namespace of git only: no login, no file, no certificate of a push.

use crate::egress::Egress;
use crate::git::failure::Failure;
use crate::git::limits::{AGENT_REPLY_TIMEOUT, SIGNATURE_INTERVAL};
use crate::git::record::GitRecord;
use crate::git::signing_key::{RSA_SHA2_512, SigningKey};
use sha1::{Digest, Sha1};
use ssh_key::{HashAlg, LineEnding, Signature, SshSig};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};
use wire::{GitOperation, REFUSED, is_object_id};

/// What the signature is for; no other program takes it for its own.
const NAMESPACE: &str = "git";

/// The key of a bottle's signatures.
pub struct Signer {
    key: SigningKey,
    /// The public key, as the agent's git is configured with it.
    public: String,
    /// When the next signature may be made.
    next: Mutex<Instant>,
}

/// What git signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObjectKind {
    Commit,
    Tag,
}

impl Signer {
    pub fn new(key: SigningKey) -> Result<Signer, String> {
        let public = key.public.to_openssh().map_err(|_| "the key is malformed".to_owned())?;
        Ok(Signer { key, public, next: Mutex::new(Instant::now()) })
    }

    /// The signature of a commit or a tag, in the form of a file, and the object's id with it.
    async fn sign(&self, request: &[u8]) -> Result<(String, String), Failure> {
        let (public, object) = split_at_byte(request, b'\n').unwrap_or_default();
        if public != self.public.as_bytes() {
            return Err(Failure::denied(format!(
                "this bottle's commits are signed by the key `{}`: leave `user.signingKey` as it is, or set \
                 `gpg.ssh.program` to `ssh-keygen` for a key of your own",
                self.public
            )));
        }
        let kind = ObjectKind::of(object)
            .ok_or_else(|| Failure::denied("only commits and tags of git are signed, and this is neither"))?;
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = Instant::now() + SIGNATURE_INTERVAL;
        drop(next);
        let signature = self.signature(object).ok_or_else(|| Failure::error("the key cannot sign"))?;
        let id = kind.id(object, &signature);
        Ok((signature, id))
    }

    fn signature(&self, object: &[u8]) -> Option<String> {
        let data = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, object).ok()?;
        let signature = Signature::try_from(self.key.sign(&data, RSA_SHA2_512)?.as_slice()).ok()?;
        let public = self.key.public.key_data().clone();
        SshSig::new(public, NAMESPACE, HashAlg::Sha512, signature).ok()?.to_pem(LineEnding::LF).ok()
    }
}

/// Serves one connection of the agent, of which `bytes` are what is to be signed.
pub async fn serve(signer: Option<&Signer>, egress: &Arc<Egress>, mut stream: UnixStream, bytes: usize) {
    let mut record = GitRecord::new(&egress.trail, egress.live.snapshot(), GitOperation::Sign);
    let answer = match answer(signer, &mut stream, bytes, &mut record).await {
        Ok(signature) => signature,
        Err(failure) => format!("{REFUSED}{}\n", record.failed(failure).text),
    };
    // The audit trail knows of a signature before the agent has it.
    drop(record);
    let _ = timeout(AGENT_REPLY_TIMEOUT, stream.write_all(answer.as_bytes())).await;
}

async fn answer(
    signer: Option<&Signer>,
    stream: &mut UnixStream,
    bytes: usize,
    record: &mut GitRecord,
) -> Result<String, Failure> {
    let Some(signer) = signer else {
        // Read all the same: a client that still writes would see no answer.
        let mut rest = stream.take(bytes as u64);
        let _ = timeout(AGENT_REPLY_TIMEOUT, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        let text = "this bottle has no key to sign with: `git.signing_key` of the manifest names one";
        return Err(Failure::denied(text));
    };
    let mut request = vec![0; bytes];
    let read = timeout(AGENT_REPLY_TIMEOUT, stream.read_exact(&mut request)).await;
    let Ok(Ok(_)) = read else { return Err(Failure::denied("what is to be signed did not come")) };
    record.audit.sent = bytes as u64;
    let (signature, id) = signer.sign(&request).await?;
    record.audit.object = Some(id);
    record.audit.received = signature.len() as u64;
    record.allowed();
    Ok(signature)
}

impl ObjectKind {
    /// What git would take these bytes for; `None`: for something else, or for nothing.
    fn of(object: &[u8]) -> Option<ObjectKind> {
        let head = &object[..end_of_head(object)?];
        // git ends a line by a line feed alone.
        if head.iter().any(|byte| matches!(byte, b'\r' | b'\0')) {
            return None;
        }
        let mut lines = std::str::from_utf8(head).ok()?.split('\n').peekable();
        let mut is_next = |name: &str, is_value: fn(&str) -> bool| {
            let value = lines.peek().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            let fits = value.is_some_and(is_value);
            if fits {
                lines.next();
            }
            fits
        };
        if is_next("tree", is_object_id) {
            while is_next("parent", is_object_id) {}
            let is_commit = is_next("author", is_person) && is_next("committer", is_person);
            return is_commit.then_some(ObjectKind::Commit);
        }
        let is_tag = is_next("object", is_object_id)
            && is_next("type", |kind| ["commit", "tree", "blob", "tag"].contains(&kind))
            && is_next("tag", |name| !name.is_empty())
            && is_next("tagger", is_person);
        is_tag.then_some(ObjectKind::Tag)
    }

    /// The id of the object when git has put the signature where it belongs: the last line of a commit's head, the end of a
    /// tag.
    fn id(self, object: &[u8], signature: &str) -> String {
        let (name, at, signature) = match self {
            ObjectKind::Commit => {
                let lines = signature.trim_end().replace('\n', "\n ");
                ("commit", end_of_head(object).unwrap_or_default(), format!("gpgsig {lines}\n"))
            }
            ObjectKind::Tag => ("tag", object.len(), signature.to_owned()),
        };
        let (before, after) = object.split_at(at);
        let mut hash = Sha1::new();
        hash.update(format!("{name} {}\0", object.len() + signature.len()));
        for part in [before, signature.as_bytes(), after] {
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `NAME <ADDRESS> SECONDS ZONE`.
fn is_person(text: &str) -> bool {
    text.contains(" <") && text.contains("> ")
}

/// Where the lines of an object's head end, and its message begins behind an empty line.
fn end_of_head(object: &[u8]) -> Option<usize> {
    object.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 1)
}

fn split_at_byte(bytes: &[u8], by: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == by)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

    #[test]
    fn only_commits_and_tags_are_signed() {
        let commit =
            format!("tree {ID}\nparent {ID}\nparent {ID}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n");
        let tag = format!("object {ID}\ntype commit\ntag v1\ntagger A <a@b> 1 +0000\n");
        let kind = |text: &str| ObjectKind::of(text.as_bytes());
        assert_eq!(kind(&format!("{commit}\nwords\n")), Some(ObjectKind::Commit));
        assert_eq!(kind(&format!("{commit}encoding UTF-8\n\nwords\n\nmore\n")), Some(ObjectKind::Commit));
        assert_eq!(kind(&commit.replace("parent", "x-parent")), None);
        assert_eq!(kind(&format!("{tag}\nwords\n")), Some(ObjectKind::Tag));
        let certificate = "certificate version 0.1\npusher A <a@b> 1 +0000\nnonce 1\n\nold new refs/heads/main\n";
        for bad in [
            "",
            "\n\n",
            certificate,
            &commit,
            &format!("{}\nwords", commit.replace("tree", "Tree")),
            &format!("{}\nwords", commit.replace(&ID[1..], "")),
            &format!("{}\nwords", commit.replace("committer", "committed")),
            &format!("{}\nwords", tag.replace("commit", "login")),
            &format!("{}\nwords", tag.replace("tagger", "x")),
            &format!("\n{commit}\nwords"),
        ] {
            assert_eq!(kind(bad), None, "{bad}");
        }
    }
}
