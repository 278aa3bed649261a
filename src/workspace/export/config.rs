//! A new configuration for an exported repository, made from the settings that are data. A setting that names a program, a
//! path of the host or a credential is not copied: only the settings listed here are.

use crate::git::Repository;

/// Settings that say how files and objects are read.
const CORE: [&str; 17] = [
    "abbrev",
    "autocrlf",
    "bigfilethreshold",
    "compression",
    "eol",
    "filemode",
    "ignorecase",
    "logallrefupdates",
    "precomposeunicode",
    "protecthfs",
    "protectntfs",
    "quotepath",
    "repositoryformatversion",
    "safecrlf",
    "sparsecheckout",
    "sparsecheckoutcone",
    "symlinks",
];
/// Extensions for the storage of refs and worktrees. They are not copied: the export stores both in the default way.
const DROPPED_EXTENSIONS: [&str; 3] = ["refstorage", "relativeworktrees", "worktreeconfig"];
const BRANCH: [&str; 3] = ["description", "merge", "rebase"];
const REMOTE: [&str; 7] = ["fetch", "partialclonefilter", "promisor", "push", "pushurl", "tagopt", "url"];
const SUBMODULE: [&str; 4] = ["active", "branch", "ignore", "url"];

/// The text of the new configuration.
pub fn config(repository: &Repository) -> Vec<u8> {
    let mut heading = "[core]\n".to_owned();
    let mut text = format!("{heading}\tbare = {}\n", !repository.has_worktree());
    for (key, value) in &repository.settings.all {
        if let Some((section, line)) = copied_setting(key, value) {
            if section != heading {
                text.push_str(&section);
                heading = section;
            }
            text.push_str(&line);
        }
    }
    text.into_bytes()
}

/// Heading and line of a setting that is copied; `None` for any other. git prints section and name in lower case.
fn copied_setting(key: &str, value: &str) -> Option<(String, String)> {
    let (section, rest) = key.split_once('.')?;
    let (subsection, name) = rest.rsplit_once('.').map_or((None, rest), |(sub, name)| (Some(sub), name));
    let value = match (section, subsection, name) {
        ("core", None, name) if CORE.contains(&name) => value.to_owned(),
        ("extensions", None, name) if !DROPPED_EXTENSIONS.contains(&name) => value.to_owned(),
        ("user", None, "name" | "email") => value.to_owned(),
        // The value is the name of a remote, or a URL.
        ("branch", Some(_), "remote" | "pushremote") => without_userinfo(value)?,
        ("branch", Some(_), name) if BRANCH.contains(&name) => value.to_owned(),
        ("remote", Some(name), _) if name.contains("://") => return None,
        ("remote" | "submodule", Some(_), "url" | "pushurl") => without_userinfo(value)?,
        ("remote", Some(_), name) if REMOTE.contains(&name) => value.to_owned(),
        ("submodule", Some(_), name) if SUBMODULE.contains(&name) => value.to_owned(),
        _ => return None,
    };
    let heading = match subsection {
        Some(subsection) => format!("[{section} \"{}\"]\n", subsection.replace('\\', "\\\\").replace('"', "\\\"")),
        None => format!("[{section}]\n"),
    };
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    Some((heading, format!("\t{name} = \"{quoted}\"\n")))
}

/// The URL without user (except for ssh, which needs one), password, query and fragment. `None` if it names a helper program.
fn without_userinfo(url: &str) -> Option<String> {
    let helper = url.split_once("::").is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if helper {
        return None;
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Some(url.to_owned()) };
    let rest = rest.split(['?', '#']).next().unwrap_or(rest);
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(info, host)| (info, host));
    let user = user.split(':').next().unwrap_or_default();
    Some(match (scheme.contains("ssh"), user) {
        (true, user) if !user.is_empty() => format!("{scheme}://{user}@{host}{path}"),
        _ => format!("{scheme}://{host}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_lets_nobody_in() {
        for (url, wanted) in [
            ("https://tok3n@git.example.org/a.git", "https://git.example.org/a.git"),
            ("https://me:pw@git.example.org:8443/a.git?private_token=x#y", "https://git.example.org:8443/a.git"),
            ("https://a@b@git.example.org/p@th", "https://git.example.org/p@th"),
            ("ssh://git:pw@git.example.org:2222/a.git", "ssh://git@git.example.org:2222/a.git"),
            ("git@git.example.org:a.git", "git@git.example.org:a.git"),
            ("/srv/git/a.git", "/srv/git/a.git"),
            ("https://me@[2001:db8::1]:8443/a.git", "https://[2001:db8::1]:8443/a.git"),
            ("https://git.example.org", "https://git.example.org"),
        ] {
            assert_eq!(without_userinfo(url).as_deref(), Some(wanted), "{url}");
        }
        assert_eq!(without_userinfo("ext::sh -c evil"), None);
    }

    #[test]
    fn only_data_goes_in() {
        for key in [
            "core.fsmonitor",
            "core.sshcommand",
            "core.hookspath",
            "core.worktree",
            "credential.helper",
            "credential.https://x.helper",
            "include.path",
            "includeif.gitdir:/.path",
            "filter.lfs.clean",
            "diff.x.textconv",
            "alias.x",
            "http.extraheader",
            "http.https://x/.extraheader",
            "url.https://t@x/.insteadof",
            "remote.o.uploadpack",
            "remote.o.vcs",
            "remote.o.proxy",
            "remote.https://t@x/.fetch",
            "submodule.s.update",
            "extensions.worktreeconfig",
            "gpg.program",
            "user.signingkey",
        ] {
            assert_eq!(copied_setting(key, "value"), None, "{key}");
        }
        assert_eq!(
            copied_setting("branch.b.pushremote", "https://t@x/a").unwrap().1,
            "\tpushremote = \"https://x/a\"\n"
        );
        let (heading, line) = copied_setting("branch.a\"b.merge", "x\ty").unwrap();
        assert_eq!((&heading[..], &line[..]), ("[branch \"a\\\"b\"]\n", "\tmerge = \"x\\ty\"\n"));
    }
}
