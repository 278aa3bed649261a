//! The git service of a bottle: the remotes that its manifest declares, how the gate reaches each of them, and the key by
//! which it signs commits and tags.

use crate::{GIT_HOST, nearest};
use policy::{RefRules, Server};
use serde::{Deserialize, Serialize};

/// Bytes of a remote's name.
const MAX_NAME_BYTES: usize = 64;

/// What the gate serves at [`crate::GIT_HOST`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitService {
    /// Empty where there is only a key.
    pub remotes: Vec<GitRemote>,
    /// What the bottle's commits and tags are signed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PrivateKey>,
}

/// One remote. Inside, its URL is `git://git.bottle/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitRemote {
    /// As [`is_remote_name`] wants it, and unlike every other remote's, in any case.
    pub name: String,
    /// `file:line` of the remote in its manifest.
    pub origin: String,
    pub upstream: GitUpstream,
    /// The upstream may have a private address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    pub rules: RefRules,
}

impl GitRemote {
    /// The server that is dialled. `None`: the remote is local.
    pub fn server(&self) -> Option<Server<'_>> {
        match &self.upstream {
            GitUpstream::Ssh { host, port, .. } | GitUpstream::Https { host, port, .. } => {
                Some(Server { host, name: host, port: *port, private: self.private, proxy: true })
            }
            GitUpstream::Local { .. } => None,
        }
    }
}

/// Where a remote's repository is. The gate dials exactly this host and port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum GitUpstream {
    Ssh {
        user: String,
        /// A name or an address, without brackets.
        host: String,
        port: u16,
        path: String,
        key: PrivateKey,
        /// The lines of a `known_hosts` file that pin the server's keys, for `host`, or `[host]:port` where the port is not
        /// 22. Never empty.
        known_hosts: String,
    },
    Https {
        host: String,
        port: u16,
        /// Begins with `/`; what the forge calls the repository, as `/owner/name.git`.
        path: String,
        /// User of the basic authentication.
        user: String,
        /// Name of the value that is the password. It may be one of [`crate::Document::printed`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// The gate's own repository is the upstream. Its folder is [`crate::LOCAL_REPOSITORY`].
    Local {
        /// Commits and tags that this machine has: what they lead to is no news, and is not scanned.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        base: Vec<String>,
    },
}

/// An ssh key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateKey {
    /// Name of the value that is the file of the key, in OpenSSH's format.
    pub key: String,
    /// Name of the value that is its passphrase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<String>,
}

impl GitUpstream {
    /// The server's name or address; `None`: there is none.
    pub fn host(&self) -> Option<&str> {
        match self {
            GitUpstream::Ssh { host, .. } | GitUpstream::Https { host, .. } => Some(host),
            GitUpstream::Local { .. } => None,
        }
    }
}

impl GitRemote {
    /// `None`: the gate itself has it.
    pub fn place(&self) -> Option<RemotePlace<'_>> {
        match &self.upstream {
            GitUpstream::Ssh { host, path, .. } | GitUpstream::Https { host, path, .. } => {
                Some(RemotePlace { name: &self.name, host, path })
            }
            GitUpstream::Local { .. } => None,
        }
    }
}

impl GitService {
    /// Names of the values that only the gate may know.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let signing = self.signing_key.iter().flat_map(PrivateKey::secrets);
        self.remotes.iter().flat_map(GitRemote::secrets).chain(signing)
    }
}

impl GitRemote {
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let (key, token) = match &self.upstream {
            GitUpstream::Ssh { key, .. } => (Some(key), None),
            GitUpstream::Https { token, .. } => (None, token.as_deref()),
            GitUpstream::Local { .. } => (None, None),
        };
        key.into_iter().flat_map(PrivateKey::secrets).chain(token)
    }
}

impl PrivateKey {
    fn secrets(&self) -> impl Iterator<Item = &str> {
        [Some(&self.key), self.passphrase.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

/// Where a declared remote's repository is.
#[derive(Debug, Clone, Copy)]
pub struct RemotePlace<'a> {
    pub name: &'a str,
    pub host: &'a str,
    /// As the upstream is asked for it.
    pub path: &'a str,
}

/// What a refusal of a request by HTTPS adds, where the request is one of git's for the repository of a declared remote,
/// whatever its upstream is reached by: git has the remote to reach it by. `path`: of the request, without its query.
pub fn fitting_remote<'a>(
    remotes: impl IntoIterator<Item = RemotePlace<'a>>,
    host: &str,
    path: &str,
) -> Option<String> {
    let plain = |path: &str| {
        let path = path.trim_matches('/');
        path.strip_suffix(".git").unwrap_or(path).to_ascii_lowercase()
    };
    let is_lfs = path.contains("/info/lfs/");
    let repository = match path.split_once("/info/lfs/") {
        Some((repository, _)) => repository,
        None => {
            ["/info/refs", "/git-upload-pack", "/git-receive-pack"].iter().find_map(|end| path.strip_suffix(end))?
        }
    };
    let fits = |remote: &RemotePlace| remote.host.eq_ignore_ascii_case(host) && plain(remote.path) == plain(repository);
    let name = remotes.into_iter().find(fits)?.name;
    Some(match is_lfs {
        true => format!("Git LFS of the declared remote `{name}` is not served"),
        false => format!("this repository is the declared remote `{name}`: ask git for `git://{GIT_HOST}/{name}`"),
    })
}

/// Why there is no remote of this name. `names`: those that there are.
pub fn unknown_remote<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let near = nearest(name, names.clone()).map(|near| format!(", did you mean `{near}`")).unwrap_or_default();
    let names: Vec<&str> = names.collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    format!("there is no git remote `{name}`{near}: this bottle has {names}")
}

/// Whether a remote may have this name, which becomes a part of URLs and the name of a folder.
pub fn is_remote_name(name: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(is_name_byte)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !name.ends_with('.')
        && !name.contains("..")
        && ![".git", ".lock"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_has_a_plain_name() {
        for good in ["app", "my-app_2.x", "A"] {
            assert!(is_remote_name(good), "{good}");
        }
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for bad in
            ["", ".", "..", ".a", "a.", "a..b", "-a", "a/b", "a.git", "a.GIT", "a.lock", "a b", "ä", "a\n", &long]
        {
            assert!(!is_remote_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_refusal_names_the_remote_whose_repository_is_asked_for() {
        let place = |name, path| RemotePlace { name, host: "git.example.org", path };
        let remotes = [place("app", "team/app.git"), place("web", "/team/web"), place("home", "~/notes.git")];
        let said = |host: &str, path: &str| fitting_remote(remotes, host, path);
        for path in [
            "/team/app.git/info/refs",
            "/team/app/info/refs",
            "/Team/App/git-upload-pack",
            "//team/app.git/git-receive-pack",
        ] {
            assert!(said("Git.example.org", path).is_some_and(|text| text.contains("git://git.bottle/app")), "{path}");
        }
        assert!(said("git.example.org", "/team/web.git/git-receive-pack").unwrap().contains("`web`"));
        assert!(said("git.example.org", "/team/web.git/info/lfs/objects/batch").unwrap().contains("LFS"));
        for (host, path) in [
            ("git.example.org", "/team/app.git"),
            ("git.example.org", "/team/other.git/info/refs"),
            ("git.example.org", "/info/refs"),
            ("other.example.org", "/team/app.git/info/refs"),
            ("git.example.org", "/x/team/app.git/info/refs"),
        ] {
            assert_eq!(said(host, path), None, "{host} {path}");
        }
    }

    #[test]
    fn a_service_names_its_secrets() {
        let text = r#"{"name":"app","origin":"m.json:3","rules":{"refs":["refs/heads/*"],"protected":["refs/heads/main"]},
            "upstream":{"ssh":{"user":"git","host":"a.org","port":22,"path":"x.git","known_hosts":"a.org ssh-ed25519 AAAA",
            "key":{"key":"k","passphrase":"p"}}}}"#;
        let remote: GitRemote = serde_json::from_str(text).unwrap();
        let signing_key = Some(PrivateKey { key: "s".to_owned(), passphrase: None });
        let service = GitService { remotes: vec![remote.clone()], signing_key };
        assert_eq!(service.secrets().collect::<Vec<_>>(), ["k", "p", "s"]);
        let again: GitRemote = serde_json::from_value(serde_json::to_value(&remote).unwrap()).unwrap();
        assert_eq!(again, remote);
        let local: GitRemote =
            serde_json::from_str(r#"{"name":"w","origin":"m.json:1","upstream":{"local":{}},"rules":{"refs":[]}}"#)
                .unwrap();
        assert_eq!(local.secrets().count(), 0);
    }
}
