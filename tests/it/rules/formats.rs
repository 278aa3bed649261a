//! Every field of a schema is printed by some command and described in its page, and no other field is printed.

use crate::harness::schema::{assert_valid, output_schema, plan_schema};
use crate::harness::{CERTIFICATE, Done, FAKE, PLAIN, PROGRAM, Place, kept, rich, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let to = schema["$ref"].as_str();
    to.map_or(schema, |to| resolved(root, root.pointer(to.trim_start_matches('#')).unwrap()))
}

/// Where `value` has a property that `schema` describes: the names on the way through the schema.
fn seen<'a>(root: &'a Value, schema: &'a Value, value: &Value, found: &mut BTreeSet<String>) {
    let schema = resolved(root, schema);
    for other in ["oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten() {
        let names =
            |of: &Value| of.as_object().map(|of| of.keys().cloned().collect::<BTreeSet<_>>()).unwrap_or_default();
        let target = resolved(root, other);
        if target.get("oneOf").is_some() || names(value).is_subset(&names(&target["properties"])) {
            seen(root, target, value, found);
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        if let Some(property) = schema["properties"].get(name) {
            found.insert(address(root, property));
            seen(root, property, value, found);
        } else if schema["additionalProperties"].is_object() {
            seen(root, &schema["additionalProperties"], value, found);
        }
    }
    for value in value.as_array().into_iter().flatten() {
        seen(root, &schema["items"], value, found);
    }
}

/// All properties that a schema describes.
fn described(root: &Value, schema: &Value, found: &mut BTreeSet<String>) {
    for (name, below) in schema.as_object().into_iter().flatten() {
        if name == "properties" {
            found.extend(below.as_object().unwrap().values().map(|property| address(root, property)));
        }
        described(root, below, found);
    }
    schema.as_array().into_iter().flatten().for_each(|below| described(root, below, found));
}

/// Where in the tree a part of it is.
fn address(root: &Value, part: &Value) -> String {
    fn search(tree: &Value, part: &Value, at: String) -> Option<String> {
        if std::ptr::eq(tree, part) {
            return Some(at);
        }
        let inside = tree
            .as_object()
            .into_iter()
            .flatten()
            .find_map(|(name, below)| search(below, part, format!("{at}/{name}")));
        inside.or_else(|| {
            tree.as_array()
                .into_iter()
                .flatten()
                .enumerate()
                .find_map(|(n, below)| search(below, part, format!("{at}/{n}")))
        })
    }
    search(root, part, String::new()).unwrap()
}

#[track_caller]
pub fn assert_all_seen(schema: &Value, values: &[Value]) {
    let (mut found, mut all) = (BTreeSet::new(), BTreeSet::new());
    values.iter().for_each(|value| seen(schema, schema, value, &mut found));
    described(schema, schema, &mut all);
    let unseen: Vec<_> = all.difference(&found).collect();
    assert!(unseen.is_empty(), "nothing prints {unseen:#?}");
}

/// A manifest that uses what the rich one does not.
fn odd() -> Place {
    let place = Place::new(
        r#"{ "bottles": { "odd": {
            "image": { "dockerfile": "odd.Dockerfile", "context": "context" },
            "env": { "PIN": "?PIN of the demo", "MAYBE": "${NOT_THERE:-}" },
            "supervise": { "hold": "60s" },
            "egress": { "routes": [
                { "host": "a.example.org", "query": { "v": "1*" }, "headers": { "accept": "text/*" }, "upstream_ca": "ca.pem",
                  "auth": { "scheme": "Basic", "user": "me", "token_ref": "MY_TOKEN" } },
                { "host": "b.example.org", "proxy": false, "auth": { "scheme": { "header": "x-key" }, "token_ref": "MY_TOKEN" } }
            ] },
            "git": { "signing_key": "key", "remotes": [
                { "name": "app", "upstream": "ssh://git@git.example.org:2222/app.git", "identity_file": "key", "private": true,
                  "known_host_key": "ssh-ed25519 AAAA", "protected": ["refs/heads/main"], "allow_force": true,
                  "allow_delete": true },
                { "name": "web", "upstream": "https://git.example.org/web.git", "token_ref": "MY_TOKEN" },
                { "name": "host", "local": true }
            ] } } },
          "agents": { "plain": { "bottle": "odd" } } }"#,
    );
    let key = place.path("home/.claude-bottle/key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "a passphrase", "-f"]).arg(key).status();
    assert!(made.unwrap().success());
    place.write("home/.claude-bottle/odd.Dockerfile", "FROM claude-bottle-agent\n");
    place.write("home/.claude-bottle/context/file", "one\n");
    place.write("home/.claude-bottle/ca.pem", CERTIFICATE);
    let git = Command::new("git").args(["init", "-q"]).arg(place.path("work")).status().unwrap();
    assert!(git.success());
    let commit = ["-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "one"];
    assert!(Command::new("git").arg("-C").arg(place.path("work")).args(commit).status().unwrap().success());
    place.write("lender/file", "");
    place.write("work/.git/objects/info/alternates", &format!("{}\n", place.path("lender").display()));
    place.write("work/below/file", "two\n");
    place
}

#[test]
fn every_field_of_a_plan_is_described_and_no_other() {
    let dry = |place: &Place, args: &[&str]| -> Value {
        let run = place.run(&[&["start", "--dry-run", "--format", "json"], args].concat());
        let run =
            run.env("CLAUDE_BOTTLE_UPSTREAM_PROXY", "http://proxy.example.org").env("CLAUDE_BOTTLE_NO_PROXY", "a.test");
        let done = run.env("PATH", format!("{FAKE}:/usr/bin:/bin")).done();
        assert_eq!((done.status, done.stderr.as_str()), (0, ""));
        assert_valid(&plan_schema(), &done.stdout)
    };
    let mut plans = vec![dry(&rich(), &["fixer"])];
    let place = odd();
    place.write("work/.gitattributes", "*.bin filter=lfs\n");
    std::fs::File::create(place.path("work/disk.img")).unwrap().set_len(9 << 30).unwrap();
    plans.push(dry(&place, &["--cwd", "plain"]));
    let line = format!("cd below && exec {PROGRAM} start --dry-run --format json --cwd plain");
    let ignored = Place::new(PLAIN);
    ignored.write("work/file", "");
    let settings = "git init -q; git config user.name x; git config user.email x@example.org; mkdir -p .git/info; echo '*' >.git/info/exclude";
    let made = Command::new("sh").args(["-ec", &format!("cd {}; {settings}", ignored.path("work").display())]).status();
    assert!(made.unwrap().success());
    plans.push(dry(&ignored, &["--cwd", "plain"]));
    let below = place.run_other("/bin/sh", &["-c", &line]).env("PATH", format!("{FAKE}:/usr/bin:/bin")).done();
    plans.push(assert_valid(&plan_schema(), &below.stdout));
    for gvisor in [json!({ "Ok": "runsc" }), json!({ "Err": "there is no runsc" })] {
        let seen =
            json!({ "docker default": { "version": "28", "arch": "x86_64", "gvisor": gvisor, "seccomp": "filtered" } });
        place.write("home/.claude-bottle/engines.json", &seen.to_string());
        plans.push(dry(&place, &["plain"]));
    }
    assert_all_seen(&plan_schema(), &plans);
    // What runs is recorded in the same form.
    let place = kept();
    assert_valid(&plan_schema(), &text(&place.session_file("plan.json")));
}

#[test]
fn every_field_of_an_output_is_described_and_no_other() {
    let mut values = Vec::new();
    // Under the name of its definition, so that all of them are one value's.
    let mut take = |of: &str, done: Done| {
        let printed = if of == "error" { &done.stderr } else { &done.stdout };
        values.push(json!({ of: assert_valid(&output_schema(of), printed) }));
    };
    let place = kept();
    let identity = place.session();
    let work = r#""complete":true,"files":1,"pushed":2,"reflog":["0a1b2c3 A: x"],"repositories":[{"path":"app","commits":1,"stashes":2,"files":3}]"#;
    let run = |args: &[&str]| place.run(args).env("FAKE_WORK", work).done();
    take("list", run(&["list", "--format", "json"]));
    take("info", run(&["info", "--format", "json", &identity]));
    take("cleanup", run(&["cleanup", "--dry-run", "--format", "json"]));
    take("work", run(&["work", "diff", "--stat", "--format", "json", &identity]));
    take("error", run(&["info", "--format", "json", "nobody-aaaaa"]));
    let detached = Place::new(PLAIN);
    assert_eq!(detached.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    take("info", detached.run(&["info", "--format", "json", &detached.session()]).done());
    let rich = rich();
    for (method, url) in [("GET", "https://api.example.org/repos/team/x"), ("PUT", "https://api.example.org/")] {
        take("check", rich.run(&["check", "--format", "json", "fixer", method, url]).done());
    }
    let git = odd();
    for (args, remote) in [(&["push", "host", "main", "+main", ":main"][..], "host"), (&["fetch", "app"], "app")] {
        let done = git.run(&[&["check", "--format", "json", "plain", "git"], args].concat()).done();
        assert!(done.stdout.contains(remote), "{done:?}");
        take("check", done);
    }
    take(
        "check",
        rich.run(&["check", "--format", "json", "fixer", "POST", "https://api.anthropic.com/v1/messages"]).done(),
    );
    rich.write("work/trail", crate::cli::replay::TRAIL);
    take("replay", rich.run(&["check", "--format", "json", "fixer", "--replay", "trail"]).done());
    take("info", rich.run(&["info", "--format", "json", "fixer"]).done());
    take("info", odd().run(&["info", "--format", "json", "plain"]).done());
    // The proposal of an agent, a refusal, and a route that contradicts the bottle.
    let line = |event: Value| {
        let mut line = json!({ "seq": 9, "time": "2026-01-31T20:04:59.042Z" });
        line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        format!("{line}\n")
    };
    let egress = json!({ "kind": "egress", "host": "a.example.org", "port": 443, "method": "GET", "path": "/x" });
    let proposal = line(json!({ "event": "proposal", "change": egress, "reason": "please" }));
    let refusal =
        line(json!({ "event": "request", "host": "b.example.org", "port": 443, "method": "GET", "path": "/y",
        "verdict": "deny", "denial": "host", "reason": "no", "rule": "m.json:1", "sent": 0, "received": 0, "ms": 0 }));
    let push = line(
        json!({ "event": "git", "remote": "app", "operation": "push", "verdict": "deny", "sent": 0, "received": 0,
        "found_commits": ["1".repeat(40)], "ms": 0 }),
    );
    fs::write(place.session_file("audit.jsonl"), proposal + &refusal + &push).unwrap();
    take("proposals", place.run(&["proposals", "--format", "json"]).done());
    take("dashboard", place.run(&["dashboard", "--format", "json"]).done());
    take("suggest", place.run(&["suggest", "--format", "json", &identity]).done());
    let route = r#"{ "host": "c.example.org" }"#;
    assert_eq!(place.run(&["routes", "add", "--yes", &identity, route]).done().status, 0);
    let routes = text(&place.session_file("egress/routes.json"));
    let mut twice: Value = serde_json::from_str(&routes).unwrap();
    let mut other = twice["routes"][0].clone();
    (other["id"], other["route"]["private"]) = (json!("zzzzzz"), json!(true));
    other["route"]["origin"] = json!("approved:zzzzzz");
    twice["routes"].as_array_mut().unwrap().push(other);
    fs::write(place.session_file("egress/routes.json"), twice.to_string()).unwrap();
    take("routes", place.run(&["routes", "list", "--format", "json", &identity]).done());
    take("doctor", place.run(&["doctor", "--format", "json"]).done());
    // The gate's own program searches a body.
    let searched = Place::new(
        r#"{ "bottles": { "box": { "env": { "PIN": "${MY_PIN}", "ASKED": "?PIN" }, "egress": { "routes": [
            { "host": "a.example.org", "methods": ["POST"], "auth": { "token_cmd": ["/bin/true"] } } ] } } },
          "agents": { "plain": { "bottle": "box" } } }"#,
    );
    searched.write("work/body", "the pin is 7f3kQ9zLw2xB8vNc");
    let args = ["check", "--format", "json", "--body", "body", "plain", "POST", "https://a.example.org/"];
    let run = searched.run(&args).env("CLAUDE_BOTTLE_GATE", testing::gate_program());
    take("check", run.env("MY_PIN", "7f3kQ9zLw2xB8vNc").done());
    let schema: Value = serde_json::from_str(include_str!("../../../schema/output.schema.json")).unwrap();
    let mut whole = schema.clone();
    whole["properties"] = schema["$defs"]
        .as_object()
        .unwrap()
        .keys()
        .map(|of| (of.clone(), json!({ "$ref": format!("#/$defs/{of}") })))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let (mut found, mut all) = (BTreeSet::new(), BTreeSet::new());
    values.iter().for_each(|value| seen(&whole, &whole, value, &mut found));
    described(&whole["$defs"], &whole["$defs"], &mut all);
    let unseen: Vec<_> = all.iter().map(|at| format!("/$defs{at}")).filter(|at| !found.contains(at)).collect();
    assert!(unseen.is_empty(), "nothing prints {unseen:#?}");
}
