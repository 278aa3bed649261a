//! Patterns of hosts and paths, and `connect_to`: parsed once, matched often.

use super::host::ends_in_a_number;
use super::normalise::{all_readings, decode, is_beyond_ascii};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A host of the allowlist: exact, or `*.x` for names at any depth below `x`, but not `x` itself. Lower case, no trailing
/// dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPattern(String);

/// A pattern for normalised paths: `*` is one segment, a final `**` is the rest, also an empty one. A pattern that servers
/// read differently stands for every reading: `/group%2Fapp` is `/group/app`, too, and `/v1;x` is `/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern {
    text: String,
    /// Every reading of the text.
    readings: Vec<String>,
}

/// Host or address, and port, that the gate dials in place of the route's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectTo {
    pub host: String,
    pub port: u16,
    /// Written `http://host:port`: the gate's connection to the upstream goes without TLS.
    pub plain: bool,
}

impl HostPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// `host`: lower case, no trailing dot.
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(tail) => host.len() > tail.len() && host.ends_with(tail),
            None => host == self.0,
        }
    }

    /// The part of `host` that the wildcard stands for; `None`: the pattern has none, or does not match.
    pub fn wildcard_part<'a>(&self, host: &'a str) -> Option<&'a str> {
        host.strip_suffix(self.0.strip_prefix('*')?).filter(|labels| !labels.is_empty())
    }

    /// Whether there is a host that both match.
    pub fn overlaps(&self, other: &HostPattern) -> bool {
        match (self.0.strip_prefix('*'), other.0.strip_prefix('*')) {
            (Some(a), Some(b)) => a.ends_with(b) || b.ends_with(a),
            (Some(_), None) => self.matches(&other.0),
            _ => other.matches(&self.0),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let host = text.to_ascii_lowercase();
        let name = host.strip_prefix("*.").unwrap_or(&host);
        check_name(name).map_err(|why| format!("bad host `{text}`: {why}"))?;
        if host.starts_with("*.") && !name.contains('.') {
            return Err(format!("bad host `{text}`: a wildcard needs at least two labels behind it"));
        }
        Ok(HostPattern(host))
    }
}

/// Whether a route may name this host; the error says why not.
fn check_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("empty");
    }
    if name.contains("://") || name.contains('/') || name.contains(':') {
        return Err("a host name alone is wanted here; scheme, port and path are keys of their own");
    }
    if name.contains('*') {
        return Err("`*` may stand only as a whole first label, as in `*.example.org`");
    }
    if !name.is_ascii() {
        return Err("write an international name in its ASCII form (xn--…)");
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("not a host name");
    }
    if ends_in_a_number(name) {
        return Err("an address; a route names a host (use `connect_to` for the address)");
    }
    Ok(())
}

impl PathPattern {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `path`: normalised, begins with `/`, without the query.
    pub fn matches(&self, path: &str) -> bool {
        self.readings.iter().any(|wanted| covers(wanted, path, str::eq))
    }

    /// Whether there is a path that both match.
    pub fn overlaps(&self, other: &PathPattern) -> bool {
        let (mut mine, mut theirs) = (self.as_str().split('/').skip(1), other.as_str().split('/').skip(1));
        loop {
            match (mine.next(), theirs.next()) {
                (Some("**"), _) | (_, Some("**")) | (None, None) => return true,
                (Some("*"), Some(segment)) | (Some(segment), Some("*")) if !segment.is_empty() => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Whether every path that `other` matches is matched by this as well.
    pub fn includes(&self, other: &PathPattern) -> bool {
        let (mut mine, mut theirs) = (self.as_str().split('/').skip(1), other.as_str().split('/').skip(1));
        loop {
            match (mine.next(), theirs.next()) {
                (Some("**"), _) | (None, None) => return true,
                (_, Some("**")) => return false,
                (Some("*"), Some(segment)) if !segment.is_empty() => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// Every reading of the text, as patterns of their own.
    pub(super) fn readings(&self) -> &[String] {
        &self.readings
    }

    /// For a route that denies: as a server matches that ignores case and slashes at both ends, and also what is beneath
    /// a path, which some servers hand to the file or program of that path (`PATH_INFO`). A part of it with a letter beyond
    /// ASCII is taken for any such part: there are many ways to write one letter. `path`: as for
    /// [`PathPattern::matches`].
    pub fn matches_loosely(&self, path: &str) -> bool {
        let bare = |path: &str| format!("/{}", path.trim_matches('/'));
        let path = bare(path);
        let above = path.match_indices('/').skip(1).map(|(at, _)| &path[..at]).chain([path.as_str()]);
        self.readings.iter().any(|wanted| {
            let wanted = bare(wanted);
            above.clone().any(|path| covers(&wanted, path, may_be_same))
        })
    }
}

fn may_be_same(wanted: &str, given: &str) -> bool {
    wanted.eq_ignore_ascii_case(given) || (is_beyond_ascii(wanted) && is_beyond_ascii(given))
}

/// `same`: whether two segments are the same.
fn covers(wanted: &str, path: &str, same: fn(&str, &str) -> bool) -> bool {
    let mut wanted = wanted.split('/').skip(1);
    let mut given = path.split('/').skip(1);
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), _) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(a), Some(b)) if same(a, b) || covers_parts(a, b, same) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// For a segment with encoded slashes, between which `*` is one part.
fn covers_parts(wanted: &str, given: &str, same: fn(&str, &str) -> bool) -> bool {
    let (mut wanted, mut given) = (wanted.split("%2F"), given.split("%2F"));
    loop {
        match (wanted.next(), given.next()) {
            (Some("*"), Some(part)) if !part.is_empty() => {}
            (Some(a), Some(b)) if same(a, b) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

impl TryFrom<String> for PathPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("bad path `{text}`: {why}"));
        let segments = || text.split('/').flat_map(encoded_parts);
        let why = if !text.starts_with('/') {
            "must start with `/`"
        } else if text.contains(['?', '#']) {
            "a path has no query"
        } else if text.bytes().any(|b| b <= b' ' || b == b'\\' || b > 0x7e) {
            "a path pattern is printable ASCII without `\\`, other characters percent-encoded"
        } else if text.contains("//") || text.split('/').any(|s| s == "." || s == "..") {
            "patterns are matched on the normalised path, which has no `//`, `.` or `..`"
        } else if text.split('/').rev().skip(1).any(|s| s == "**") {
            "`**` may stand only at the end"
        } else if text.to_ascii_lowercase().contains("%2a")
            || segments().any(|s| s.contains('*') && s != "*" && s != "**")
            || text.split('/').any(|s| s.len() > 2 && encoded_parts(s).any(|part| part == "**"))
        {
            "`*` and `**` stand for whole segments"
        } else {
            let stars = |text: &str| text.bytes().filter(|byte| *byte == b'*').count();
            match decode(&text).and_then(all_readings) {
                Ok(readings) if readings.all().iter().any(|reading| stars(reading) > stars(&text)) => {
                    return bad("to some servers it has a `*`, which would stand for any segment");
                }
                Ok(readings) => return Ok(PathPattern { readings: readings.all().to_vec(), text }),
                Err(why) => return bad(why),
            }
        };
        bad(why)
    }
}

/// The parts of a segment between its encoded slashes.
fn encoded_parts(segment: &str) -> impl Iterator<Item = &str> {
    segment.split("%2F").flat_map(|part| part.split("%2f"))
}

impl TryFrom<String> for ConnectTo {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("bad connect_to `{text}`: wanted `host:port` or `http://host:port`");
        let (plain, rest) = match text.strip_prefix("http://") {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (host, port) = rest.rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(bad()),
            None if host.parse::<std::net::Ipv4Addr>().is_ok() || check_name(host).is_ok() => host,
            None => return Err(bad()),
        };
        if port == 0 {
            return Err(bad());
        }
        Ok(ConnectTo { host: host.to_ascii_lowercase(), port, plain })
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "http://" } else { "" };
        if self.host.contains(':') {
            write!(f, "{scheme}[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}{}:{}", self.host, self.port)
        }
    }
}

impl From<ConnectTo> for String {
    fn from(to: ConnectTo) -> String {
        to.to_string()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> String {
        pattern.0
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> String {
        pattern.text
    }
}
