//! A request target, read the way servers read it. Ambiguity is refused, never resolved in the agent's favour.
//!
//! What no honest client sends (dot segments, backslashes, double encodings, control characters) is refused outright.
//! What servers read differently (`%2f`, `//`, `;…`) gives several readings: a path passes only where all of them do.

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
}

/// Longer paths are refused: no honest one comes near.
const LONGEST: usize = 8 * 1024;

/// `path`: as it stands in the request line, without the query. The error says what is wrong with it.
pub fn normalise(path: &str) -> Result<Readings, &'static str> {
    if !path.starts_with('/') {
        return Err("the path does not start with `/`");
    }
    if path.len() > LONGEST {
        return Err("the path is too long");
    }
    let plain = decode(path)?;
    let twice = |rest: &str| rest.as_bytes().get(..2).and_then(hex).is_some();
    if plain.match_indices("%25").any(|(at, _)| twice(&plain[at + 3..])) {
        return Err("the path is percent-encoded twice");
    }
    if plain.starts_with("//") {
        return Err("the path starts with `//`");
    }
    // One yes or no per thing servers disagree about: is an encoded slash a slash, do empty segments count, and does
    // a segment end at `;`?
    let mut all = vec![plain.clone()];
    for choice in 1..8u8 {
        let mut reading = plain.clone();
        if choice & 1 != 0 {
            reading = reading.replace("%2F", "/");
        }
        if choice & 2 != 0 {
            reading = reading.replace("%3B", ";").split('/').map(before_semicolon).collect::<Vec<_>>().join("/");
        }
        if choice & 4 != 0 {
            while reading.contains("//") {
                reading = reading.replace("//", "/");
            }
        }
        if !all.contains(&reading) {
            all.push(reading);
        }
    }
    if all.iter().any(|reading| reading.split('/').any(|segment| segment == "." || segment == "..")) {
        return Err("the path has dot segments");
    }
    Ok(Readings { all })
}

fn before_semicolon(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// Decodes what needs no encoding, so that `%61` and `a` are one; the rest stays encoded, in upper case.
fn decode(path: &str) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        match byte {
            b'%' => {
                let byte = bytes.get(at + 1..at + 3).and_then(hex).ok_or("the path has a broken percent-encoding")?;
                match byte {
                    b'\\' => return Err("the path has a backslash"),
                    0..=0x1f | 0x7f => return Err("the path has a control character"),
                    b' ' | b'/' | b'?' | b'#' | b'%' | b';' | 0x80.. => {
                        text.push('%');
                        text.push(char::from(b"0123456789ABCDEF"[usize::from(byte >> 4)]));
                        text.push(char::from(b"0123456789ABCDEF"[usize::from(byte & 15)]));
                    }
                    _ => text.push(char::from(byte)),
                }
                at += 3;
                continue;
            }
            b'\\' => return Err("the path has a backslash"),
            b'#' | b'?' => return Err("the path has a query in it"),
            0..=b' ' | 0x7f => return Err("the path has a control character"),
            0x80.. => return Err("the path is not ASCII"),
            _ => text.push(char::from(byte)),
        }
        at += 1;
    }
    Ok(text)
}

fn hex(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?).ok()
}

/// The values of a query's parameter, percent-decoded as far as they can be.
pub(super) fn parameter<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split(['&', ';']).filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = loose(key);
        // A server in C reads a name to its first NUL.
        let key = key.split('\0').next().unwrap_or_default();
        key.eq_ignore_ascii_case(name).then(|| loose(value))
    })
}

fn loose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1..at + 3).and_then(hex)) {
            (b'%', Some(byte)) => {
                plain.push(char::from(byte));
                at += 3;
            }
            (byte, _) => {
                plain.push(char::from(byte));
                at += 1;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        normalise(path).unwrap().all
    }

    #[test]
    fn honest_paths_have_one_reading() {
        for (path, plain) in [
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
        assert!(readings("/a;x%2fb").contains(&"/a".to_owned()) || readings("/a;x%2fb").contains(&"/a/b".to_owned()));
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
            "//evil.example.org/x",
            "/%2f..",
            "/a\tb",
            "/a b",
            "/caf\u{e9}",
            "/a#b",
            "/a?b",
        ] {
            assert!(normalise(path).is_err(), "{path} passed: {:?}", normalise(path));
        }
        assert!(normalise(&format!("/{}", "a".repeat(LONGEST))).is_err());
    }

    #[test]
    fn a_parameter_hides_behind_no_encoding() {
        let found = |query: &str| parameter(query, "service").collect::<Vec<_>>();
        assert_eq!(found("service=git-upload-pack"), ["git-upload-pack"]);
        assert_eq!(found("a=b&%73ervice=git%2Dreceive-pack&service="), ["git-receive-pack", ""]);
        assert_eq!(found("a;service=x&Service=y"), ["x", "y"]);
        assert_eq!(found("service%00x=git-receive-pack"), ["git-receive-pack"]);
        assert_eq!(found("a=service"), Vec::<String>::new());
    }
}
