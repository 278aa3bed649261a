//! Supervise: what an agent proposes to change in its bottle, and what the operator decides about it.

use crate::{Reload, is_object_id, is_remote_name};
use policy::{HostPattern, PathPattern};
use serde::{Deserialize, Serialize};

/// Bytes of a reason that an agent or an operator gives.
pub const MAX_SUPERVISE_REASON_BYTES: usize = 1024;
/// Packages in one proposal.
pub const MAX_PACKAGES: usize = 64;
/// Commits in one proposal.
pub const MAX_COMMITS: usize = 64;
/// Bytes of a path that is proposed.
pub const MAX_PROPOSED_PATH_BYTES: usize = 1024;
/// Bytes of a method. The longest one that is registered has 17.
const MAX_METHOD_BYTES: usize = 32;
/// Bytes of a package's name.
const MAX_PACKAGE_NAME_BYTES: usize = 214;
/// Characters of an id.
const ID_CHARS: usize = 6;

/// What the bottle's manifest says about supervise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervise {
    /// How long a refused request waits for a decision, in seconds, while an operator is there to decide. 0: not at all.
    #[serde(default)]
    pub hold: u32,
}

/// A change that is proposed: equal ones are one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Change {
    /// Requests may pass that were refused. On port 80 they are plain HTTP, elsewhere HTTP inside TLS.
    Egress {
        /// Lower case, no trailing dot.
        host: String,
        port: u16,
        /// Upper case.
        method: String,
        /// Normalised, and without the query. As a pattern of a route where the requests differ in some segments.
        path: String,
    },
    /// Packages are installed in the bottle's image.
    Packages(Packages),
    /// Commits in which something was found may be pushed once.
    Git {
        remote: String,
        /// Whole object ids, in lower case.
        commits: Vec<String>,
    },
}

/// Names of packages, by the program that installs them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apt: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub npm: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pip: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cargo: Vec<String>,
}

/// What an agent proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    pub change: Change,
    /// The agent's words: hostile text, of at most [`MAX_SUPERVISE_REASON_BYTES`].
    pub reason: String,
}

/// What the operator decided about a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub change: Change,
    pub verdict: Verdict,
    /// The operator's words, for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds until the bottle ends, or longer.
    Approved,
    /// It holds for one request within a minute. Commits pass once in any case.
    Once,
    Rejected,
}

/// `ctl decide`: the gate takes the decision and the policy together, or neither.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    pub decision: Decision,
    /// The policy in which an approved [`Change::Egress`] passes. With [`Verdict::Once`], only that one request is judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Reload>,
}

impl Change {
    /// A short name to type, made of letters and digits. Two changes may have the same one, if one searches for them: a
    /// reader that finds two must refuse it.
    pub fn id(&self) -> String {
        short_id(&serde_json::to_string(self).unwrap_or_default())
    }

    /// # Errors
    /// Why no such change can be made, in words for agent and operator.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Change::Egress { host, port, method, path } => {
                let is_name = HostPattern::try_from(host.clone())
                    .map(|pattern| pattern.as_str() == host && !pattern.is_wildcard());
                let is_method = (1..=MAX_METHOD_BYTES).contains(&method.len())
                    && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
                match is_name {
                    Err(why) => Err(crate::one_line(&why)),
                    Ok(false) => Err("the host is no name of one host in lower case".to_owned()),
                    Ok(true) if *port == 0 => Err("the port is 0".to_owned()),
                    Ok(true) if !is_method => Err("the method is no method in upper case".to_owned()),
                    Ok(true) if path.len() > MAX_PROPOSED_PATH_BYTES => {
                        Err(format!("the path is longer than {MAX_PROPOSED_PATH_BYTES} bytes"))
                    }
                    Ok(true) => PathPattern::try_from(path.clone()).map(|_| ()).map_err(|why| crate::one_line(&why)),
                }
            }
            Change::Packages(packages) => packages.check(),
            Change::Git { remote, commits } => match commits.len() {
                _ if !is_remote_name(remote) => Err("the remote is no name of a remote".to_owned()),
                0 => Err("no commit is named".to_owned()),
                1..=MAX_COMMITS if commits.iter().all(|id| is_object_id(id)) => Ok(()),
                1..=MAX_COMMITS => Err("a commit is named by its whole id, in lower case".to_owned()),
                count => Err(format!("{count} commits are more than {MAX_COMMITS}")),
            },
        }
    }
}

/// A short name for a text, the same in every build.
pub fn short_id(text: &str) -> String {
    // FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let digit = |place: u32| {
        let digit = hash / 36_u64.pow(place) % 36;
        char::from_digit(u32::try_from(digit).unwrap_or_default(), 36).unwrap_or('0')
    };
    (0..ID_CHARS as u32).map(digit).collect()
}

impl Packages {
    /// Each list with the name of its program.
    pub fn lists(&self) -> [(&'static str, &[String]); 4] {
        [("apt", &self.apt), ("npm", &self.npm), ("pip", &self.pip), ("cargo", &self.cargo)]
    }

    /// # Errors
    /// Why this list cannot be installed, in words for the agent.
    pub fn check(&self) -> Result<(), String> {
        let count: usize = self.lists().iter().map(|(_, names)| names.len()).sum();
        match count {
            0 => return Err("no package is named".to_owned()),
            1..=MAX_PACKAGES => {}
            _ => return Err(format!("{count} packages are more than {MAX_PACKAGES}")),
        }
        for (program, names) in self.lists() {
            if let Some(bad) = names.iter().find(|name| !is_package_name(program, name)) {
                let bad: String = crate::visible(bad).chars().take(80).collect();
                return Err(format!("`{bad}` is no name of a package of {program}; a version cannot be named"));
            }
        }
        Ok(())
    }
}

/// Whether `program` may be asked to install this: a plain name, which is no option, path or address.
fn is_package_name(program: &str, name: &str) -> bool {
    let is_plain = |part: &str, others: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    let is_lower = !name.contains(|c: char| c.is_ascii_uppercase());
    (1..=MAX_PACKAGE_NAME_BYTES).contains(&name.len())
        && match program {
            // Debian policy 5.6.1, and `:` of an architecture left out. A `-` at the end would remove the package.
            "apt" => is_lower && is_plain(name, "+-.") && !name.ends_with('-'),
            "npm" => match name.strip_prefix('@').map(|scoped| scoped.split_once('/')) {
                None => is_lower && is_plain(name, "-._"),
                Some(Some((scope, name))) => is_lower && is_plain(scope, "-._") && is_plain(name, "-._"),
                Some(None) => false,
            },
            "pip" => is_plain(name, "-._") && !name.ends_with(['-', '.', '_']),
            _ => is_plain(name, "-_"),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn egress(path: &str) -> Change {
        Change::Egress { host: "a.org".into(), port: 443, method: "GET".into(), path: path.into() }
    }

    #[test]
    fn an_id_belongs_to_a_change() {
        let id = egress("/x").id();
        assert_eq!(id, egress("/x").id());
        assert_ne!(id, egress("/y").id());
        assert!(id.len() == ID_CHARS && id.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase()), "{id}");
    }

    #[test]
    fn packages_have_plain_names() {
        let list = |program: &str, names: &[&str]| {
            serde_json::from_value::<Packages>(serde_json::json!({ program: names })).unwrap().check()
        };
        for (program, name) in [
            ("apt", "g++"),
            ("apt", "libssl3.0"),
            ("npm", "@types/node"),
            ("npm", "left-pad"),
            ("pip", "Django"),
            ("pip", "ruamel.yaml"),
            ("cargo", "cargo-nextest"),
        ] {
            assert_eq!(list(program, &[name]), Ok(()), "{program} {name}");
        }
        for (program, name) in [
            ("apt", "-y"),
            ("apt", "curl-"),
            ("apt", "./x.deb"),
            ("apt", "curl=1"),
            ("apt", "Curl"),
            ("npm", "https://a.org/x.tgz"),
            ("npm", "../x"),
            ("npm", "@x"),
            ("npm", "a b"),
            ("pip", "x[y]"),
            ("pip", "git+https://a.org"),
            ("pip", "--index-url"),
            ("cargo", "a.b"),
            ("cargo", "$(x)"),
            ("cargo", ""),
            ("cargo", "a\nb"),
            ("cargo", &"a".repeat(MAX_PACKAGE_NAME_BYTES + 1)),
        ] {
            assert!(list(program, &[name]).is_err(), "{program} {name}");
        }
        assert!(Packages::default().check().is_err());
        assert!(list("apt", &["curl"; MAX_PACKAGES + 1]).is_err());
    }

    #[test]
    fn a_change_reads_as_it_was_written() {
        for change in [
            egress("/x"),
            Change::Git { remote: "app".into(), commits: vec!["a".repeat(40)] },
            Change::Packages(Packages { apt: vec!["gdb".into()], ..Packages::default() }),
        ] {
            let again: Change = serde_json::from_value(serde_json::to_value(&change).unwrap()).unwrap();
            assert_eq!(again, change);
        }
    }
}
