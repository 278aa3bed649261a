//! A bottle's remotes, and the key that signs its commits: what the gate is told of them, where their secrets come from, and
//! how git of the agent finds them.

use super::Source;
use crate::facts::Facts;
use crate::git::Author;
use crate::manifest::{Bottle, Chosen, Remote, RemoteAccess, RemoteUpstream};
use std::collections::BTreeMap;
use std::path::Path;
use wire::{GATE_BINARY, GIT_HOST, GitRemote, GitService, GitUpstream, PrivateKey};

/// Names of the values of the key that signs, and of its passphrase.
const SIGNING_KEY: &str = "signing:key";
const SIGNING_PASSPHRASE: &str = "signing:passphrase";

/// What the gate is told; `None` for a bottle without remotes that signs nothing.
pub fn service(bottle: &Bottle, facts: &Facts) -> Option<GitService> {
    let remotes: Vec<GitRemote> = bottle.remotes.iter().map(|remote| told(remote, facts)).collect();
    let signing_key = bottle.signing_key.as_ref().map(|_| PrivateKey {
        key: SIGNING_KEY.to_owned(),
        passphrase: facts.signing_key.is_locked.then(|| SIGNING_PASSPHRASE.to_owned()),
    });
    (!remotes.is_empty() || signing_key.is_some()).then_some(GitService { remotes, signing_key })
}

fn told(remote: &Remote, facts: &Facts) -> GitRemote {
    let Remote { name, origin, rules, .. } = remote.clone();
    let found = facts.remotes.get(&remote.name).cloned().unwrap_or_default();
    let (upstream, private) = match remote.upstream.clone() {
        None => (GitUpstream::Local { base: facts.tips.clone() }, false),
        Some(RemoteUpstream { user, host, port, path, access, private, .. }) => {
            let upstream = match access {
                RemoteAccess::Ssh { .. } => {
                    let passphrase = found.is_locked.then(|| passphrase(remote));
                    let key = PrivateKey { key: key(remote), passphrase };
                    GitUpstream::Ssh { user, host, port, path, key, known_hosts: found.known_hosts }
                }
                RemoteAccess::Https { token: source } => {
                    GitUpstream::Https { host, port, path, user, token: source.map(|_| token(remote)) }
                }
            };
            (upstream, private)
        }
    };
    GitRemote { name, origin, upstream, private, rules }
}

fn key(remote: &Remote) -> String {
    format!("git:{}:key", remote.name)
}

fn passphrase(remote: &Remote) -> String {
    format!("git:{}:passphrase", remote.name)
}

fn token(remote: &Remote) -> String {
    format!("git:{}:token", remote.name)
}

/// The author of commits: the manifest's user, else the one of the directory that is copied.
pub fn author(chosen: &Chosen, facts: &Facts) -> Option<Author> {
    let stated = chosen.agent.git_user.as_ref();
    let stated = stated.map(|user| Author { name: user.name.clone(), email: user.email.clone() });
    let of_directory = || facts.workspace.as_ref()?.author.clone().filter(|_| chosen.bottle.cwd_user);
    stated.or_else(of_directory)
}

/// Where keys and tokens come from.
pub fn sources(bottle: &Bottle) -> BTreeMap<String, Source> {
    let source = |remote: &Remote| match &remote.upstream.as_ref()?.access {
        RemoteAccess::Ssh { identity_file, .. } => Some((key(remote), Source::File(identity_file.clone()))),
        RemoteAccess::Https { token: source } => Some((token(remote), Source::of(source.as_ref()?))),
    };
    let signing = bottle.signing_key.iter().map(|path| (SIGNING_KEY.to_owned(), Source::File(path.clone())));
    bottle.remotes.iter().filter_map(source).chain(signing).collect()
}

/// Which keys need a passphrase that is to be asked for.
pub fn passphrases(bottle: &Bottle, facts: &Facts) -> BTreeMap<String, Source> {
    let question = |remote: &Remote| {
        let RemoteAccess::Ssh { identity_file, .. } = &remote.upstream.as_ref()?.access else { return None };
        let is_locked = facts.remotes.get(&remote.name)?.is_locked;
        is_locked.then(|| (passphrase(remote), ask_for(identity_file)))
    };
    let signing = bottle.signing_key.iter().filter(|_| facts.signing_key.is_locked);
    let signing = signing.map(|path| (SIGNING_PASSPHRASE.to_owned(), ask_for(path)));
    bottle.remotes.iter().filter_map(question).chain(signing).collect()
}

fn ask_for(key: &Path) -> Source {
    Source::Ask(format!("passphrase of {}", key.display()))
}

/// Entries of git's configuration by which git of the agent takes every spelling of an upstream for the gate's remote,
/// knows a local remote by its name in every repository, and has the gate sign.
pub fn configuration(bottle: &Bottle, facts: &Facts) -> Vec<(String, String)> {
    let entries = |remote: &Remote| {
        let url = format!("git://{GIT_HOST}/{}", remote.name);
        match &remote.upstream {
            Some(upstream) => {
                let key = format!("url.{url}.insteadOf");
                spellings(upstream).into_iter().map(|spelling| (key.clone(), spelling)).collect()
            }
            None => vec![
                (format!("remote.{}.url", remote.name), url),
                (format!("remote.{}.fetch", remote.name), format!("+refs/heads/*:refs/remotes/{}/*", remote.name)),
            ],
        }
    };
    let public = format!("key::{}", facts.signing_key.public);
    // git calls the program as it would call `ssh-keygen`.
    let signing = [
        ("gpg.format", "ssh"),
        ("gpg.ssh.program", GATE_BINARY),
        ("user.signingKey", &public),
        ("commit.gpgSign", "true"),
        ("tag.gpgSign", "true"),
    ];
    let signing = bottle.signing_key.iter().flat_map(|_| signing);
    let signing = signing.map(|(key, value)| (key.to_owned(), value.to_owned()));
    bottle.remotes.iter().flat_map(entries).chain(signing).collect()
}

/// How people write the URL of this upstream. git replaces the longest of all that a URL begins with, so the ones with
/// `.git` are given as well: what is left of the URL stands behind the remote's name.
fn spellings(upstream: &RemoteUpstream) -> Vec<String> {
    let RemoteUpstream { user, port, written, .. } = upstream;
    let host = if upstream.host.contains(':') { format!("[{}]", upstream.host) } else { upstream.host.clone() };
    let path = upstream.plain_path();
    let mut all = vec![written.clone()];
    let mut add = |url: String| all.extend([format!("{url}.git"), url]);
    match &upstream.access {
        RemoteAccess::Ssh { .. } => {
            for login in [format!("{user}@"), String::new()] {
                add(format!("ssh://{login}{host}:{port}/{path}"));
                if *port == 22 {
                    add(format!("ssh://{login}{host}/{path}"));
                    add(format!("{login}{host}:{path}"));
                    add(format!("{login}{host}:/{path}"));
                }
            }
            add(format!("https://{host}/{path}"));
        }
        RemoteAccess::Https { .. } => {
            for login in [format!("{user}@"), String::new()] {
                add(format!("https://{login}{host}:{port}/{path}"));
                if *port == 443 {
                    add(format!("https://{login}{host}/{path}"));
                }
            }
            add(format!("ssh://git@{host}/{path}"));
            add(format!("git@{host}:{path}"));
        }
    }
    all.sort();
    all.dedup();
    all
}
