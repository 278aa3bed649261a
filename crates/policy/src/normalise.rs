//! The path of a request, read the way servers read it. Ambiguity is never resolved in the agent's favour.
//!
//! What no honest client sends (dot segments, backslashes, control characters, overlong UTF-8) is an error. What servers
//! read differently (`%2f`, `//`, `;…`, trailing dots, look-alikes, a second decoding) gives several readings.

use super::lookalike::to_ascii;

/// A path in every way a server may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathReadings {
    /// Never empty. The first is the plain one: needless percent-encodings are decoded, the others in upper case.
    all: Vec<String>,
}

impl PathReadings {
    /// The path as written, with needless percent-encodings decoded.
    pub fn plain(&self) -> &str {
        &self.all[0]
    }

    /// Every reading, the plain one first.
    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// The one reading of `OPTIONS *`, which asks the server as a whole.
    pub(super) fn whole_server() -> PathReadings {
        PathReadings { all: vec!["/".to_owned()] }
    }
}

/// A longer path is an error; no honest one comes near.
const MAX_PATH_BYTES: usize = 8 * 1024;
/// A path with more readings is an error; an honest one has one, seldom four.
const MAX_READINGS: usize = 64;

/// What some servers do to a path and others do not. It answers with the same path where it has nothing to do.
type Rewrite = fn(&str) -> Result<String, &'static str>;

/// Servers apply these in any order, so all orders are tried.
const REWRITES: [Rewrite; 8] = [
    decode_slashes,
    strip_parameters,
    merge_slashes,
    trim_segments,
    decode_twice,
    replace_lookalikes,
    drop_invisible,
    cut_at_query,
];

/// Reads a path, as it stands in the request line, without the query.
///
/// # Errors
/// What is wrong with it, as a sentence for the agent.
pub fn normalise(path: &str) -> Result<PathReadings, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not start with `/`");
    }
    if path.len() > MAX_PATH_BYTES {
        return Err("the path is too long");
    }
    if is_plain(path) {
        return Ok(PathReadings { all: vec![path.to_owned()] });
    }
    all_readings(decode(path)?)
}

/// Whether every server reads the path as it is. Most paths are so.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/.".contains(&byte);
    path.bytes().all(plain) && !["//", "/.", "./"].iter().any(|odd| path.contains(odd)) && !path.ends_with('.')
}

/// Everything that any sequence of rewrites makes of a path.
pub(super) fn all_readings(plain: String) -> Result<PathReadings, &'static str> {
    let mut all = vec![plain];
    let mut at = 0;
    while at < all.len() {
        // Some servers take what follows for the name of another host.
        if all[at].starts_with("//") {
            return Err("the path starts with `//`");
        }
        if all[at].split('/').any(is_dot_segment) {
            return Err("the path has dot segments");
        }
        for rewrite in REWRITES {
            let reading = rewrite(&all[at])?;
            if !all.contains(&reading) {
                all.push(reading);
            }
        }
        if all.len() > MAX_READINGS {
            return Err("the path can be read in too many ways");
        }
        at += 1;
    }
    Ok(PathReadings { all })
}

/// `.` and `..`, also with the encoded spaces around dots that Windows ignores.
fn is_dot_segment(segment: &str) -> bool {
    if !segment.contains('.') {
        return false;
    }
    let bare = segment.replace("%20", "");
    bare == "." || bare == ".." || (bare.len() < segment.len() && !bare.is_empty() && bare.bytes().all(|b| b == b'.'))
}

/// Takes an encoded slash for a slash, as Apache with `AllowEncodedSlashes On` and every server that decodes first.
fn decode_slashes(path: &str) -> Result<String, &'static str> {
    Ok(path.replace("%2F", "/"))
}

/// Ends each segment at `;`, as Tomcat, Jetty and Spring.
fn strip_parameters(path: &str) -> Result<String, &'static str> {
    if !path.contains(';') && !path.contains("%3B") {
        return Ok(path.to_owned());
    }
    let before = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    Ok(path.replace("%3B", ";").split('/').map(before).collect::<Vec<_>>().join("/"))
}

/// Drops empty segments, as nginx with `merge_slashes`, Go, and every file system.
fn merge_slashes(path: &str) -> Result<String, &'static str> {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Ok(path)
}

/// Drops a segment's trailing dots and spaces, as Windows.
fn trim_segments(path: &str) -> Result<String, &'static str> {
    fn trim(mut segment: &str) -> &str {
        while let Some(less) = segment.strip_suffix('.').or_else(|| segment.strip_suffix("%20")) {
            segment = less;
        }
        segment
    }
    Ok(path.split('/').map(trim).collect::<Vec<_>>().join("/"))
}

/// Decodes a second time, as behind a proxy that decodes; Jenkins wants its `%252F` so.
fn decode_twice(path: &str) -> Result<String, &'static str> {
    let mut inner = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("%25") {
        inner.push_str(before);
        inner.push_str(if after.as_bytes().get(..2).and_then(hex_byte).is_some() { "%" } else { "%25" });
        rest = after;
    }
    inner.push_str(rest);
    if inner.len() == path.len() { Ok(inner) } else { decode(&inner) }
}

/// Takes look-alikes of ASCII for ASCII, as a server that normalises what it reads.
fn replace_lookalikes(path: &str) -> Result<String, &'static str> {
    replace(path, |c| to_ascii(c).filter(|ascii| !ascii.is_empty()))
}

/// Drops invisible characters, as a server that compares as Unicode says.
fn drop_invisible(path: &str) -> Result<String, &'static str> {
    replace(path, |c| to_ascii(c).filter(String::is_empty))
}

/// Does the path have a character beyond ASCII?
pub(super) fn is_beyond_ascii(path: &str) -> bool {
    path.match_indices('%').any(|(at, _)| matches!(path.as_bytes().get(at + 1), Some(b'8'..=b'9' | b'A'..=b'F')))
}

/// `ascii`: what a character becomes; `None`: it stays.
fn replace(path: &str, ascii: fn(char) -> Option<String>) -> Result<String, &'static str> {
    if !is_beyond_ascii(path) {
        return Ok(path.to_owned());
    }
    let bytes = unescape(path);
    // `decode` has left UTF-8 alone; a single encoded byte that is not of UTF-8 is an error here.
    let text = String::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
    let mut changed = String::with_capacity(path.len());
    let mut rest = path;
    for c in text.chars() {
        let (raw, after) = rest.split_at(if rest.starts_with('%') { 3 * c.len_utf8() } else { c.len_utf8() });
        rest = after;
        match ascii(c) {
            Some(ascii) => {
                changed.push_str(&ascii.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20"))
            }
            None => changed.push_str(raw),
        }
    }
    if changed.contains('\\') { Err("the path has a backslash") } else { Ok(changed) }
}

/// Ends the path at an encoded `?` or `#`, as a proxy that decodes before it rewrites (CVE-2024-38474).
fn cut_at_query(path: &str) -> Result<String, &'static str> {
    let end = path.find("%3F").into_iter().chain(path.find("%23")).min();
    Ok(path[..end.unwrap_or(path.len())].to_owned())
}

const NOT_UTF8: &str = "the path is not UTF-8";

/// Decodes what needs no encoding, so that `%61` and `a` are the same; everything else is encoded, in upper case.
///
/// # Errors
/// What no honest client sends, as a sentence for the agent.
pub(super) fn decode(path: &str) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    let mut high = false;
    while at < bytes.len() {
        let encoded = bytes[at] == b'%';
        let byte = match bytes[at] {
            b'%' => bytes.get(at + 1..at + 3).and_then(hex_byte).ok_or("the path has a broken percent-encoding")?,
            byte => byte,
        };
        at += if encoded { 3 } else { 1 };
        match byte {
            b'\\' => return Err("the path has a backslash"),
            0..=0x1f | 0x7f => return Err("the path has a control character"),
            b' ' if !encoded => return Err("the path has a space"),
            b'#' | b'?' if !encoded => return Err("the path has a query in it"),
            b'<' | b'>' | b'`' if !encoded => return Err("the path has a character that must be percent-encoded"),
            b'/' | b';' if !encoded => text.push(char::from(byte)),
            b' ' | b'/' | b'?' | b'#' | b'%' | b';' | 0x80.. => {
                high |= byte >= 0x80;
                text.push('%');
                text.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
                text.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
            }
            _ => text.push(char::from(byte)),
        }
    }
    // Overlong forms of `.` and `/` above all: each server makes something else of them.
    if high && String::from_utf8(unescape(&text)).is_err() { Err(NOT_UTF8) } else { Ok(text) }
}

/// Decodes every percent-encoding that is one; the others stay as they are.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1..at + 3).and_then(hex_byte)) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    plain
}

/// The byte that two hexadecimal digits stand for.
pub(super) fn hex_byte(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        normalise(path).unwrap().all
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        const SIGNS: &[u8] = b"aZ0/.-_~;%";
        let mut plain = 0;
        for number in 0..SIGNS.len().pow(6) {
            let sign = |at: u32| char::from(SIGNS[number / SIGNS.len().pow(at) % SIGNS.len()]);
            let path: String = std::iter::once('/').chain((0..6).map(sign)).collect();
            if is_plain(&path) {
                plain += 1;
                assert_eq!(all_readings(decode(&path).unwrap()).unwrap().all, [path.as_str()], "{path}");
            }
        }
        assert!(plain > 100_000);
    }

    #[test]
    fn honest_paths_have_one_reading() {
        for (path, plain) in [
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/github.com/!burnt!sushi/toml/@v/v1.0.0.mod", "/github.com/!burnt!sushi/toml/@v/v1.0.0.mod"),
            ("/simple/pip-tools/", "/simple/pip-tools/"),
            ("/bucket/a+b~c:d,e=f&g(h)'i$j*k", "/bucket/a+b~c:d,e=f&g(h)'i$j*k"),
            ("/%E4%B8%AD%E6%96%87.md", "/%E4%B8%AD%E6%96%87.md"),
            ("/%F0%9F%98%80", "/%F0%9F%98%80"),
            ("/compare/main...topic", "/compare/main...topic"),
            ("/", "/"),
            ("/repos/team/app", "/repos/team/app"),
            ("/a/%62%2D%5f", "/a/b-_"),
            ("/%40types/node", "/@types/node"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/100%25", "/100%25"),
            ("/a/b/", "/a/b/"),
            ("/a...b/.git/..c", "/a...b/.git/..c"),
        ] {
            assert_eq!(readings(path), [plain], "{path}");
        }
    }

    #[test]
    fn what_servers_read_differently_has_several() {
        assert_eq!(readings("/@types%2fnode"), ["/@types%2Fnode", "/@types/node"]);
        assert_eq!(readings("/a//b"), ["/a//b", "/a/b"]);
        assert_eq!(readings("/a;x=1/b"), ["/a;x=1/b", "/a/b"]);
        assert_eq!(readings("/a%3bx/b"), ["/a%3Bx/b", "/a/b"]);
        for (path, reading) in [
            ("/a;x%2fb", "/a"),
            ("/a;x%2fb", "/a/b"),
            ("/git/refs/heads%2Ftopic", "/git/refs/heads/topic"),
            ("/org/x/1.0;build=7/x.jar", "/org/x/1.0/x.jar"),
            ("/job/a%252Fb/", "/job/a%2Fb/"),
            ("/job/a%252Fb/", "/job/a/b/"),
            ("/wiki/Apple_Inc.", "/wiki/Apple_Inc"),
            ("/a%20/b", "/a/b"),
            ("/a.%20./b", "/a/b"),
            ("/secret.;x//%EF%BD%81", "/secret/a"),
            ("/a%ef%bc%8fb", "/a/b"),
            ("/%EF%BD%81%EF%BD%84min", "/admin"),
            ("/\u{ff41}dmin", "/admin"),
            ("/a%EF%BC%852Fb", "/a/b"),
            ("/wiki/C%23", "/wiki/C"),
            ("/secret%3f.css", "/secret"),
            ("/...", "/"),
            ("/%E2%80%A6", "/..."),
            ("/s%E1%B5%89cret", "/secret"),
            ("/%C5%BFecret", "/secret"),
            ("/se%C2%ADcret", "/secret"),
            ("/se%E2%80%8Bcret%EF%B8%8F", "/secret"),
            ("/s%E1%B5%89%E2%80%8Bcret", "/secret"),
            ("/se%D8%9Ccret", "/secret"),
            ("/%E2%85%A7", "/VIII"),
        ] {
            assert!(readings(path).contains(&reading.to_owned()), "{path}: {:?}", readings(path));
        }
    }

    #[test]
    fn tricks_are_refused() {
        for path in [
            "",
            "a",
            "*",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/a/.%2E/b",
            "/a/%2e",
            "/..;/b",
            "/..;x=1/b",
            "/..%3b/b",
            "/a%2f..%2fb",
            "/a/..%2fb",
            "/a\\b",
            "/a%5cb",
            "/a%00b",
            "/a%0d%0ab",
            "/a%7f",
            "/%",
            "/%2",
            "/%zz",
            "/%252e%252e/b",
            "/%25%32%66",
            "/%2fevil.example.org/x",
            "/;/evil.example.org/x",
            "//evil.example.org/x",
            "/%2f..",
            "/c%c0%ae",
            "/%c0%ae%c0%ae/b",
            "/a%c0%afb",
            "/%e0%80%ae/b",
            "/%f0%80%80%af",
            "/%ed%a0%80",
            "/caf%e9",
            "/%ff",
            "/%u002e%u002e/b",
            "/%ef%bc%8e%ef%bc%8e/b",
            "/%E2%80%A5/b",
            "/.%EF%BC%8E/b",
            "/%E2%80%A4./b",
            "/a%ef%bc%bcb",
            "/a%ef%bc%8f..%ef%bc%8fb",
            "/%EF%BC%852e%EF%BC%852e/b",
            "/..%20/b",
            "/.%20./b",
            "/.%20/b",
            "/..%EF%BC%9Bx/b",
            "/%25252e%25252e/b",
            "/%255c",
            "/%2500",
            "/a%250ab",
            "/..%3fx",
            "/%E3%80%80..%E3%80%80/b",
            "/.%E2%80%8B./b",
            "/%E2%80%A4%C2%AD./b",
            "/%EF%BB%BF../b",
            "/a\tb",
            "/a b",
            "/a#b",
            "/<a>",
            "/`",
            "/a?b",
        ] {
            assert!(normalise(path).is_err(), "{path} passed: {:?}", normalise(path));
        }
        assert!(normalise(&format!("/{}", "a".repeat(MAX_PATH_BYTES))).is_err());
    }
}
