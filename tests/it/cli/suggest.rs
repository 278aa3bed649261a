//! `suggest`: routes for what was refused, of a session and of all.

use crate::harness::{Place, kept};
use serde_json::json;
use std::fs;

fn refused(method: &str, host: &str, path: &str) -> String {
    let line = json!({ "seq": 1, "time": "2026-01-01T00:00:00.000Z", "event": "request", "host": host, "port": 443, "method": method,
        "path": path, "verdict": "deny", "denial": "host", "reason": "no", "sent": 0, "received": 0, "ms": 0 });
    line.to_string() + "\n"
}

fn place() -> Place {
    let place = kept();
    let push = json!({ "seq": 2, "time": "2026-01-02T00:00:00.000Z", "event": "git", "remote": "app", "operation": "push",
        "verdict": "deny", "found_commits": ["1".repeat(40)], "sent": 0, "received": 0, "ms": 0 });
    let lines = [
        refused("GET", "pypi.example", "/simple/requests/"),
        refused("GET", "api.example", "/repos/team/app/pulls/1"),
        refused("GET", "api.example", "/repos/team/app/pulls/2"),
        refused("POST", "api.example", "/gists"),
        refused("GET", "evil.example", "/\u{1b}[2J\n\u{202e}"),
        refused("POST", "forge.example", "/app.git/git-receive-pack"),
        push.to_string() + "\n",
    ];
    fs::write(place.session_file("audit.jsonl"), lines.concat()).unwrap();
    place
}

#[test]
fn routes_for_what_was_refused() {
    let place = place();
    let identity = place.session();
    let before = place.whole_home();
    let text = place.run(&["suggest", &identity]).snap("suggest");
    place.run(&["suggest", "--format", "json", &identity]).snap("suggest-json");
    place.run(&["suggest", "--since", "99999d"]).stdout(&text.stdout).test();
    place.run(&["suggest", "--since", "99999d", "plain"]).stdout(&text.stdout).test();
    place.run(&["suggest", "--since", "1h"]).snap("suggest-since");
    place.run(&["-q", "suggest", "--since", "99999d", "nobody"]).stdout("").test();
    place.run(&["suggest"]).snap("suggest-none");
    place.run(&["suggest", "--since", "soon"]).snap("suggest-age");
    assert_eq!(place.calls(), [[""; 0]; 0]);
    assert_eq!(place.whole_home(), before);
}

/// What is written into the manifest is suggested no more, and the manifest reads it.
#[test]
fn a_suggested_route_is_one_of_a_manifest() {
    let place = place();
    let identity = place.session();
    let text = place.run(&["suggest", &identity]).done().stdout;
    let manifest = format!(
        "{{ \"bottles\": {{ \"box\": {{ \"egress\": {{ \"routes\": [\n{text}] }} }} }}, \"agents\": {{ \"plain\": {{ \"bottle\": \"box\" }} }} }}"
    );
    place.write("home/.claude-bottle/claude-bottle.json", &manifest);
    place.run(&["check", "plain", "https://api.example/repos/team/app/pulls/3"]).done();
    let again = place.run(&["suggest", "--format", "json", &identity]).done();
    let again: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(again[0]["routes"], json!([]), "{again}");
}
