//! Remotes: git of a bottle fetches from real upstreams and pushes to them, and nothing that must not leave arrives there.

use super::claude::{TOKEN as CLAUDE_TOKEN, bash};
use super::supervise::proposal;
use super::{Going, Rig, Served, docker, run};
use crate::harness::Host;
use crate::harness::wait::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const TOKEN: &str = "Tq7ZcV0m3LxW9sKd2PfB";
/// A value that the agent has, and that must not leave.
const SEEN: &str = "Vk29fLq8Wm4Zr7bN1cQ5aV0t";

/// A home with an ssh key, and an upstream of sshd and HTTPS.
struct Upstream {
    rig: Rig,
    server: Served,
    /// The public key of its ssh host.
    host_key: String,
    identity: PathBuf,
}

impl Upstream {
    fn new() -> Upstream {
        let rig = Rig::new(&json!({}));
        let identity = rig.path().join("id_app");
        let mut make = Command::new("ssh-keygen");
        run(make.args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&identity), "").code(0);
        let public = fs::read(identity.with_extension("pub")).unwrap();
        let files: [(&str, &[u8]); 5] = [
            ("upstream.sh", include_bytes!("git/upstream.sh")),
            ("origin.py", include_bytes!("git/origin.py")),
            ("tls_server.py", include_bytes!("tls_server.py")),
            ("key.pub", &public),
            ("token", TOKEN.as_bytes()),
        ];
        let server = rig.serve(&files, &["sh", "upstream.sh"]);
        let said = server.log();
        let host_key = said.lines().find_map(|line| line.strip_prefix("ready ")).unwrap_or_else(|| panic!("{said}"));
        let host_key = host_key.to_owned();
        rig.certify(&server);
        until("the HTTPS upstream", || server.log().lines().any(|line| line == "ready"));
        Upstream { rig, server, host_key, identity }
    }

    /// A remote of the upstream's repository over ssh, with these keys beside the needed ones.
    fn over_ssh(&self, more: Value) -> Value {
        let mut remote = json!({
            "name": "app", "upstream": format!("ssh://git@{}/srv/repos/app.git", self.server.address),
            "identity_file": self.identity, "known_host_key": self.host_key, "private": true,
        });
        remote.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        remote
    }

    fn over_https(&self, name: &str, path: &str) -> Value {
        json!({ "name": name, "upstream": format!("https://{}:8443/{path}", self.server.address),
            "token_ref": "WEB_TOKEN", "private": true })
    }

    fn declare(&self, remotes: Value) {
        self.rig.manifest(&json!({
            "bottles": { "git": { "git": { "remotes": remotes }, "env": { "SEEN": "${SEEN_BY_IT}" } } },
            "agents": { "agent": { "bottle": "git", "command": ["bash"] } },
        }));
    }

    /// Runs a script in a bottle; what it printed, by the words before the first colon of a line.
    fn inside(&self, script: &str) -> BTreeMap<String, String> {
        let mut start = self.rig.ours(&["start", "--yes", "agent"]);
        start.env("WEB_TOKEN", TOKEN).env("SEEN_BY_IT", SEEN);
        start.env("CLAUDE_BOTTLE_UPSTREAM_CA", self.rig.path().join("ca.pem"));
        let key = fs::read_to_string(&self.identity).unwrap();
        // The lines before it are the file's head and the public part.
        let part = key.lines().nth(4).unwrap();
        let ran = run(&mut start, &format!("HOST={}; KEY_PART={part}\n{script}", self.server.address));
        let lines = ran.stdout.lines().filter_map(|line| line.split_once(": "));
        let said = lines.map(|(name, said)| (name.to_owned(), said.to_owned())).collect();
        assert!(ran.stdout.ends_with("end\n"), "{}\n{}", ran.stdout, ran.stderr);
        said
    }

    /// What git says in the upstream's own repository.
    fn upstream_git(&self, args: &[&str]) -> String {
        let fixed = ["exec", "--user", "git", self.server.id(), "git", "-C", "/srv/repos/app.git"];
        docker(&[&fixed[..], args].concat())
    }
}

#[test]
fn git_of_a_bottle_works_and_what_must_not_leave_does_not() {
    let up = Upstream::new();
    let rules = json!({ "refs": ["refs/heads/*", "refs/tags/*"], "protected": ["refs/heads/release"] });
    up.declare(json!([up.over_ssh(rules), up.over_https("web", "app.git"), up.over_https("moved", "moved/app.git")]));
    let said = up.inside(include_str!("git/inside.sh"));
    let of = |name: &str| said.get(name).unwrap_or_else(|| panic!("{name} in {said:#?}")).as_str();
    for name in [
        "clone",
        "push",
        "branch",
        "merge",
        "web",
        "webpush",
        "fetched",
        "shallow",
        "deepen",
        "partial",
        "good after all",
    ] {
        assert!(of(name).starts_with("0 "), "{name}: {} {said:#?}", of(name));
    }
    assert!(of("commits").starts_with("0 50"), "{said:#?}");
    for (name, wanted) in
        [("seen", "0 merge topic"), ("pulled", "0 two"), ("depth", "0 1"), ("deeper", "0 5"), ("content", "0 7")]
    {
        assert_eq!(of(name), wanted, "{said:#?}");
    }
    for name in ["spelled", "old"] {
        assert!(of(name).starts_with("0 ") && of(name).contains("refs/heads/main"), "{said:#?}");
    }
    let findings = [
        "tree",
        "middle",
        "message",
        "author",
        "name",
        "merge",
        "binary",
        "compressed",
        "allowed",
        "tag",
        "known",
        "together",
    ];
    let others = ["force", "delete", "protected", "ref", "upstream", "name", "moved", "archive", "host"];
    for name in findings.iter().chain(&others).map(|name| format!("refused {name}")) {
        let said = of(&name);
        assert!(!said.starts_with("0 ") && !said.contains("SAYS THE SECRET") && !said.contains(SEEN), "{name}: {said}");
    }
    for (name, words) in [
        ("upstream", "the upstream takes no such branch"),
        ("protected", "is protected"),
        ("force", "allow_force"),
        ("delete", "allow_delete"),
        ("ref", "none of the remote's `refs`"),
        ("name", "app"),
        ("host", "not on the allowlist"),
    ] {
        assert!(of(&format!("refused {name}")).contains(words), "{name}: {said:#?}");
    }
    assert_eq!(of("together"), "0 ", "none of the refs landed");
    assert_eq!(of("the key"), "0 ");
    assert!(of("the repositories").contains("Permission denied"), "{said:#?}");
    // What arrived is what was let through, and nothing of what was not.
    let refs = up.upstream_git(&["for-each-ref", "--format=%(refname)"]);
    let wanted =
        ["heads/good", "heads/hidden/one", "heads/main", "heads/topic", "tags/v1"].map(|name| format!("refs/{name}"));
    assert_eq!(refs.lines().collect::<Vec<_>>(), wanted);
    let all = up.upstream_git(&["log", "--all", "-p", "--format=%an %B"]);
    assert!(!all.contains("ghp_") && !all.contains(SEEN));
    up.rig.assert_nothing_left();
}

/// Real Claude Code pushes a commit that arrives; then one with a key in it, and reads why that one does not.
#[test]
fn real_claude_code_pushes_and_is_told_why_not() {
    let up = Upstream::new();
    let push = |what: &str, file: &str| {
        let words = format!(
            "{what} >{file} && git add . && git commit -qm 'Write {file}' && git push origin HEAD:main; echo ended"
        );
        json!({ "tool": { "name": "Bash", "input": { "command": words, "description": "as asked" } } })
    };
    let clone = format!(
        "git clone -q ssh://git@{}/srv/repos/app.git app && mv app/.git . && git reset -q --hard; echo ended",
        up.server.address
    );
    let clone = json!({ "tool": { "name": "Bash", "input": { "command": clone, "description": "as asked" } } });
    let key = "printf 'token = \"ghp_%s\"' $(tr -dc A-Za-z0-9 </dev/urandom | head -c 36)";
    let model =
        up.rig.model(&json!([clone, push("echo lantern", "lamp"), push(key, "config.py"), { "text": "Done." }]));
    up.rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [model.model_route("CLAUDE_CODE_OAUTH_TOKEN")] },
            "git": { "user": { "name": "Bot", "email": "bot@example.org" }, "remotes": [up.over_ssh(json!({}))] } } },
        "agents": { "a": { "bottle": "b" } },
    }));
    let mut start = up.rig.ours(&["start", "--yes", "--headless", "-p", "push a lamp", "a"]);
    let ran = run(start.env("CLAUDE_CODE_OAUTH_TOKEN", "sk-real-0f6d1c93b7a54e28a1"), "").code(0);
    assert_eq!(ran.stdout, "Done.\n");
    assert_eq!(up.upstream_git(&["log", "-1", "--format=%an %s", "main"]), "Bot Write lamp\n");
    let told = model.turns().last().unwrap()["body"]["messages"].to_string();
    assert!(told.contains("claude-bottle") && told.contains("config.py") && told.contains("amend"), "{told}");
    // The commit that was refused is changes not copied back yet, and the audit trail has both pushes.
    let identity = up.rig.sessions().pop().unwrap();
    let trail = up.rig.run(&["logs", "--format", "json", &identity], "").code(0).stdout;
    let lines = trail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let pushes: Vec<Value> = lines.filter(|line| line["event"] == "git" && line["operation"] == "push").collect();
    assert_eq!(
        pushes.iter().map(|line| line["verdict"].as_str().unwrap()).collect::<Vec<_>>(),
        ["allow", "deny"],
        "{trail}"
    );
    assert!(!trail.contains("ghp_"), "{trail}");
    up.rig.run(&["cleanup", "--yes", &identity], "").code(0);
    up.rig.assert_nothing_left();
}

/// A root commit whose id is known beforehand. Its key is one by its form.
const FOUND: &str = "git checkout -q --orphan found && git rm -rfq --ignore-unmatch . && \
    printf 'token = \"ghp_%s\"\\n' $(printf lantern | sha256sum | head -c 36) >config.py && git add config.py && \
    GIT_AUTHOR_NAME=Bot GIT_AUTHOR_EMAIL=bot@example.org GIT_AUTHOR_DATE='1700000000 +0000' \
    GIT_COMMITTER_NAME=Bot GIT_COMMITTER_EMAIL=bot@example.org GIT_COMMITTER_DATE='1700000000 +0000' \
    git commit -qm found";

/// Real Claude Code is refused a push for what looks like a secret, asks for it by the tool that the refusal names, and
/// pushes again in the same session once an operator has approved from a second terminal.
#[test]
fn real_claude_code_asks_for_a_push_that_was_refused() {
    let up = Upstream::new();
    let host = Host::new(up.rig.path().join("host"));
    host.shell(FOUND);
    let commit = host.git(&["rev-parse", "HEAD"]).trim().to_owned();
    let clone = format!(
        "git clone -q ssh://git@{}/srv/repos/app.git app && mv app/.git . && rm -r app && git reset -q --hard; {FOUND}",
        up.server.address
    );
    let push = bash("git push origin HEAD:refs/heads/found; echo ended");
    let input = json!({ "remote": "app", "commits": [commit], "reason": "a key of the documentation" });
    let asks = json!({ "tool": { "name": "mcp__supervise__git_block", "input": input } });
    let model = up.rig.model(&json!([bash(&clone), push, asks, push, { "text": "Done." }]));
    up.rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [model.model_route("CLAUDE_CODE_OAUTH_TOKEN")] }, "supervise": true,
            "git": { "user": { "name": "Bot", "email": "bot@example.org" }, "remotes": [up.over_ssh(json!({}))] } } },
        "agents": { "a": { "bottle": "b" } },
    }));
    let mut start = up.rig.ours(&["start", "--yes", "--headless", "-p", "push it", "a"]);
    let going = Going::new(start.env("CLAUDE_CODE_OAUTH_TOKEN", CLAUDE_TOKEN));
    let id = proposal(&up.rig);
    let shown = up.rig.run(&["approve", "--yes", &id], "").code(0).stderr;
    assert!(shown.contains(&commit) && shown.contains("a key of the documentation"), "{shown}");
    assert_eq!(going.end().code(0).stdout, "Done.\n");
    let said = model.turns().last().unwrap()["body"]["messages"].to_string();
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("`{words}` in {said}"));
    assert!(at("`git_block`") < at("approved: push again") && said.contains("[new branch]"), "{said}");
    assert_eq!(up.upstream_git(&["rev-parse", "found"]).trim(), commit);
    up.rig.assert_nothing_left();
}

#[test]
fn commits_of_a_bottle_are_signed_by_a_key_that_is_not_in_it() {
    let up = Upstream::new();
    let key = up.rig.path().join("id_sign");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key), "").code(0);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    up.rig.manifest(&json!({
        "bottles": { "git": { "git": { "remotes": [up.over_ssh(json!({}))], "signing_key": key,
            "user": { "name": "Bot", "email": "bot@example.org" } } } },
        "agents": { "agent": { "bottle": "git", "command": ["bash"] } },
    }));
    let secret = fs::read_to_string(&key).unwrap();
    let script = format!(
        "cd; git clone -q git://git.bottle/app app && cd app && echo lamp >lamp && git add . && git commit -qm lamp \
           && git tag -m 'A release' v1 && git push -q origin HEAD:main v1; echo \"pushed: $?\"
         echo \"commit: $(git rev-parse HEAD)\"
         git -c gpg.ssh.allowedSignersFile=/dev/null log -1 --show-signature 2>&1 | grep -om1 'no `ssh-keygen`' | sed 's/^/checked: /'
         git tag -m x --local-user=x bad 2>/dev/null; echo \"other key: $?\"
         echo \"the key: $(printf '%s\n' '{}' | grep -rlsF -f - /home /run /tmp /var /etc /proc/[0-9]*/environ | head -3)\"
         echo end\n",
        secret.lines().nth(4).unwrap()
    );
    let said = up.inside(&script);
    assert_eq!((said["pushed"].as_str(), said["the key"].as_str()), ("0", ""), "{said:#?}");
    assert_eq!(said.get("checked").map(String::as_str), Some("no `ssh-keygen`"), "{said:#?}");
    assert_ne!(said["other key"], "0");
    let write = format!("echo 'bot@example.org {}' >/tmp/allowed", public.trim());
    docker(&["exec", up.server.id(), "sh", "-c", &write]);
    let allowed = ["-c", "gpg.ssh.allowedSignersFile=/tmp/allowed"];
    let log = up.upstream_git(&[&allowed[..], &["log", "-1", "--show-signature", "main"]].concat());
    assert!(log.contains("Good \"git\" signature for bot@example.org") && log.contains(&said["commit"]), "{log}");
    up.upstream_git(&[&allowed[..], &["verify-tag", "v1"]].concat());
    let identity = up.rig.sessions().pop();
    assert_eq!(identity, None, "it ended well");
    up.rig.assert_nothing_left();
}

#[test]
fn without_the_right_host_key_or_an_upstream_nothing_goes() {
    let up = Upstream::new();
    let other = up.rig.path().join("other");
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&other), "").code(0);
    let wrong = fs::read_to_string(other.with_extension("pub")).unwrap();
    let wrong: Vec<&str> = wrong.split(' ').take(2).collect();
    let look = "said=$(git ls-remote git://git.bottle/app 2>&1); echo \"look: $? $(printf %s \"$said\" | tr '\\n' '|')\"; echo end\n";
    up.declare(json!([up.over_ssh(json!({ "known_host_key": wrong.join(" ") }))]));
    let said = up.inside(look);
    assert!(
        said["look"].starts_with("128 ") && said["look"].contains("does not have the key that is pinned"),
        "{said:#?}"
    );
    up.declare(json!([up.over_ssh(json!({ "identity_file": other }))]));
    let said = up.inside(look);
    assert!(said["look"].starts_with("128 ") && said["look"].contains("Permission denied"), "{said:#?}");
    up.declare(json!([up.over_ssh(json!({ "private": false }))]));
    assert!(up.rig.run(&["start", "--yes", "agent"], "").code(2).stderr.contains("a private address"));
    up.declare(json!([up.over_ssh(json!({}))]));
    assert!(up.inside(look)["look"].starts_with("0 "));
    docker(&["stop", "-t", "0", up.server.id()]);
    let said = up.inside(look);
    assert!(said["look"].starts_with("128 "), "{said:#?}");
    // A key that others may read is refused before anything is made.
    fs::set_permissions(&up.identity, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(up.rig.run(&["start", "--yes", "agent"], "").code(2).stderr.contains("can be read by others"));
    up.rig.assert_nothing_left();
}

/// What the agent does with a local remote, stage by stage.
const LOCAL: &str = r#"
key() { printf 'ghp_%s\n' $(tr -dc A-Za-z0-9 </dev/urandom | head -c 36); }
commit() { echo "$1" >>made; git add -A; git commit -qm "$1"; }
git checkout -qb topic; commit two; git tag -am 'a tag' v1
git push -q host topic v1 </dev/null; echo "pushed $?"
read word
commit three; git push -q host topic </dev/null; echo "more $?"
key >config.py; git add -A; git commit -qm key; git push -q host topic </dev/null; echo "key $?"
git reset -q --hard HEAD~1
read word
git clone -q -b topic git://git.bottle/host /tmp/other </dev/null; cd /tmp/other
commit four; git push -q origin HEAD:only </dev/null; echo "only $?"
cd ~/workspace; git checkout -q main; git branch -qD topic; git tag -d v1 >/dev/null; rm -rf /tmp/other
"#;

/// What is pushed to a local remote comes while the bottle lives, again, and after its end, when nothing of it is left in the
/// home. What the host has is not scanned, and the rest is.
#[test]
fn a_local_remote_is_fetched_while_the_bottle_lives_and_after() {
    let rig = Rig::new(&json!({
        "bottles": { "b": { "git": { "user": { "name": "Bot", "email": "bot@example.org" },
            "remotes": [{ "name": "host", "local": true }] } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", LOCAL] } },
    }));
    let host = Host::new(rig.path().join("host"));
    host.shell(
        "printf 'ghp_%s\\n' $(tr -dc A-Za-z0-9 </dev/urandom | head -c 36) >old; git add old; git commit -qm old",
    );
    let mut start = rig.ours(&["start", "--yes", "--cwd", "a"]);
    let mut going = Going::new(start.current_dir(&host.path));
    going.until("pushed 0");
    let identity = rig.sessions().remove(0);
    let name = |name: &str| format!("refs/bottles/{identity}/remotes/host/{name}");
    let subject = |of: &str| host.git(&["log", "-1", "--format=%an %s", &name(of)]);
    let fetch = || rig.run(&["work", "fetch", &identity], "").code(0);
    fetch().says(&name("heads/topic"));
    assert_eq!((subject("heads/topic"), subject("tags/v1")), ("Bot two\n".to_owned(), "Bot two\n".to_owned()));
    assert_eq!(host.git(&["cat-file", "-t", &name("tags/v1")]), "tag\n");
    going.say("go\n");
    going.until("more 0");
    going.until("key 1");
    fetch();
    assert_eq!(subject("heads/topic"), "Bot three\n");
    let tip = host.git(&["rev-parse", &name("heads/topic")]);
    going.say("go\n");
    going.until("only 0");
    let ran = going.end();
    ran.says(&format!("kept `{identity}`: changes not copied back yet: 1 pushed ref to the local remote"));
    fetch().says(&name("heads/only"));
    assert_eq!((subject("heads/only"), host.git(&["rev-parse", &name("heads/topic")])), ("Bot four\n".to_owned(), tip));
    assert!(!host.git(&["log", "--all", "--format=%s"]).contains("key"));
    rig.run(&["work", "fetch", &identity], "").code(0).says("has all commits of the remote `host` already");
    // What was pushed is there for the next run, too.
    let again =
        "git fetch -q host </dev/null; git log -1 --format=%s host/only; git push -q host :only </dev/null; echo $?";
    rig.manifest(&json!({
        "bottles": { "b": { "git": { "remotes": [{ "name": "host", "local": true, "allow_delete": true }] } } },
        "agents": { "a": { "bottle": "b", "command": ["sh", "-c", again] } },
    }));
    let ran = rig.run(&["resume", "--yes", &identity], "").code(0);
    assert_eq!(ran.stdout, "four\n0\n");
    // All that was pushed is here, so that nothing is kept.
    assert_eq!(rig.sessions(), Vec::<String>::new());
    rig.assert_nothing_left();
}
