//! Git over HTTP, as far as the policy has to know it: which requests are a fetch, and which a push, by the smart protocol
//! or by WebDAV into the files of a repository.

use super::normalise::{PathReadings, unescape};
use super::{Denial, Reason};

/// The query of the first request of a git fetch.
pub(super) const FETCH_QUERY: &str = "service=git-upload-pack";

/// The two requests of a git fetch over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GitRequest {
    /// `GET …/info/refs?service=git-upload-pack`
    Refs,
    /// `POST …/git-upload-pack`
    Pack,
}

impl GitRequest {
    /// The git request that these are, in some reading of the path. A GET of either service's own name is none but a page
    /// about it: git posts there.
    ///
    /// # Errors
    /// A denial where some reading is a push, or a service that is not known.
    pub fn detect(readings: &PathReadings, method: &str, query: Option<&str>) -> Result<Option<GitRequest>, Denial> {
        let push = || Denial::new(Reason::Git, "git push over https is never allowed");
        let posts = !matches!(method, "GET" | "HEAD");
        let mut found = None;
        for reading in readings.all() {
            let lower = reading.to_ascii_lowercase();
            if posts && lower.split('/').any(|segment| segment == "git-receive-pack") {
                return Err(push());
            }
            if writes_repository(method, reading) {
                return Err(push());
            }
            let path = lower.trim_end_matches('/');
            if posts && path.ends_with("/git-upload-pack") {
                found = Some(GitRequest::Pack);
            } else if path.ends_with("/info/refs") {
                for service in parameter(query.unwrap_or_default(), "service") {
                    match service.as_str() {
                        "git-upload-pack" => found = Some(GitRequest::Refs),
                        "git-receive-pack" => return Err(push()),
                        _ => return Err(Denial::new(Reason::Git, "this git service is not known")),
                    }
                }
            }
        }
        Ok(found)
    }

    /// The method that git uses for it.
    pub fn method(self) -> &'static str {
        match self {
            GitRequest::Refs => "GET",
            GitRequest::Pack => "POST",
        }
    }

    /// The repository's path, where `path` ends as this request does.
    pub fn repository(self, path: &str) -> Option<&str> {
        path.strip_suffix(match self {
            GitRequest::Refs => "/info/refs",
            GitRequest::Pack => "/git-upload-pack",
        })
    }
}

/// Whether this writes into the files of a repository, as git pushes by WebDAV. POST and PATCH do not: they are calls of a
/// forge's API, of which the plan warns.
fn writes_repository(method: &str, path: &str) -> bool {
    if matches!(method, "GET" | "HEAD" | "OPTIONS" | "POST" | "PATCH" | "PROPFIND" | "REPORT" | "SEARCH") {
        return false;
    }
    let lower = path.to_ascii_lowercase();
    let segments: Vec<&str> = lower.trim_matches('/').split('/').collect();
    let is_bare = |segment: &&str| segment.ends_with(".git");
    if segments.iter().rev().skip(1).any(is_bare) || path.trim_end_matches('/').ends_with("/HEAD") {
        return true;
    }
    segments.iter().enumerate().any(|(at, segment)| {
        let before = |count: usize| at.checked_sub(count).map(|at| segments[at]);
        match (*segment, segments.get(at + 1)) {
            ("packed-refs", None) => true,
            ("info", Some(&"refs")) => segments.len() == at + 2,
            // Two forges delete branches so.
            ("refs", Some(_)) => {
                let is_api =
                    (before(1), before(4)) == (Some("git"), Some("repos")) || before(3) == Some("repositories");
                !(method == "DELETE" && is_api)
            }
            ("objects", Some(next)) => {
                let is_fan_out = next.len() == 2 && next.bytes().all(|byte| byte.is_ascii_hexdigit());
                is_fan_out || matches!(*next, "pack" | "info")
            }
            _ => false,
        }
    })
}

/// The values of a query parameter, percent-decoded as far as possible.
fn parameter<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let decoded = |text: &str| unescape(text).into_iter().map(char::from).collect::<String>();
    query.split(['&', ';']).filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decoded(key);
        // A server in C reads a name up to its first NUL.
        let key = key.split('\0').next().unwrap_or_default();
        key.eq_ignore_ascii_case(name).then(|| decoded(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
