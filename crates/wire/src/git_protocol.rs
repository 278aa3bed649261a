//! What an agent says in git's protocol before git itself reads it: packet lines, the request, and the commands of a push.
//! Strictly read; no byte sequence is understood in two ways.

use crate::GitUpdate;
use crate::git::is_remote_name;
use policy::is_ref_name;

/// Bytes of a packet line, its length included.
pub const MAX_PACKET_BYTES: usize = 65520;
/// The object id that stands for no object.
pub const NO_OBJECT: &str = "0000000000000000000000000000000000000000";

/// The head of a packet line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketHead {
    Flush,
    /// Divides the sections of a message (version 2).
    Delimiter,
    ResponseEnd,
    /// So many bytes follow.
    Data(usize),
}

/// Reads the four hexadecimal digits before each packet line. `None`: they are malformed.
pub fn parse_packet_head(head: [u8; 4]) -> Option<PacketHead> {
    let mut length = 0;
    for byte in head {
        length = length << 4 | char::from(byte).to_digit(16)? as usize;
    }
    match length {
        0 => Some(PacketHead::Flush),
        1 => Some(PacketHead::Delimiter),
        2 => Some(PacketHead::ResponseEnd),
        4..=MAX_PACKET_BYTES => Some(PacketHead::Data(length - 4)),
        _ => None,
    }
}

/// What a connection to the git service asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRequest {
    pub command: GitCommand,
    /// The name of a remote, without a leading slash and a final `.git`; it may be none that exists.
    pub remote: String,
    /// The version of the protocol that the client asks for.
    pub version: u8,
}

/// The program that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitCommand {
    UploadPack,
    ReceivePack,
    /// `git archive --remote`.
    UploadArchive,
}

impl GitCommand {
    const ALL: [GitCommand; 3] = [GitCommand::UploadPack, GitCommand::ReceivePack, GitCommand::UploadArchive];

    /// The name of the program that serves it.
    pub fn program(self) -> &'static str {
        match self {
            GitCommand::UploadPack => "git-upload-pack",
            GitCommand::ReceivePack => "git-receive-pack",
            GitCommand::UploadArchive => "git-upload-archive",
        }
    }
}

/// Reads the first packet of a connection: `git-upload-pack /NAME`, NUL, `host=…`, NUL, NUL, `version=2`, NUL. `None`: it is
/// malformed.
pub fn parse_git_request(packet: &[u8]) -> Option<GitRequest> {
    let text = std::str::from_utf8(packet.strip_suffix(b"\n").unwrap_or(packet)).ok()?;
    let (command, rest) = text.split_once('\0')?;
    let (command, path) = command.split_once(' ')?;
    let command = GitCommand::ALL.into_iter().find(|known| known.program() == command)?;
    let name = path.strip_prefix('/').unwrap_or(path);
    let name = name.strip_suffix('/').unwrap_or(name);
    let name = name.strip_suffix(".git").unwrap_or(name);
    let (host, extra) = rest.strip_prefix("host=")?.split_once('\0')?;
    let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let version = match extra {
        "" => 0,
        "\0version=1\0" => 1,
        "\0version=2\0" => 2,
        _ => return None,
    };
    let is_good = is_remote_name(name) && host.bytes().all(is_host_byte);
    is_good.then(|| GitRequest { command, remote: name.to_owned(), version })
}

/// One command of a push, with the capabilities that stand behind the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushCommand<'a> {
    pub update: GitUpdate,
    pub capabilities: Vec<&'a str>,
}

/// Reads `OLD NEW REF`, where the first command has a NUL and capabilities behind it. `None`: it is malformed.
pub fn parse_push_command(packet: &[u8]) -> Option<PushCommand<'_>> {
    let text = std::str::from_utf8(packet.strip_suffix(b"\n").unwrap_or(packet)).ok()?;
    let (command, capabilities) = text.split_once('\0').unwrap_or((text, ""));
    let (old, rest) = command.split_once(' ')?;
    let (new, name) = rest.split_once(' ')?;
    let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_graphic());
    let capabilities: Vec<&str> = capabilities.split(' ').filter(|word| !word.is_empty()).collect();
    let is_good = is_object_id(old)
        && is_object_id(new)
        && (old, new) != (NO_OBJECT, NO_OBJECT)
        && is_ref_name(name)
        && capabilities.iter().all(is_word);
    let update = || GitUpdate { name: name.to_owned(), old: old.to_owned(), new: new.to_owned() };
    is_good.then(|| PushCommand { update: update(), capabilities })
}

/// Whether this is the id of an object: 40 hexadecimal digits in lower case (SHA-1).
pub fn is_object_id(text: &str) -> bool {
    text.len() == NO_OBJECT.len() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::MAX_REF_BYTES;

    #[test]
    fn heads_are_four_digits() {
        for (head, wanted) in [
            (b"0000", Some(PacketHead::Flush)),
            (b"0001", Some(PacketHead::Delimiter)),
            (b"0002", Some(PacketHead::ResponseEnd)),
            (b"0003", None),
            (b"0004", Some(PacketHead::Data(0))),
            (b"fff0", Some(PacketHead::Data(MAX_PACKET_BYTES - 4))),
            (b"FFF0", Some(PacketHead::Data(MAX_PACKET_BYTES - 4))),
            (b"fff1", None),
            (b"+123", None),
            (b" 123", None),
        ] {
            assert_eq!(parse_packet_head(*head), wanted, "{head:?}");
        }
    }

    #[test]
    fn a_request_names_one_remote() {
        let wanted = |command, version| Some(GitRequest { command, remote: "app".to_owned(), version });
        for (packet, wanted) in [
            ("git-upload-pack /app\0host=git.bottle\0", wanted(GitCommand::UploadPack, 0)),
            ("git-upload-pack app.git\0host=git.bottle:9418\0\0version=2\0", wanted(GitCommand::UploadPack, 2)),
            ("git-receive-pack /app.git/\0host=git.bottle\0\0version=1\0\n", wanted(GitCommand::ReceivePack, 1)),
            ("git-upload-archive /app\0host=x\0", wanted(GitCommand::UploadArchive, 0)),
        ] {
            assert_eq!(parse_git_request(packet.as_bytes()), wanted, "{packet:?}");
        }
        for bad in [
            "",
            "git-upload-pack /app",
            "git-upload-pack /app\0",
            "git-upload-pack /app\0host=git.bottle",
            "git-upload-pack /app\0host=git bottle\0",
            "git-upload-pack  /app\0host=x\0",
            "git-upload-pack //app\0host=x\0",
            "git-upload-pack /../app\0host=x\0",
            "git-upload-pack /a/b\0host=x\0",
            "git-upload-pack /-app\0host=x\0",
            "git-upload-pack /app\0host=x\0\0version=3\0",
            "git-upload-pack /app\0host=x\0\0version=2",
            "git-upload-pack /app\0host=x\0\0version=2\0other\0",
            "git-daemon /app\0host=x\0",
            "git-upload-pack /app\0\0host=x\0",
        ] {
            assert_eq!(parse_git_request(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_git_request(b"git-upload-pack /a\xff\0host=x\0"), None);
    }

    #[test]
    fn a_command_is_two_ids_and_a_name() {
        let (a, b) = ("a".repeat(40), "0123456789".repeat(4));
        let line = format!("{a} {b} refs/heads/x\0 report-status side-band-64k\n");
        let command = parse_push_command(line.as_bytes()).unwrap();
        assert_eq!(command.update, GitUpdate { name: "refs/heads/x".into(), old: a.clone(), new: b.clone() });
        assert_eq!(command.capabilities, ["report-status", "side-band-64k"]);
        let upper = a.to_uppercase();
        for bad in [
            format!("{a} {b}"),
            format!("{a} {b} "),
            format!("{a} {b} HEAD"),
            format!("{a} {b} refs/heads/a..b"),
            format!("{a} {b} refs/heads/a\u{1b}[2J"),
            format!("{a} {b} refs/heads/a\nb"),
            format!("{a}  {b} refs/heads/a"),
            format!("{upper} {b} refs/heads/a"),
            format!("{} {b} refs/heads/a", &a[..39]),
            format!("{NO_OBJECT} {NO_OBJECT} refs/heads/a"),
            format!("{a} {b} refs/heads/a\0x\ty"),
            format!("{a} {b} refs/heads/{}", "a".repeat(MAX_REF_BYTES)),
        ] {
            assert_eq!(parse_push_command(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
