//! The first line of a connection through the door, strictly read. No byte sequence is understood in two ways.

use policy::plain_name;
use wire::Work;

/// What a connection is.
#[derive(Debug, PartialEq, Eq)]
pub enum First {
    Go,
    Connect { host: String, port: u16 },
    Work(Work),
}

pub fn parse(line: &[u8]) -> Option<First> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).ok()?;
    if line == "GO" {
        return Some(First::Go);
    }
    if let Some(work) = line.strip_prefix("WORK ") {
        return serde_json::from_str(work).ok().map(First::Work);
    }
    let (host, port) = line.strip_prefix("CONNECT ")?.rsplit_once(':')?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(First::Connect { host: plain_name(host)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lines_are_strict() {
        let connect = |host: &str, port| Some(First::Connect { host: host.to_owned(), port });
        assert_eq!(parse(b"GO"), Some(First::Go));
        assert_eq!(parse(b"GO\r"), Some(First::Go));
        assert_eq!(parse(b"CONNECT Example.ORG.:443"), connect("example.org", 443));
        assert_eq!(parse(b"CONNECT a_b.x-y:1\r"), connect("a_b.x-y", 1));
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
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(&[0xff, 0xfe]), None);
    }
}
