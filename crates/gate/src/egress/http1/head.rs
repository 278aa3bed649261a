//! The head of an HTTP/1 request, read strictly: what two servers could read in two ways is rejected, not mended.
//!
//! Pure. What passes here is framed the same way by every reader: lines end in CRLF, one length or one chunked coding.

use crate::egress::limits::MAX_HEAD_BYTES;

/// Why a head or the framing of a body is rejected. The agent is told, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http1Fault {
    Malformed(&'static str),
    TooLarge,
}

impl Http1Fault {
    pub fn text(self) -> &'static str {
        match self {
            Http1Fault::Malformed(text) => text,
            Http1Fault::TooLarge => "the head of the request is larger than 64 KiB",
        }
    }
}

/// What follows a head, and how its end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    Length(u64),
    Chunked,
    /// The request asks for a WebSocket: it is the last one on its connection, whether that is granted or not.
    Upgrade,
}

/// Finds the end of a head while it arrives.
#[derive(Debug, Default)]
pub struct HeadScanner {
    seen: usize,
    last: u8,
    line: usize,
    lines: usize,
}

impl HeadScanner {
    /// Whether no byte of the next head has come yet.
    pub fn is_fresh(&self) -> bool {
        self.seen == 0
    }

    /// Returns the length of the head once it is whole. `head`: all bytes of it so far; those seen before are not read
    /// again.
    ///
    /// Fails at the first wrong byte: a client that speaks another protocol, and waits for an answer, gets one.
    pub fn find(&mut self, head: &[u8]) -> Result<Option<usize>, Http1Fault> {
        while let Some(&byte) = head.get(self.seen) {
            self.seen += 1;
            match byte {
                b'\n' if self.last != b'\r' => {
                    return Err(Http1Fault::Malformed("a line ends without a carriage return"));
                }
                b'\n' if self.line == 1 && self.lines > 0 => return Ok(Some(self.seen)),
                b'\n' => {
                    if self.lines == 0 {
                        request_line(&head[..self.seen - 2])?;
                    }
                    self.lines += 1;
                    self.line = 0;
                }
                _ if self.last == b'\r' => return Err(Http1Fault::Malformed("a carriage return stands alone")),
                b'\t' | b'\r' => self.line += 1,
                0..0x20 | 0x7f => return Err(Http1Fault::Malformed("a control byte stands in the head")),
                _ => self.line += 1,
            }
            self.last = byte;
            if self.seen >= MAX_HEAD_BYTES {
                return Err(Http1Fault::TooLarge);
            }
        }
        Ok(None)
    }
}

/// What follows this head. `head`: whole, as [`HeadScanner`] found it.
pub fn parse_head(head: &[u8]) -> Result<BodyFraming, Http1Fault> {
    let wrong = |text| Err(Http1Fault::Malformed(text));
    let mut lines = head.strip_suffix(b"\r\n\r\n").unwrap_or(head).split(|byte| *byte == b'\n');
    let old = request_line(trim(lines.next().unwrap_or_default()))?;
    let (mut length, mut chunked, mut upgrade) = (None, false, false);
    for line in lines {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return wrong("a header is folded");
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return wrong("a header has no colon") };
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return wrong("a header's name is malformed");
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            if length.is_some() {
                return wrong("the request has several content-length headers");
            }
            length = Some(number(value).ok_or(Http1Fault::Malformed("the content-length is not one number"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || old || !value.eq_ignore_ascii_case(b"chunked") {
                return wrong("the request has an unknown transfer coding");
            }
            chunked = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") && value.eq_ignore_ascii_case(b"websocket") {
            upgrade = true;
        }
    }
    match (length, chunked, upgrade) {
        (Some(_), true, _) => wrong("the request has a content-length beside a transfer coding"),
        (Some(1..), _, true) | (_, true, true) => wrong("a request for a WebSocket has a body"),
        (_, _, true) => Ok(BodyFraming::Upgrade),
        (_, true, _) => Ok(BodyFraming::Chunked),
        (length, ..) => Ok(BodyFraming::Length(length.unwrap_or(0))),
    }
}

/// Whether the request is HTTP/1.0.
fn request_line(line: &[u8]) -> Result<bool, Http1Fault> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version) = (parts.next(), parts.next(), parts.next());
    let whole = parts.next().is_none()
        && method.is_some_and(|method| !method.is_empty() && method.iter().copied().all(is_token))
        && target.is_some_and(|target| !target.is_empty() && !target.contains(&b'\t'));
    match version {
        Some(b"HTTP/1.1") if whole => Ok(false),
        Some(b"HTTP/1.0") if whole => Ok(true),
        Some(b"HTTP/2.0") if whole => Err(Http1Fault::Malformed("HTTP/2 is spoken only where TLS agreed on it")),
        _ => Err(Http1Fault::Malformed("this is not HTTP")),
    }
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = text {
        text = rest;
    }
    text
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if plain { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// A byte of a token (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<BodyFraming, Http1Fault> {
        let mut scanner = HeadScanner::default();
        let end = scanner.find(head.as_bytes())?.expect("a whole head");
        assert_eq!(end, head.len(), "{head:?}");
        parse_head(head.as_bytes())
    }

    #[test]
    fn one_length_one_coding() {
        let with = |headers: &str| read(&format!("POST /a?b HTTP/1.1\r\nHost: a\r\n{headers}\r\n"));
        assert_eq!(with(""), Ok(BodyFraming::Length(0)));
        assert_eq!(with("Content-Length: \t12 \r\n"), Ok(BodyFraming::Length(12)));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n"), Ok(BodyFraming::Chunked));
        assert_eq!(with("Upgrade: WebSocket\r\ncontent-length:0\r\n"), Ok(BodyFraming::Upgrade));
        assert_eq!(with("x: \u{e4}\r\n"), Ok(BodyFraming::Length(0)));
        for (headers, why) in [
            ("content-length: 1\r\ncontent-length: 1\r\n", "several"),
            ("content-length: 1, 1\r\n", "not one number"),
            ("content-length: +1\r\n", "not one number"),
            ("content-length: 0x1\r\n", "not one number"),
            ("content-length:\r\n", "not one number"),
            ("content-length: 1234567890123456789\r\n", "not one number"),
            ("content-length: 1\r\ntransfer-encoding: chunked\r\n", "beside"),
            ("transfer-encoding: chunked\r\ncontent-length: 0\r\n", "beside"),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "unknown transfer"),
            ("transfer-encoding: chunked, chunked\r\n", "unknown transfer"),
            ("transfer-encoding: identity\r\n", "unknown transfer"),
            ("transfer-encoding: \u{b}chunked\r\n", "control"),
            ("transfer-encoding\t: chunked\r\n", "name"),
            ("content-length : 1\r\n", "name"),
            ("x: 1\r\n content-length: 1\r\n", "folded"),
            ("x\r\n", "no colon"),
            (": x\r\n", "name"),
            ("x: \0\r\n", "control"),
            ("x: 1\ncontent-length: 1\r\n", "without a carriage return"),
            ("x: 1\rcontent-length: 1\r\n", "stands alone"),
            ("x: 1\r\r\n", "stands alone"),
            ("upgrade: websocket\r\ncontent-length: 1\r\n", "has a body"),
            ("upgrade: websocket\r\ntransfer-encoding: chunked\r\n", "has a body"),
        ] {
            let fault = with(headers).expect_err(headers);
            assert!(fault.text().contains(why), "{headers:?}: {fault:?}");
        }
        let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(read(old).unwrap_err().text().contains("unknown transfer"));
    }

    #[test]
    fn what_is_not_http_is_known_by_its_first_line() {
        for bad in [
            "SSH-2.0-x\r\n",
            "\r\n",
            "PING\r\n",
            "GET /\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1 \r\n",
            " GET / HTTP/1.1\r\n",
            "GET / http/1.1\r\n",
            "GET / HTTP/1.2\r\n",
            "G:T / HTTP/1.1\r\n",
            "PRI * HTTP/2.0\r\n",
            "\u{16}\u{3}",
        ] {
            assert!(HeadScanner::default().find(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let mut scanner = HeadScanner::default();
        let long = [b"GET / HTTP/1.1\r\nx: ".as_slice(), &[b'a'; MAX_HEAD_BYTES]].concat();
        assert_eq!(scanner.find(&long[..MAX_HEAD_BYTES - 1]), Ok(None));
        assert_eq!(scanner.find(&long), Err(Http1Fault::TooLarge));
    }
}
