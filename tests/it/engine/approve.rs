//! A program that knows nothing of any of this is refused, a person decides from another terminal, and the running bottle goes
//! on: with a real gate, real curl, and a real upstream.

use super::{Going, Rig, Served, run};
use crate::harness::{PROGRAM, until_some};
use serde_json::{Value, json};
use std::process::Command;

const ASK: &str = "curl -s -o /dev/null -w '%{http_code}' https://allowed.example.org";

/// What curl gets inside for a path.
fn status(rig: &Rig, identity: &str, path: &str) -> String {
    let ran = rig.run(&["exec", identity, "--", "sh", "-c", &format!("{ASK}{path}")], "");
    ran.code(0).stdout.trim().to_owned()
}

/// The id of what was refused at this path.
fn refused(rig: &Rig, identity: &str, path: &str) -> Option<String> {
    let listed = rig.run(&["proposals", "--format", "json", identity], "").code(0);
    let all: Value = serde_json::from_str(&listed.stdout).unwrap();
    let refused = all[0]["refused"].as_array().unwrap().iter().find(|one| one["change"]["path"] == path)?;
    Some(refused["id"].as_str().unwrap().to_owned())
}

/// A bottle whose one route to the origin lets a path pass, with the session that goes on in it.
fn narrow(rig: &Rig) -> (Going, Served, String) {
    let origin = rig.origin();
    let mut route = origin.route();
    route["paths"] = json!(["/hello"]);
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [route] } } },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c", "printf 'ON%s\\n' ward; read _; exit 1"] } },
    }));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("ONward");
    let identity = rig.sessions().remove(0);
    (going, origin, identity)
}

/// Killed before a change of a file, an approval leaves the gate without the route, or with one that is on disk and on record;
/// the same again ends it, once.
#[test]
fn an_approval_that_is_killed_is_the_old_state_or_the_new_one() {
    let rig = Rig::new(&json!({}));
    let (mut going, _origin, identity) = narrow(&rig);
    let read = |path: String| std::fs::read_to_string(rig.path().join(path)).unwrap_or_default();
    let saved = || read(format!("state/{identity}/egress/routes.json")).matches("\"at\":").count();
    let record = || read(format!("audit/{identity}.jsonl"));
    for call in ["flock", "fdatasync", "rename", "write"] {
        for number in 1.. {
            assert_eq!(status(&rig, &identity, "/echo"), "403");
            let id = until_some("the refusal", || refused(&rig, &identity, "/echo"));
            let before = record().lines().count();
            let (trace, kill) = (format!("trace={call}"), format!("inject={call}:signal=KILL:when={number}"));
            let mut strace = Command::new("/usr/bin/strace");
            strace.args(["-qqq", "-o", "/dev/null", "-e", &trace, "-e", &kill, PROGRAM, "approve", "--yes", &id]);
            rig.dress(&mut strace);
            let killed = run(&mut strace, "").code.is_none();
            let passes = status(&rig, &identity, "/echo") == "200";
            let begun = record().lines().count() > before;
            assert!(saved() <= 1 && (!passes || saved() == 1), "{call} {number}");
            assert!(begun || (!passes && saved() == 0), "{call} {number}");
            assert!(killed || passes, "is strace there? {call} {number}");
            rig.run(&["approve", "--yes", &id], "").code(if passes { 2 } else { 0 });
            assert_eq!((status(&rig, &identity, "/echo").as_str(), saved()), ("200", 1), "{call} {number}");
            rig.run(&["routes", "remove", &identity, &id], "").code(0);
            if !killed {
                break;
            }
        }
    }
    going.say("\n");
    going.end().code(1);
}

#[test]
fn what_was_refused_passes_after_a_decision_and_after_a_resume() {
    let rig = Rig::new(&json!({}));
    let (mut going, _origin, identity) = narrow(&rig);
    assert_eq!(status(&rig, &identity, "/hello"), "200");
    assert_eq!(status(&rig, &identity, "/echo?x=1"), "403");
    assert_eq!(status(&rig, &identity, "/sse"), "403");

    let id = until_some("the refusal", || refused(&rig, &identity, "/echo"));
    rig.run(&["approve", "--yes", "--save", &format!("{identity}/{id}")], "").code(0);
    assert_eq!(status(&rig, &identity, "/echo?x=1"), "200", "the same request, in the same session");
    assert_eq!(status(&rig, &identity, "/sse"), "403", "and no other one");
    let trail = std::fs::read_to_string(rig.state(&identity).join("audit.jsonl")).unwrap();
    assert!(trail.contains(r#""event":"decided""#) && trail.contains(r#""event":"reloaded""#), "{trail}");
    let saved = std::fs::read_to_string(rig.path().join("claude-bottle.json")).unwrap();
    assert!(saved.contains("/echo"), "{saved}");

    let other = until_some("the other refusal", || refused(&rig, &identity, "/sse"));
    rig.run(&["reject", "--reason", "no streams", &other], "").code(0);
    assert_eq!(status(&rig, &identity, "/sse"), "403");
    until_some("the rejection", || refused(&rig, &identity, "/sse").is_none().then_some(()));

    assert_eq!(status(&rig, &identity, "/npm/tiny"), "403");
    let once = until_some("the third refusal", || refused(&rig, &identity, "/npm/tiny"));
    rig.run(&["approve", "--once", "--yes", &once], "").code(0);
    let passed = [(); 2].map(|()| status(&rig, &identity, "/npm/tiny"));
    assert_eq!(passed, ["200", "403"], "one request, and no second one");

    // A route that contradicts those of the host is none.
    rig.run(
        &[
            "routes",
            "add",
            "--yes",
            &identity,
            r#"{ "host": "allowed.example.org", "paths": ["/x"], "private": true }"#,
        ],
        "",
    )
    .code(2);
    going.say("\n");
    going.end().code(1);
    let record = std::fs::read_to_string(rig.path().join(format!("audit/{identity}.jsonl"))).unwrap();
    assert_eq!(record.matches(r#""stage":"applied""#).count(), 3, "{record}");

    let mut going = rig.on_terminal(&["resume", "--yes", &identity]);
    going.until("ONward");
    assert_eq!(status(&rig, &identity, "/echo"), "200");
    assert_eq!(status(&rig, &identity, "/sse"), "403");
    going.say("\n");
    going.end().code(1);
}
