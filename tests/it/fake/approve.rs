//! `approve`, `reject`, `proposals` and `routes`: what is asked of the gate, what is on disk, and what is left of a decision
//! that was cut off, wherever that happened.

use crate::harness::{CERTIFICATE, Place, text};
use serde_json::{Value, json};
use std::fs;

pub const MANIFEST: &str = r#"{
  // what the agent may do
  "bottles": {
    "box": {
      "egress": { "routes": [
        { "host": "api.example.org", "paths": ["/team/**"] }, // the team's
        { "host": "gone.example.org", "deny": true }
      ] },
      "git": { "remotes": [ { "name": "app", "upstream": "https://git.example.org/app.git" } ] }
    }
  },
  "agents": { "plain": { "bottle": "box" } }
}
"#;

/// A detached session with these lines in its trail.
pub fn session(lines: &[Value]) -> Place {
    let place = Place::new(MANIFEST);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let mut trail = text(&place.session_file("audit.jsonl"));
    for (number, event) in lines.iter().enumerate() {
        let mut line = json!({ "seq": 100 + number, "time": "2026-01-31T20:04:59.042Z" });
        line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        trail.push_str(&format!("{line}\n"));
    }
    fs::write(place.session_file("audit.jsonl"), trail).unwrap();
    place.forget_calls();
    place
}

pub fn refused(host: &str, method: &str, path: &str) -> Value {
    json!({ "event": "request", "host": host, "port": 443, "method": method, "path": path, "verdict": "deny",
        "denial": "host", "reason": "not on the allowlist", "sent": 0, "received": 0, "ms": 1 })
}

pub fn asked(path: &str, reason: &str) -> Value {
    let change = json!({ "kind": "egress", "host": "new.example.org", "port": 443, "method": "GET", "path": path });
    json!({ "event": "proposal", "change": change, "reason": reason })
}

/// What can be decided: id and change, proposals first.
fn waiting(place: &Place) -> Vec<(String, Value)> {
    let done = place.run(&["proposals", "--format", "json"]).done();
    assert_eq!(done.status, 0, "{done:?}");
    let all: Value = serde_json::from_str(&done.stdout).unwrap();
    let of = |key: &str| all[0][key].as_array().unwrap().clone();
    let row = |one: Value| (one["id"].as_str().unwrap().to_owned(), one["change"].clone());
    of("proposals").into_iter().chain(of("refused")).map(row).collect()
}

pub fn only_id(place: &Place) -> String {
    let mut all = waiting(place);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).0
}

/// What the gate was handed, the oldest first.
pub fn handed(place: &Place, verb: &str) -> Vec<Value> {
    let mut files: Vec<(u32, std::path::PathBuf)> = fs::read_dir(place.engine("handed"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let number = path.file_name()?.to_str()?.strip_prefix(verb)?.strip_prefix('.')?.parse().ok()?;
            Some((number, path))
        })
        .collect();
    files.sort();
    files.iter().map(|(_, path)| serde_json::from_str(&text(path)).unwrap()).collect()
}

/// Hosts and paths of the routes that the session was given.
pub fn added(place: &Place) -> Vec<String> {
    let path = place.session_file("egress/routes.json");
    if !path.exists() {
        return Vec::new();
    }
    let all: Value = serde_json::from_str(&text(&path)).unwrap();
    let word = |route: &Value| {
        let route = &route["route"];
        format!("{}{}", route["host"].as_str().unwrap(), route["paths"][0].as_str().unwrap())
    };
    all["routes"].as_array().unwrap().iter().map(word).collect()
}

/// Stage and action of every line of the record.
pub fn record(place: &Place) -> Vec<String> {
    let path = place.path("home/.claude-bottle/audit").join(format!("{}.jsonl", place.session()));
    if !path.exists() {
        return Vec::new();
    }
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["by"]["uid"].is_u64() && line["time"].as_str().unwrap().ends_with('Z'), "{line}");
        format!("{} {}", line["action"].as_str().unwrap(), line["stage"].as_str().unwrap())
    };
    text(&path).lines().map(line).collect()
}

/// Hosts of the policy that was handed over.
fn policy(handed: &Value) -> Vec<&str> {
    let reload = if handed["reload"].is_null() { handed } else { &handed["reload"] };
    reload["policy"]["routes"].as_array().unwrap().iter().map(|route| route["host"].as_str().unwrap()).collect()
}

#[test]
fn what_was_refused_is_shown_approved_and_in_force() {
    let place = session(&[refused("new.example.org", "GET", "/x"), refused("new.example.org", "GET", "/x")]);
    let id = only_id(&place);
    let identity = place.session();
    let listed = place.run(&["proposals"]).done().stdout;
    assert_eq!(
        listed,
        format!("{identity}/{id}  refused  GET new.example.org/x  2 times, last 2026-01-31 20:04:59 (host)\n")
    );
    let done = place.run(&["approve", "--yes", &id]).done();
    assert_eq!(done.status, 0, "{done:?}");
    let lines: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "asked    GET new.example.org/x",
            "refused  2 times",
            r#"route    { "host": "new.example.org", "methods": ["GET"], "paths": ["/x"] }"#,
            "opens    + GET https://new.example.org/x",
        ]
    );
    let decided = handed(&place, "decide");
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0]["decision"]["verdict"], "approved");
    assert_eq!(decided[0]["decision"]["change"]["path"], "/x");
    assert_eq!(policy(&decided[0]), ["api.example.org", "gone.example.org", "new.example.org"]);
    assert_eq!(added(&place), ["new.example.org/x"]);
    assert_eq!(record(&place), ["approve begun", "approve applied"]);
    assert_eq!(waiting(&place), []);
    // It stays in the session's plans.
    let list = place.run(&["routes", "list", "--format", "json", &identity]).done();
    let rows: Value = serde_json::from_str(&list.stdout).unwrap();
    assert_eq!((&rows[2]["id"], &rows[2]["route"]["host"]), (&json!(id), &json!("new.example.org")));
    let words = place.calls().into_iter().flatten().collect::<Vec<_>>().join(" ");
    assert!(!words.contains("new.example.org"), "what was asked for is in no argument: {words}");
}

#[test]
fn the_question_is_asked_and_no_means_no() {
    let place = session(&[asked("/x", "please\u{1b}[2J\n  plain-aaaaa/zzzzzz  asked")]);
    let id = only_id(&place);
    let mut terminal = place.run(&["approve", &id]).env("NO_COLOR", 1).on_terminal();
    terminal.until("agent    please\\u{1b}[2J\\u{a}");
    terminal.until("approve this for the session? [y/N] ");
    terminal.types("n\n");
    assert_eq!(terminal.end().0, 0);
    assert!(handed(&place, "decide").is_empty() && added(&place).is_empty() && record(&place).is_empty());
    let done = place.run(&["approve", &id]).done();
    assert_eq!(done.status, 2);
    assert!(done.stderr.contains("no terminal to ask on"), "{done:?}");
    let mut terminal = place.run(&["approve", &id]).env("NO_COLOR", 1).on_terminal();
    terminal.until("approve this for the session? [y/N] ");
    terminal.types("y\n");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(added(&place), ["new.example.org/x"]);
}

#[test]
fn once_is_a_matter_of_the_gate_alone() {
    let place = session(&[refused("new.example.org", "POST", "/x")]);
    assert_eq!(place.run(&["approve", "--once", "--yes", &only_id(&place)]).done().status, 0);
    let decided = handed(&place, "decide");
    assert_eq!(decided[0]["decision"]["verdict"], "once");
    assert_eq!(policy(&decided[0]).len(), 3);
    assert!(added(&place).is_empty());
}

#[test]
fn a_rejection_changes_no_policy() {
    let place = session(&[asked("/x", "please")]);
    let id = only_id(&place);
    let done = place.run(&["reject", "--reason", "not here", &id]).done();
    assert_eq!((done.status, done.stderr.as_str()), (0, "rejected: GET new.example.org/x\n"));
    let decided = handed(&place, "decide");
    assert_eq!(decided[0]["decision"]["verdict"], "rejected");
    assert_eq!((&decided[0]["decision"]["reason"], &decided[0]["reload"]), (&json!("not here"), &Value::Null));
    assert_eq!(record(&place), ["reject begun", "reject applied"]);
    let long = place.run(&["reject", "--reason", &"x".repeat(2000), &id]).done();
    assert_eq!(long.status, 2);
}

#[test]
fn a_gate_that_refuses_leaves_everything_as_it_was() {
    let place = session(&[refused("new.example.org", "GET", "/x")]);
    let id = only_id(&place);
    let done = place.run(&["approve", "--yes", &id]).env("FAKE_GATE", "refuses decisions").done();
    assert_eq!(done.status, 2, "{done:?}");
    assert!(done.stderr.contains("claude-bottle: the gate says: no gate takes that\n"), "{done:?}");
    assert!(added(&place).is_empty());
    assert_eq!(record(&place), ["approve begun", "approve failed"]);
    assert_eq!(only_id(&place), id, "it waits still");
}

/// Calls of an approval: the trail, whether the bottle runs, the decision.
const CALLS: usize = 3;

#[test]
fn an_approval_that_was_cut_off_is_the_old_state_or_the_new_one() {
    for call in 1..=CALLS {
        let place = session(&[refused("new.example.org", "GET", "/x")]);
        let id = waiting(&place).remove(0).0;
        place.forget_calls();
        let killed =
            place.run(&["approve", "--yes", &id]).env("FAKE_SIGNAL_AT", call).env("FAKE_SIGNAL", "KILL").done();
        assert_eq!(killed.status, 137, "call {call}: {killed:?}");
        let is_begun = record(&place) == ["approve begun"];
        assert!(is_begun || record(&place).is_empty(), "{:?}", record(&place));
        assert!(added(&place).is_empty() || is_begun, "call {call}");
        // The same again ends it, once. The gate may have taken it with the last call, though nobody heard its answer.
        place.forget_calls();
        let again = place.run(&["approve", "--yes", &id]).done();
        let is_decided = call == CALLS && again.stderr.contains("was approved already");
        assert!(again.status == 0 || is_decided, "call {call}: {again:?}");
        assert_eq!(added(&place), ["new.example.org/x"], "call {call}");
        assert_eq!(policy(handed(&place, "decide").last().unwrap()).len(), 3, "call {call}");
        assert!(is_decided || record(&place).last().unwrap() == "approve applied", "call {call}");
    }
}

#[test]
fn an_answer_that_is_lost_takes_the_approval_back() {
    let place = session(&[refused("new.example.org", "GET", "/x")]);
    let id = only_id(&place);
    place.forget_calls();
    let done = place.run(&["approve", "--yes", &id]).env("FAKE_LOST_AT", CALLS).done();
    assert_eq!(done.status, 125, "{done:?}");
    assert!(added(&place).is_empty());
    let taken_back = handed(&place, "reload");
    assert_eq!(policy(&taken_back[0]), ["api.example.org", "gone.example.org"], "the gate has what is on disk");
    assert_eq!(record(&place), ["approve begun", "approve failed"]);
}

#[test]
fn a_decision_about_what_is_gone_or_unclear_does_nothing() {
    let place = session(&[refused("new.example.org", "GET", "/x"), asked("/a/*", "a pattern"), asked("/**", "all")]);
    let identity = place.session();
    let id = only_id(&place);
    for (typed, words) in [
        ("zzzzzz", "nothing with the id `zzzzzz` waits for a decision"),
        (&format!("{identity}/zzzzzz"), "nothing with the id"),
        (&format!("plain-zzzzz/{id}"), "no session `plain-zzzzz`"),
        ("../x/y", "no session"),
        ("", "nothing with the id"),
    ] {
        let done = place.run(&["approve", "--yes", typed]).done();
        assert_eq!(done.status, 2, "{typed}: {done:?}");
        assert!(done.stderr.contains(words), "{typed}: {done:?}");
    }
    assert!(record(&place).is_empty() && added(&place).is_empty());
    assert_eq!(place.run(&["approve", "--yes", &format!("{identity}/{id}")]).done().status, 0);
    let done = place.run(&["approve", "--yes", &id]).done();
    assert_eq!((done.status, handed(&place, "decide").len()), (2, 1), "{done:?}");
    assert!(done.stderr.contains("was approved already"), "{done:?}");
    assert_eq!(added(&place).len(), 1);
}

#[test]
fn two_operators_decide_one_after_the_other() {
    let place = session(&[refused("new.example.org", "GET", "/x"), refused("new.example.org", "GET", "/y")]);
    let ids: Vec<String> = waiting(&place).into_iter().map(|(id, _)| id).collect();
    let results: Vec<i32> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            ids.iter().map(|id| scope.spawn(|| place.run(&["approve", "--yes", id]).done().status)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    // Whoever looked at the old routes is told to look again; nobody's decision is lost.
    for (id, status) in ids.iter().zip(&results) {
        assert!([0, 2].contains(status));
        if *status == 2 {
            assert_eq!(place.run(&["approve", "--yes", id]).done().status, 0);
        }
    }
    assert!(results.contains(&0), "{results:?}");
    assert_eq!(added(&place).len(), 2);
    assert_eq!(policy(handed(&place, "decide").last().unwrap()).len(), 4);
}

#[test]
fn wider_and_what_a_deny_refuses() {
    let place = session(&[refused("new.example.org", "GET", "/a/b/c"), refused("gone.example.org", "GET", "/x")]);
    let all = waiting(&place);
    let id = |host: &str| all.iter().find(|(_, change)| change["host"] == host).unwrap().0.clone();
    let done = place.run(&["approve", "--yes", "--widen", "tree", &id("new.example.org")]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(added(&place), ["new.example.org/a/b/**"]);
    let denied = id("gone.example.org");
    let done = place.run(&["approve", "--yes", "--widen", "tree", &denied]).done();
    assert_eq!(done.status, 2, "{done:?}");
    let done = place.run(&["approve", "--yes", &denied]).done();
    assert!(done.stderr.contains("note     it passes a route that denies: "), "{done:?}");
    assert_eq!(
        policy(handed(&place, "decide").last().unwrap()),
        ["api.example.org", "gone.example.org", "gone.example.org", "new.example.org"]
    );
}

/// Like refusals are one row, and pass a route that denies by the operator's own hand alone.
#[test]
fn no_pattern_passes_a_deny() {
    let place = session(&[refused("gone.example.org", "GET", "/s/1"), refused("gone.example.org", "GET", "/s/2")]);
    let id = only_id(&place);
    let done = place.run(&["approve", "--yes", &id]).done();
    assert!(done.status == 2 && done.stderr.contains("is passed for one at a time"), "{done:?}");
    assert!(done.stderr.contains("approve --edit"), "{done:?}");
    // What the editor opens is the last of them.
    let edit = place.run(&["approve", "--edit", "--yes", &id]).env("EDITOR", "/usr/bin/true");
    assert_eq!(edit.on_terminal().end().0, 0);
    assert_eq!(added(&place), ["gone.example.org/s/2"]);
    assert_eq!(policy(&handed(&place, "decide")[0])[1..], ["gone.example.org", "gone.example.org"]);
}

#[test]
fn saved_in_the_manifest_in_place() {
    let place = session(&[refused("new.example.org", "GET", "/x")]);
    let done = place.run(&["approve", "--yes", "--save", &only_id(&place)]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.stderr.contains("  + "), "the difference is shown: {done:?}");
    let saved = text(&place.path("home/.claude-bottle/claude-bottle.json"));
    let line = "        { \"host\": \"new.example.org\", \"methods\": [\"GET\"], \"paths\": [\"/x\"] }\n";
    let wanted = MANIFEST.replace("\"deny\": true }\n", &format!("\"deny\": true }},\n{line}"));
    assert_eq!(saved, wanted);
    assert_eq!(place.run(&["check", "plain", "https://new.example.org/x"]).done().status, 0);
}

/// The routes of one host trust one file, whoever wrote them.
#[test]
fn a_host_with_certificates_of_its_own_is_approved_edited_and_saved() {
    let place = Place::new(&MANIFEST.replace(
        r#"{ "host": "gone.example.org", "deny": true }"#,
        r#"{ "host": "own.example.org", "paths": ["/a"], "upstream_ca": "ca.pem", "private": true }"#,
    ));
    place.write("home/.claude-bottle/ca.pem", CERTIFICATE);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let identity = place.session();
    let mut trail = text(&place.session_file("audit.jsonl"));
    let mut line = json!({ "seq": 100, "time": "2026-01-31T20:04:59.042Z" });
    line.as_object_mut().unwrap().extend(refused("own.example.org", "GET", "/x").as_object().unwrap().clone());
    trail.push_str(&format!("{line}\n"));
    fs::write(place.session_file("audit.jsonl"), trail).unwrap();
    let done = place.run(&["approve", "--yes", "--save", &only_id(&place)]).done();
    assert_eq!(done.status, 0, "{done:?}");
    let saved = text(&place.path("home/.claude-bottle/claude-bottle.json"));
    assert!(saved.contains(r#""paths": ["/x"], "private": true, "upstream_ca": "#), "{saved}");
    let route = r#"{ "host": "own.example.org", "paths": ["/y"], "upstream_ca": "ca.pem", "private": true }"#;
    let done = place.run(&["routes", "add", "--yes", &identity, route]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(added(&place), ["own.example.org/x", "own.example.org/y"]);
}

#[test]
fn a_manifest_that_was_changed_meanwhile_is_not_written() {
    let place = session(&[refused("new.example.org", "GET", "/x"), refused("new.example.org", "GET", "/y")]);
    let ids: Vec<String> = waiting(&place).into_iter().map(|(id, _)| id).collect();
    let manifest = "home/.claude-bottle/claude-bottle.json";
    let mut terminal = place.run(&["approve", "--save", &ids[0]]).env("NO_COLOR", 1).on_terminal();
    terminal.until("and save it? [y/N] ");
    terminal.types("y\n");
    terminal.until("write this into the manifest? [y/N] ");
    let mine = MANIFEST.replace("the team's", "ours");
    place.write(manifest, &mine);
    terminal.types("y\n");
    let (status, said) = terminal.end();
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("was changed by somebody else meanwhile"), "{said}");
    assert_eq!(text(&place.path(manifest)), mine);
    assert_eq!(added(&place).len(), 1, "the session has it");
    // A manifest that became broken is not written either.
    place.write(manifest, "{ broken");
    let done = place.run(&["approve", "--yes", "--save", &ids[1]]).done();
    assert_eq!(done.status, 2, "{done:?}");
    assert_eq!(text(&place.path(manifest)), "{ broken");
}

#[test]
fn an_edited_route_is_read_as_a_manifests_is() {
    let place = session(&[refused("new.example.org", "GET", "/x")]);
    let id = only_id(&place);
    let editor = |text: &str| {
        place.write("editor", &format!("#!/bin/sh\nPATH=/usr/bin:/bin\ncat >\"$1\" <<'END'\n{text}\nEND\n"));
        let path = place.path("editor");
        std::os::unix::fs::PermissionsExt::set_mode(&mut fs::metadata(&path).unwrap().permissions(), 0o755);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let run = |text: &str| {
        place.run(&["approve", "--edit", &id]).env("NO_COLOR", 1).env("EDITOR", editor(text)).on_terminal()
    };
    for (bad, why) in [
        (r#"{ "host": "new.example.org", "methods": ["*"] }"#, "spelled out"),
        (r#"{ "host": "other.example.org" }"#, "refused still"),
        ("no route", "unknown word"),
    ] {
        let mut terminal = run(bad);
        terminal.until(why);
        terminal.until("edit again? [Y/n] ");
        terminal.types("n\n");
        assert_eq!(terminal.end().0, 0);
        assert!(added(&place).is_empty());
    }
    let with_token = r#"{ "host": "new.example.org", "auth": { "token_ref": "NEW_TOKEN" } }"#;
    let mut terminal = place
        .run(&["approve", "--edit", &id])
        .env("NO_COLOR", 1)
        .env("EDITOR", editor(with_token))
        .env("NEW_TOKEN", "t0k-9fQ2xLw8Zr3b")
        .on_terminal();
    terminal.until("approve this for the session? [y/N] ");
    terminal.types("y\n");
    assert_eq!(terminal.end().0, 0);
    let decided = handed(&place, "decide").remove(0);
    let values = decided["reload"]["values"].as_object().unwrap();
    assert_eq!(values.keys().collect::<Vec<_>>(), [&format!("approved:{id}:token")]);
    for (path, _, content) in place.whole_home() {
        assert!(!String::from_utf8_lossy(&content).contains("t0k-9fQ2xLw8Zr3b"), "{}", path.display());
    }
}

#[test]
fn routes_of_the_operators_own() {
    let place = session(&[]);
    let identity = place.session();
    let route = r#"{ "host": "mine.example.org", "paths": ["/a"] }"#;
    let done = place.run(&["routes", "add", "--yes", &identity, route]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.stderr.contains("changes  + GET HEAD OPTIONS https://mine.example.org/a\n"), "{done:?}");
    assert_eq!(policy(&handed(&place, "reload")[0]).len(), 3);
    for (bad, words) in [
        (r#"{ "host": "gate.bottle" }"#, "the gate's own"),
        (r#"{ "host": "api.example.org", "private": true }"#, "`private` differs"),
        ("x", "unknown word"),
    ] {
        let done = place.run(&["routes", "add", "--yes", &identity, bad]).done();
        assert_eq!(done.status, 2, "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
    }
    assert_eq!(added(&place), ["mine.example.org/a"]);
    let list = place.run(&["routes", "list", "--format", "json", &identity]).done().stdout;
    let id = serde_json::from_str::<Value>(&list).unwrap()[2]["id"].as_str().unwrap().to_owned();
    assert_eq!(place.run(&["routes", "remove", &identity, "zzzzzz"]).done().status, 2);
    assert_eq!(place.run(&["routes", "remove", &identity, &id]).done().status, 0);
    assert_eq!(policy(&handed(&place, "reload")[1]).len(), 2);
    assert!(added(&place).is_empty());
    assert_eq!(record(&place), ["add begun", "add applied", "remove begun", "remove applied"]);
}

/// The same route with a token from elsewhere is another route, and its token is fetched.
#[test]
fn another_command_for_a_token_is_run() {
    let place = session(&[]);
    let identity = place.session();
    let command = |word: &str| {
        place.write(&format!("home/.claude-bottle/{word}"), &format!("#!/bin/sh\necho t0k-{word}-9fQ2xLw8Zr3b\n"));
        let path = place.path(&format!("home/.claude-bottle/{word}"));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        format!(r#"{{ "host": "mine.example.org", "auth": {{ "token_cmd": ["{}"] }} }}"#, path.display())
    };
    let (one, two) = (command("one"), command("two"));
    assert_eq!(place.run(&["routes", "add", "--yes", &identity, &one]).done().status, 0);
    place.write("editor", &format!("#!/bin/sh\nPATH=/usr/bin:/bin\ncat >\"$1\" <<'END'\n{two}\nEND\n"));
    fs::set_permissions(place.path("editor"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let edit = place.run(&["routes", "edit", "--yes", &identity]).env("EDITOR", place.path("editor").display());
    assert_eq!(edit.on_terminal().end().0, 0);
    let values = |number: usize| handed(&place, "reload")[number]["values"].clone();
    let (before, after) = (values(0), values(1));
    assert!(before.as_object().unwrap().len() == 1 && after.as_object().unwrap().len() == 1, "{before} {after}");
    assert_ne!(before, after);
    assert_eq!(added(&place), ["mine.example.org/**"]);
    let done = place.run(&["routes", "add", "--yes", &identity, &two]).done();
    assert!(done.stderr.contains("has this route already"), "{done:?}");
}

/// Two paths whose changes share an id.
fn of_one_id() -> [String; 2] {
    let mut seen = std::collections::HashMap::new();
    let id = |path: &str| {
        let (host, method) = ("new.example.org".to_owned(), "GET".to_owned());
        wire::Change::Egress { host, port: 443, method, path: path.to_owned() }.id()
    };
    let words = (0..).map(|number| format!("/x{number}y"));
    words.into_iter().find_map(|path| seen.insert(id(&path), path.clone()).map(|first| [first, path])).unwrap()
}

/// An approval that was cut off is gone on with only by what it was for.
#[test]
fn a_route_is_never_taken_for_that_of_another_change_with_its_id() {
    let [first, second] = of_one_id();
    let place = session(&[refused("new.example.org", "GET", &first)]);
    let id = only_id(&place);
    assert_eq!(place.run(&["approve", "--yes", &id]).done().status, 0);
    // A trail that begins anew, as the engine's log may: only the other one is known of it.
    let line = json!({ "seq": 200, "time": "2026-01-31T20:04:59.042Z" });
    let mut other = refused("new.example.org", "GET", &second);
    other.as_object_mut().unwrap().extend(line.as_object().unwrap().clone());
    fs::write(place.session_file("audit.jsonl"), format!("{other}\n")).unwrap();
    fs::remove_file(place.engine("handed/decided")).unwrap();
    for verb in [&["approve", "--yes"][..], &["approve", "--yes", "--once"]] {
        let done = place.run(&[verb, &[&id]].concat()).done();
        assert_eq!(done.status, 2, "{done:?}");
        assert!(done.stderr.contains("another route of this session has the id"), "{done:?}");
    }
    assert_eq!(place.run(&["reject", &id]).done().status, 0);
    assert_eq!(added(&place), [format!("new.example.org{first}")], "what was approved stays");
    assert_eq!(handed(&place, "decide").len(), 2);
}

/// The manifest's lines are others than when the session began.
#[test]
fn a_route_is_saved_where_it_passes_by_the_manifest_of_today() {
    let place = session(&[refused("gone.example.org", "GET", "/x"), refused("gone.example.org", "GET", "/y")]);
    let ids: Vec<String> = waiting(&place).into_iter().map(|(id, _)| id).collect();
    let manifest = "home/.claude-bottle/claude-bottle.json";
    let first = r#"{ "host": "api.example.org", "paths": ["/team/**"] }, // the team's"#;
    let shifted = MANIFEST.replace(first, &format!("{first}\n\n\n        // it is\n        // gone:"));
    place.write(manifest, &shifted);
    let done = place.run(&["approve", "--yes", "--save", &ids[0]]).done();
    assert_eq!(done.status, 0, "{done:?}");
    let path = waiting(&place)[0].1["path"].as_str().unwrap().to_owned();
    let passes = |path: &str| place.run(&["check", "plain", &format!("https://gone.example.org{path}")]).done().status;
    assert_eq!([passes("/x"), passes("/y")].iter().sum::<i32>(), 1, "one of them, and not {path}");
    assert_eq!(passes(&path), 1);
    // A deny of an upper case path, by another bottle of the file, that no place in this one passes.
    let extended = MANIFEST
        .replace("{ \"host\": \"gone.example.org\", \"deny\": true }", "{ \"host\": \"other.example.org\" }")
        .replace("\"box\": {", "\"box\": {\n      \"extends\": [\"base\"],")
        .replace("  \"bottles\": {", "  \"bottles\": {\n    \"base\": { \"egress\": { \"routes\": [ { \"host\": \"gone.example.org\", \"deny\": true } ] } },");
    place.write(manifest, &extended);
    let done = place.run(&["approve", "--yes", "--save", &ids[1]]).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(passes(&path), 0);
}

#[test]
fn routes_of_one_session_are_in_its_plan_and_stay() {
    let place = Place::new(MANIFEST);
    let dry = place.run(&["start", "--dry-run", "--allow", "own.example.org:8443/a/*=GET,POST", "plain"]).done();
    assert_eq!(dry.status, 0, "{dry:?}");
    assert!(
        dry.stdout.contains("  own.example.org:8443  GET POST /a/*  [this session's own, ")
            || dry.stdout.contains("GET POST /a/* [this session's own, "),
        "{}",
        dry.stdout
    );
    for (bad, words) in [
        ("10.0.0.1", "an address"),
        ("a.org/x?y", "a path has no query"),
        ("a.org=get", "not a host name"),
        ("localhost", "agent's own container"),
        ("", "empty"),
    ] {
        let done = place.run(&["start", "--dry-run", "--allow", bad, "plain"]).done();
        assert_eq!(done.status, 2, "{bad}: {done:?}");
        assert!(done.stderr.contains(words) && done.stderr.contains("hint: write it as in"), "{bad}: {done:?}");
    }
    let start = ["start", "--yes", "--allow", "own.example.org/a", "plain"];
    assert_eq!(place.run(&start).env("FAKE_CODE", 7).done().status, 7);
    assert_eq!(added(&place), ["own.example.org/a"]);
    let identity = place.session();
    let json = place.run(&["resume", "--dry-run", "--format", "json", &identity]).done().stdout;
    let plan: Value = serde_json::from_str(&json).unwrap();
    let last = plan["policy"]["routes"].as_array().unwrap().last().unwrap();
    assert!(last["host"] == "own.example.org" && last["origin"].as_str().unwrap().starts_with("approved:"), "{last}");
    let script = place.run(&["resume", "--dry-run", "--format", "sh", &identity]).done().stdout;
    assert!(script.contains("own.example.org"));
    // The bottle has other rules for this host now: the session's own route is left out, and said to be.
    let private = MANIFEST.replace(
        r#"{ "host": "gone.example.org", "deny": true }"#,
        r#"{ "host": "own.example.org", "private": true }"#,
    );
    place.write("home/.claude-bottle/claude-bottle.json", &private);
    let dry = place.run(&["resume", "--dry-run", &identity]).done().stdout;
    assert!(dry.contains("LEFT OUT routes of this session") && dry.contains("`private` differs"), "{dry}");
}

#[test]
fn a_session_at_rest_is_approved_for_its_resume() {
    let place = Place::new(MANIFEST);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).done().status, 7);
    let identity = place.session();
    let mut trail = text(&place.session_file("audit.jsonl"));
    let mut line = json!({ "seq": 100, "time": "2026-01-31T20:04:59.042Z" });
    line.as_object_mut().unwrap().extend(refused("new.example.org", "GET", "/x").as_object().unwrap().clone());
    trail.push_str(&format!("{line}\n"));
    fs::write(place.session_file("audit.jsonl"), trail).unwrap();
    place.forget_calls();
    let id = only_id(&place);
    assert_eq!(place.run(&["approve", "--once", "--yes", &id]).done().status, 2);
    assert_eq!(place.run(&["reject", &id]).done().status, 2);
    let done = place.run(&["approve", "--yes", &id]).done();
    assert!(done.stderr.ends_with(&format!("approved: it counts when `{identity}` is resumed\n")), "{done:?}");
    assert_eq!(place.calls(), [[""; 0]; 0], "no engine is asked");
    assert_eq!((added(&place), waiting(&place)), (vec!["new.example.org/x".to_owned()], vec![]));
}

/// Nothing that the agent wrote is in it, and each proposal is told once.
#[test]
fn the_users_program_is_told_once() {
    let place = Place::new(MANIFEST);
    let told = place.engine("handed/told");
    let script = r#"#!/bin/sh
PATH=/usr/bin:/bin
cd "$FAKE/handed" || exit
env | grep -e ^CLAUDE_BOTTLE_IDENTITY= -e ^CLAUDE_BOTTLE_KIND= -e ^CLAUDE_BOTTLE_ID= >"told.$CLAUDE_BOTTLE_KIND"
env | grep please >>"told.$CLAUDE_BOTTLE_KIND"
[ -s told.egress ] && [ -s told.packages ] && cat told.* >.told && mv .told told
echo 1<>"$FAKE/pipes/claude-bottle-$CLAUDE_BOTTLE_IDENTITY-agent"
"#;
    place.write("notify", script);
    fs::set_permissions(place.path("notify"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let going = place
        .run(&["start", "--yes", "plain"])
        .env("FAKE_GATE", "proposes")
        .env("FAKE_AGENT", "until told")
        .env("CLAUDE_BOTTLE_NOTIFY", place.path("notify").display())
        .env("FAKE_WORK", "silent");
    assert_eq!(going.done().status, 0);
    let said = text(&told);
    let identity = format!("CLAUDE_BOTTLE_IDENTITY={}", place.session());
    assert_eq!(said.matches(&identity).count(), 2, "{said}");
    assert!(said.contains("CLAUDE_BOTTLE_KIND=egress") && said.contains("CLAUDE_BOTTLE_KIND=packages"), "{said}");
    assert!(!said.contains("please"), "{said}");
}

#[test]
fn a_person_at_the_terminal_is_known_to_a_gate_that_holds() {
    let holding = MANIFEST.replace(r#""egress": {"#, r#""supervise": { "hold": "60s" }, "egress": {"#);
    for (manifest, watches) in [(holding.as_str(), true), (MANIFEST, false)] {
        let place = Place::new(manifest);
        let terminal = place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).on_terminal();
        assert_eq!(terminal.end().0, 7);
        let is_watch = |call: &Vec<String>| call.ends_with(&["ctl".to_owned(), "watch".to_owned()]);
        assert_eq!(place.calls().iter().any(is_watch), watches);
        let place = Place::new(manifest);
        assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).done().status, 7);
        assert!(!place.calls().iter().any(is_watch), "nobody is at a pipe");
    }
}

const COMMIT: &str = "0123456789012345678901234567890123456789";

/// A push that was refused for a finding.
pub fn commits() -> Value {
    json!({ "event": "git", "remote": "app", "operation": "push", "verdict": "deny",
        "reason": "a finding", "found_commits": [COMMIT], "sent": 0, "received": 0, "ms": 1 })
}

#[test]
fn commits_are_approved_by_the_gate() {
    let place = session(&[commits()]);
    let done = place.run(&["approve", "--yes", &only_id(&place)]).done();
    assert!(done.status == 0 && done.stderr.ends_with("the next push to `app` may bring these commits\n"), "{done:?}");
    let decided = handed(&place, "decide").remove(0);
    assert_eq!((&decided["decision"]["change"]["commits"][0], &decided["reload"]), (&json!(COMMIT), &Value::Null));
    assert!(added(&place).is_empty());
}

pub fn asked_for(packages: &Value) -> Value {
    let mut change = json!({ "kind": "packages" });
    change.as_object_mut().unwrap().extend(packages.as_object().unwrap().clone());
    json!({ "event": "proposal", "change": change, "reason": "to find the crash\u{1b}[2J" })
}

#[test]
fn packages_end_the_bottle_and_are_built_by_its_resume() {
    let place = session(&[asked_for(&json!({ "apt": ["gdb"] }))]);
    let identity = place.session();
    let id = only_id(&place);
    let refused = place.run(&["approve", "--yes", "--once", &id]).done();
    assert!(refused.status == 2 && refused.stderr.contains("`--once`"), "{refused:?}");
    let done = place.run(&["approve", "--yes", &id]).env("FAKE_TAR", place.transcript()).done();
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.stderr.contains("install apt: gdb") && done.stderr.contains("builds   RUN (apt-get"), "{done:?}");
    assert!(!done.stderr.contains('\u{1b}') && done.stderr.contains("claude-bottle resume"), "{done:?}");
    assert_eq!(place.kept(), "packages were approved, and its image is to be built anew");
    let dockerfile = text(&place.session_file("Dockerfile"));
    assert!(dockerfile.contains("-- gdb &&") && !place.session_file("rebuild").exists(), "{dockerfile}");

    place.forget_calls();
    let resumed = place.run(&["resume", "--yes", &identity]).env("FAKE_IMAGES", "built").env("FAKE_CODE", 7).done();
    assert_eq!(resumed.status, 7, "{resumed:?}");
    let builds = place.calls().into_iter().filter(|call| call[0] == "build");
    assert!(builds.flatten().any(|word| word.starts_with("claude-bottle-packages:")));
}

/// The second person saw a Dockerfile without the packages of the first.
#[test]
fn packages_of_two_operators_are_not_lost() {
    let place = session(&[asked_for(&json!({ "apt": ["gdb"] })), asked_for(&json!({ "apt": ["bc"] }))]);
    let ids: Vec<String> = waiting(&place).into_iter().map(|(id, _)| id).collect();
    let mut terminal = place.run(&["approve", &ids[1]]).env("NO_COLOR", 1).on_terminal();
    terminal.until("[y/N] ");
    let first = place.run(&["approve", "--yes", &ids[0]]).env("FAKE_TAR", place.transcript()).done();
    assert_eq!(first.status, 0, "{first:?}");
    terminal.types("y\n");
    let (status, said) = terminal.end();
    assert!(status == 2 && said.contains("was changed by somebody else meanwhile"), "{said}");
    assert!(text(&place.session_file("Dockerfile")).contains("-- gdb &&"));
    assert_eq!(place.run(&["approve", "--yes", &ids[1]]).done().status, 0);
    let dockerfile = text(&place.session_file("Dockerfile"));
    assert!(dockerfile.contains("-- gdb &&") && dockerfile.contains("-- bc &&"), "{dockerfile}");
}

/// A gate that refuses, and names that no gate would let through.
#[test]
fn packages_that_are_not_approved_leave_everything_as_it_was() {
    let place = session(&[asked_for(&json!({ "apt": ["gdb"] }))]);
    let id = only_id(&place);
    let refused = place.run(&["approve", "--yes", &id]).env("FAKE_GATE", "refuses decisions").done();
    assert_eq!(refused.status, 2, "{refused:?}");
    for name in ["Dockerfile", "rebuild"] {
        assert!(!place.session_file(name).exists(), "{name}");
    }
    assert_eq!((place.mark()["mark"].as_str(), only_id(&place)), (Some("detached"), id));

    let place = session(&[asked_for(&json!({ "apt": ["gdb; reboot"] }))]);
    let refused = place.run(&["approve", "--yes", &only_id(&place)]).done();
    assert!(refused.status == 2 && refused.stderr.contains("no name of a package"), "{refused:?}");
    assert!(!place.session_file("Dockerfile").exists());
}

/// A bottle's own routes come before those of the bottle that it extends.
const EXTENDING: &str = r#"{
  "bottles": {
    "base": { "egress": { "routes": [ { "host": "new.example.org", "paths": ["/users/admin"], "deny": true } ] } },
    "box": { "extends": ["base"], "egress": { "routes": [ { "host": "api.example.org" } ] } }
  },
  "agents": { "plain": { "bottle": "box" } }
}
"#;

#[test]
fn a_route_is_not_saved_where_it_would_open_more() {
    let place = Place::new(EXTENDING);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let mut trail = text(&place.session_file("audit.jsonl"));
    for (number, path) in ["/users/18", "/users/17"].iter().enumerate() {
        let mut line = json!({ "seq": 100 + number, "time": "2026-01-31T20:04:59.042Z" });
        line.as_object_mut().unwrap().extend(refused("new.example.org", "GET", path).as_object().unwrap().clone());
        trail.push_str(&format!("{line}\n"));
    }
    fs::write(place.session_file("audit.jsonl"), trail).unwrap();
    let done = place.run(&["approve", "--yes", "--save", &only_id(&place)]).done();
    assert!(
        done.status == 2 && done.stderr.contains("would let pass something else than what was approved"),
        "{done:?}"
    );
    assert_eq!(text(&place.path("home/.claude-bottle/claude-bottle.json")), EXTENDING);
    let denied = place.run(&["check", "plain", "GET", "https://new.example.org/users/admin"]).done();
    assert_eq!(denied.status, 1, "{denied:?}");
}

/// The beginning of a commit's id can be made for another commit.
#[test]
fn a_commit_is_shown_by_its_whole_id() {
    let id = "4431b5e13a032da137db34bbdaa4ba64a7c312c7";
    let change = json!({ "kind": "git", "remote": "app", "commits": [id] });
    let place = session(&[json!({ "event": "proposal", "reason": "an example", "change": change })]);
    let done = place.run(&["proposals"]).done();
    assert!(done.stdout.contains(id), "{done:?}");
}

/// Servers read a path in more ways than one.
#[test]
fn a_path_with_a_star_in_another_reading_is_no_proposal() {
    for path in ["/%252A%252A", "/docs/%EF%BC%8A", "/%EF%BC%8A%EF%BC%8A", "/a/%252A%252A/b"] {
        let place = session(&[refused("new.example.org", "GET", path)]);
        assert_eq!(waiting(&place), [], "{path}");
        let suggested = place.run(&["suggest", &place.session()]).done();
        assert!(!suggested.stdout.contains("\"paths\": [\"/%"), "{path}: {suggested:?}");
    }
}
