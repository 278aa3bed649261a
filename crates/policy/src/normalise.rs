//! A request target, read the way servers read it. Ambiguity is refused, never resolved in the agent's favour.
//!
//! What no honest client sends (dot segments, backslashes, control characters, overlong UTF-8) is refused outright. What
//! servers read differently (`%2f`, `//`, `;…`, trailing dots, look-alikes, a second decoding) gives several readings.

use super::lookalike;

/// A path in every way a server may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// Never empty. The first is the plain one: unneeded percent-encodings decoded, the rest in upper case.
    all: Vec<String>,
}

impl Readings {
    pub fn plain(&self) -> &str {
        &self.all[0]
    }

    pub fn all(&self) -> &[String] {
        &self.all
    }

    /// `OPTIONS *`: the server as a whole.
    pub(super) fn server() -> Readings {
        Readings { all: vec!["/".to_owned()] }
    }
}

/// Longer paths are refused: no honest one comes near.
const LONGEST: usize = 8 * 1024;
/// More readings are refused: an honest path has one, seldom four.
const MOST: usize = 64;

/// A step that some servers take and others do not; the path as it is where there is nothing to do.
type Step = fn(&str) -> Result<String, &'static str>;

/// In no order: servers take them in any, so all orders are tried.
const STEPS: [Step; 7] = [slashes, parameters, merged, trimmed, again, alike, cut];

/// `path`: as it stands in the request line, without the query. The error says what is wrong with it.
pub fn normalise(path: &str) -> Result<Readings, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not start with `/`");
    }
    if path.len() > LONGEST {
        return Err("the path is too long");
    }
    if is_plain(path) {
        return Ok(Readings { all: vec![path.to_owned()] });
    }
    readings(decode(path)?)
}

/// Most paths: every server reads them as they are.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~/.".contains(&byte);
    path.bytes().all(plain) && !["//", "/.", "./"].iter().any(|odd| path.contains(odd)) && !path.ends_with('.')
}

/// All that any sequence of steps makes of it.
pub(super) fn readings(plain: String) -> Result<Readings, &'static str> {
    let mut all = vec![plain];
    let mut at = 0;
    while at < all.len() {
        // Some take what follows for the name of another host.
        if all[at].starts_with("//") {
            return Err("the path starts with `//`");
        }
        if all[at].split('/').any(climbs) {
            return Err("the path has dot segments");
        }
        for step in STEPS {
            let reading = step(&all[at])?;
            if !all.contains(&reading) {
                all.push(reading);
            }
        }
        if all.len() > MOST {
            return Err("the path can be read in too many ways");
        }
        at += 1;
    }
    Ok(Readings { all })
}

/// Windows forgets spaces around dots.
fn climbs(segment: &str) -> bool {
    if !segment.contains('.') {
        return false;
    }
    let bare = segment.replace("%20", "");
    bare == "." || bare == ".." || (bare.len() < segment.len() && !bare.is_empty() && bare.bytes().all(|b| b == b'.'))
}

/// An encoded slash is a slash (Apache with `AllowEncodedSlashes On`, every server that decodes first).
fn slashes(path: &str) -> Result<String, &'static str> {
    Ok(path.replace("%2F", "/"))
}

/// A segment ends at `;` (Tomcat, Jetty, Spring).
fn parameters(path: &str) -> Result<String, &'static str> {
    if !path.contains(';') && !path.contains("%3B") {
        return Ok(path.to_owned());
    }
    let before = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    Ok(path.replace("%3B", ";").split('/').map(before).collect::<Vec<_>>().join("/"))
}

/// Empty segments do not count (nginx's `merge_slashes`, Go, every file system).
fn merged(path: &str) -> Result<String, &'static str> {
    let mut path = path.to_owned();
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    Ok(path)
}

/// A segment's trailing dots and spaces do not count (Windows).
fn trimmed(path: &str) -> Result<String, &'static str> {
    fn trim(mut segment: &str) -> &str {
        while let Some(less) = segment.strip_suffix('.').or_else(|| segment.strip_suffix("%20")) {
            segment = less;
        }
        segment
    }
    Ok(path.split('/').map(trim).collect::<Vec<_>>().join("/"))
}

/// Decoded a second time (a proxy before the server; Jenkins wants `%252F` so).
fn again(path: &str) -> Result<String, &'static str> {
    let mut inner = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("%25") {
        inner.push_str(before);
        inner.push_str(if after.as_bytes().get(..2).and_then(hex).is_some() { "%" } else { "%25" });
        rest = after;
    }
    inner.push_str(rest);
    if inner.len() == path.len() { Ok(inner) } else { decode(&inner) }
}

/// Look-alikes of ASCII are ASCII.
fn alike(path: &str) -> Result<String, &'static str> {
    if !path.contains("%C") && !path.contains("%E") && !path.contains("%F") {
        return Ok(path.to_owned());
    }
    let bytes = unescape(path);
    // What decode let stand is UTF-8, and its encodings are of single bytes that are none of UTF-8's.
    let text = String::from_utf8(bytes).map_err(|_| NOT_UTF8)?;
    let mut changed = String::with_capacity(path.len());
    let mut rest = path;
    for c in text.chars() {
        let (raw, after) = rest.split_at(if rest.starts_with('%') { 3 * c.len_utf8() } else { c.len_utf8() });
        rest = after;
        match lookalike::ascii(c) {
            Some(ascii) => {
                changed.push_str(&ascii.replace('%', "%25").replace('?', "%3F").replace('#', "%23").replace(' ', "%20"))
            }
            None => changed.push_str(raw),
        }
    }
    if changed.contains('\\') { Err("the path has a backslash") } else { Ok(changed) }
}

/// An encoded `?` or `#` ends the path (a proxy that decodes before it rewrites: CVE-2024-38474).
fn cut(path: &str) -> Result<String, &'static str> {
    let end = path.find("%3F").into_iter().chain(path.find("%23")).min();
    Ok(path[..end.unwrap_or(path.len())].to_owned())
}

const NOT_UTF8: &str = "the path is not UTF-8";

/// Decodes what needs no encoding, so that `%61` and `a` are one; the rest is encoded, in upper case.
pub(super) fn decode(path: &str) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    let mut high = false;
    while at < bytes.len() {
        let encoded = bytes[at] == b'%';
        let byte = match bytes[at] {
            b'%' => bytes.get(at + 1..at + 3).and_then(hex).ok_or("the path has a broken percent-encoding")?,
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
    // Overlong forms of `.` and `/` above all: every server makes something else of them.
    if high && String::from_utf8(unescape(&text)).is_err() { Err(NOT_UTF8) } else { Ok(text) }
}

/// Every percent-encoding decoded, as far as it can be.
pub(super) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1..at + 3).and_then(hex)) {
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

pub(super) fn hex(pair: &[u8]) -> Option<u8> {
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
                assert_eq!(super::readings(decode(&path).unwrap()).unwrap().all, [path.as_str()], "{path}");
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
            "/a\tb",
            "/a b",
            "/a#b",
            "/<a>",
            "/`",
            "/a?b",
        ] {
            assert!(normalise(path).is_err(), "{path} passed: {:?}", normalise(path));
        }
        assert!(normalise(&format!("/{}", "a".repeat(LONGEST))).is_err());
    }
}
