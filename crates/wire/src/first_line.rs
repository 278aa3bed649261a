//! The first line of a connection, strictly read. No byte sequence is understood in two ways.

use crate::Work;
use policy::plain_name;

/// What a connection is for.
#[derive(Debug, PartialEq, Eq)]
pub enum FirstLine {
    /// The agent's init wants the go message.
    Go,
    /// A program of the agent's wants a server. `host` is in lower case, without a final dot.
    Connect { host: String, port: u16 },
    /// git of the agent wants a signature. So many bytes follow: the line of the public key, and a commit or a tag. The
    /// answer is the signature, or [`REFUSED`] and why there is none.
    Sign { bytes: usize },
    /// The agent's init tells what work is in the bottle.
    Work(Work),
}

/// Bytes of what is signed, with the line of the public key.
pub const MAX_SIGNED_BYTES: usize = 1 << 20;
/// How an answer to [`FirstLine::Sign`] begins that is no signature.
pub const REFUSED: &str = "refused: ";

/// Reads a line without its line feed. `None`: it is malformed.
pub fn parse_first_line(line: &[u8]) -> Option<FirstLine> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()?;
    if line == "GO" {
        return Some(FirstLine::Go);
    }
    if let Some(work) = line.strip_prefix("WORK ") {
        return serde_json::from_str(work).ok().map(FirstLine::Work);
    }
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(bytes) = line.strip_prefix("SIGN ").filter(|bytes| is_number(bytes)) {
        let bytes = bytes.parse().ok().filter(|bytes| (1..=MAX_SIGNED_BYTES).contains(bytes))?;
        return Some(FirstLine::Sign { bytes });
    }
    let (host, port) = line.strip_prefix("CONNECT ")?.rsplit_once(':')?;
    let port = port.parse().ok().filter(|number| is_number(port) && *number != 0)?;
    Some(FirstLine::Connect { host: plain_name(host)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_strict() {
        let connect = |host: &str, port| Some(FirstLine::Connect { host: host.to_owned(), port });
        assert_eq!(parse_first_line(b"GO"), Some(FirstLine::Go));
        assert_eq!(parse_first_line(b"GO\r"), Some(FirstLine::Go));
        assert_eq!(parse_first_line(b"CONNECT Example.ORG.:443"), connect("example.org", 443));
        assert_eq!(parse_first_line(b"CONNECT a_b.x-y:1\r"), connect("a_b.x-y", 1));
        assert_eq!(parse_first_line(b"SIGN 1048576"), Some(FirstLine::Sign { bytes: 1 << 20 }));
        for bad in [
            "",
            "SIGN",
            "SIGN ",
            "SIGN 0",
            "SIGN +1",
            "SIGN 1048577",
            "SIGN 1 ",
            "go",
            "GO ",
            "CONNECT",
            "CONNECT ",
            "CONNECT a",
            "CONNECT a:",
            "CONNECT a:0",
            "CONNECT a:+1",
            "CONNECT a:65536",
            "CONNECT :1",
            "CONNECT a..b:1",
            "CONNECT a b:1",
            "CONNECT 127.0.0.1:1",
            "CONNECT [::1]:1",
            "CONNECT a:1 HTTP/1.1",
            "CONNECT \u{e9}.org:1",
            "CONNECT 2130706433:80",
            "GET / HTTP/1.1",
        ] {
            assert_eq!(parse_first_line(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_first_line(&[0xff, 0xfe]), None);
    }
}
