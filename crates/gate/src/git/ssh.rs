//! An upstream over ssh. The gate dials, and hands the connection to ssh, which cannot make one itself; the server's key is
//! pinned, and the bottle's key stays with an agent in the gate's memory.
//!
//! ssh closes all descriptors but its standard ones. So the connection waits in the socket that is ssh's stderr: ssh's proxy
//! command ([`pass_connection`]), which has that stderr, too, takes it out there, and gives it to ssh.

use crate::egress::Egress;
use crate::git::children::{Job, Runner, read_messages};
use crate::git::confined::Confinement;
use crate::git::failure::Failure;
use crate::git::link::{Link, Place};
use crate::stdio::complain;
use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use wire::GitCommand;

pub struct SshUpstream {
    pub place: Place,
    pub user: String,
    pub path: String,
    /// File with the keys that the server may have.
    pub known_hosts: PathBuf,
    /// Socket of the agent that has the bottle's key.
    pub agent: PathBuf,
}

impl SshUpstream {
    /// Starts git's program on the server. `version`: of git's protocol, which an old server may ignore.
    pub async fn open(
        &self,
        egress: &Egress,
        runner: &Runner,
        command: GitCommand,
        version: u8,
    ) -> Result<Link, Failure> {
        let failed = |error: std::io::Error| Failure::error(format!("cannot reach the upstream: {error}"));
        let connection = self.place.dial(egress).await?.into_descriptor().map_err(failed)?;
        let (stream, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let (messages, their_messages) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        send_descriptor(messages.as_raw_fd(), connection.as_raw_fd()).map_err(failed)?;
        drop(connection);
        let stdout = theirs.try_clone().map_err(failed)?;
        let job = Job::new(Confinement::UnixSockets, "ssh", Path::new("/"))
            .args(self.arguments(&runner.own_program, command))
            .env("GIT_PROTOCOL", format!("version={version}"))
            .stdin(OwnedFd::from(theirs))
            .stdout(OwnedFd::from(stdout))
            .stderr(their_messages.into());
        let child = runner.spawn(job)?;
        for socket in [&stream, &messages] {
            socket.set_nonblocking(true).map_err(failed)?;
        }
        let (stream, messages) =
            (UnixStream::from_std(stream).map_err(failed)?, UnixStream::from_std(messages).map_err(failed)?);
        let carrier = tokio::spawn(async move {
            let messages = read_messages(messages).await;
            let ended = child.wait().await;
            let messages = String::from_utf8_lossy(&messages).trim().to_owned();
            match ended {
                Ok(ended) if ended.is_good() => None,
                Ok(_) => Some(explain(&messages)),
                Err(failure) => Some(failure),
            }
        });
        Ok(Link::new(stream, carrier))
    }

    fn arguments(&self, own_program: &Path, command: GitCommand) -> Vec<String> {
        let proxy = format!("{} pass-connection", quoted(&own_program.to_string_lossy()).replace('%', "%%"));
        let path = |path: &Path| path.to_string_lossy().replace('%', "%%");
        let options = [
            "BatchMode=yes".to_owned(),
            "CheckHostIP=no".to_owned(),
            "ClearAllForwardings=yes".to_owned(),
            "ConnectTimeout=30".to_owned(),
            "ControlMaster=no".to_owned(),
            "ControlPath=none".to_owned(),
            "ForwardAgent=no".to_owned(),
            "ForwardX11=no".to_owned(),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            format!("IdentityAgent={}", path(&self.agent)),
            "IdentityFile=none".to_owned(),
            "LogLevel=ERROR".to_owned(),
            "PermitLocalCommand=no".to_owned(),
            "PreferredAuthentications=publickey".to_owned(),
            format!("ProxyCommand={proxy}"),
            "ProxyUseFdpass=yes".to_owned(),
            "SendEnv=GIT_PROTOCOL".to_owned(),
            "ServerAliveCountMax=4".to_owned(),
            "ServerAliveInterval=30".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "UpdateHostKeys=no".to_owned(),
            format!("UserKnownHostsFile={}", path(&self.known_hosts)),
        ];
        let mut arguments: Vec<String> = ["-F", "/dev/null", "-T"].map(str::to_owned).to_vec();
        for option in options {
            arguments.extend(["-o".to_owned(), option]);
        }
        arguments.extend(["-p".to_owned(), self.place.port.to_string(), "-l".to_owned(), self.user.clone()]);
        arguments.extend(["--".to_owned(), self.place.host.clone()]);
        arguments.push(format!("{} {}", command.program(), quoted(&self.path)));
        arguments
    }
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What ssh says, and what to do about it.
fn explain(messages: &str) -> Failure {
    if messages.contains("Host key verification failed") || messages.contains("host key") {
        return Failure::denied(
            "the server does not have the key that is pinned for it, so nothing was sent; if its key was changed on \
             purpose, the person who runs this bottle has to put the new one into their known_hosts file",
        );
    }
    if messages.contains("Permission denied") {
        return Failure::error(format!("the server does not accept this bottle's key: {messages}"));
    }
    Failure::error(match messages {
        "" => "the connection to the upstream broke".to_owned(),
        messages => format!("the upstream: {messages}"),
    })
}

fn send_descriptor(over: RawFd, descriptor: RawFd) -> std::io::Result<()> {
    let descriptors = [descriptor];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(over, &[IoSlice::new(&[0])], &message, MsgFlags::empty(), None)?;
    Ok(())
}

/// `pass-connection`: takes the connection that waits in its stderr, and gives it to ssh on its stdout.
pub fn pass_connection() -> i32 {
    let pass = || -> std::io::Result<()> {
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let mut room = cmsg_space!([RawFd; 1]);
        let (stdout, stderr) = (std::io::stdout().as_raw_fd(), std::io::stderr().as_raw_fd());
        let received = recvmsg::<()>(stderr, &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC)?;
        match received.cmsgs()?.next() {
            Some(ControlMessageOwned::ScmRights(descriptors)) if descriptors.len() == 1 => {
                send_descriptor(stdout, descriptors[0])
            }
            _ => Err(std::io::Error::other("there is no connection")),
        }
    };
    match pass() {
        Ok(()) => 0,
        Err(error) => complain(&format!("cannot pass the connection: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_quotes_what_the_manifest_says() {
        let place = Place { host: "a.org".to_owned(), port: 2222, private: false };
        let (known_hosts, agent) = (PathBuf::from("/run/gate/k"), PathBuf::from("/run/100%/a"));
        let upstream = SshUpstream { place, user: "git".to_owned(), path: "/it's $x".to_owned(), known_hosts, agent };
        let arguments = upstream.arguments(Path::new("/bin/ga te"), GitCommand::UploadPack);
        assert_eq!(arguments.last().unwrap(), r"git-upload-pack '/it'\''s $x'");
        assert!(arguments.contains(&"ProxyCommand='/bin/ga te' pass-connection".to_owned()));
        assert!(arguments.contains(&"IdentityAgent=/run/100%%/a".to_owned()));
        assert!(arguments.contains(&"StrictHostKeyChecking=yes".to_owned()));
        assert_eq!(arguments[arguments.len() - 3..arguments.len() - 1], ["--", "a.org"]);
    }

    #[test]
    fn a_wrong_host_key_is_a_refusal_and_a_wrong_key_an_error() {
        for (messages, verdict, words) in [
            (
                "No ED25519 host key is known for a.org and you have requested strict checking.",
                wire::Outcome::Deny,
                "pinned",
            ),
            ("Host key verification failed.", wire::Outcome::Deny, "pinned"),
            ("git@a.org: Permission denied (publickey).", wire::Outcome::Error, "does not accept"),
            ("", wire::Outcome::Error, "broke"),
            ("fatal: '/x' does not appear to be a git repository", wire::Outcome::Error, "/x"),
        ] {
            let failure = explain(messages);
            assert_eq!(failure.verdict, verdict, "{messages}");
            assert!(failure.text.contains(words), "{}", failure.text);
        }
    }
}
