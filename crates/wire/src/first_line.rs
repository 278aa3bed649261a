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
    /// The agent's init tells what work is in the bottle.
    Work(Work),
}

/// Reads a line without its line feed. `None`: it is malformed.
pub fn parse_first_line(line: &[u8]) -> Option<FirstLine> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()?;
    if line == "GO" {
        return Some(FirstLine::Go);
    }
    if let Some(work) = line.strip_prefix("WORK ") {
        return serde_json::from_str(work).ok().map(FirstLine::Work);
    }
    let (host, port) = line.strip_prefix("CONNECT ")?.rsplit_once(':')?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port != 0)?;
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
        for bad in [
            "",
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
