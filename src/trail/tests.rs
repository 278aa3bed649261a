//! Trails of one session and of several gates, of hostile agents, and of other versions.

use super::*;

fn request(host: &str, path: &str, denial: &str) -> String {
    let audit = serde_json::json!({
        "seq": 1, "time": "2026-01-01T00:00:00.000Z", "event": "request", "host": host, "port": 443, "method": "GET",
        "path": path, "verdict": if denial.is_empty() { "allow" } else { "deny" }, "denial": denial, "reason": "why",
        "rule": "m.json:3", "sent": 1, "received": 2, "ms": 3,
    });
    audit.to_string()
}

fn egress(path: &str) -> Change {
    Change::Egress { host: "a.org".into(), port: 443, method: "GET".into(), path: path.into() }
}

fn event(event: serde_json::Value) -> String {
    let mut line = serde_json::json!({ "seq": 1, "time": "2026-01-01T00:00:01.000Z" });
    line.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    line.to_string()
}

fn proposal(change: &Change, reason: &str) -> String {
    event(serde_json::json!({ "event": "proposal", "change": change, "reason": reason }))
}

fn decided(change: &Change, verdict: &str) -> String {
    event(serde_json::json!({ "event": "decided", "change": change, "verdict": verdict }))
}

fn ready() -> String {
    event(serde_json::json!({ "event": "ready", "version": "1", "fingerprint": "ab" }))
}

fn trail(lines: &[String]) -> Trail {
    let mut trail = Trail::default();
    for line in lines {
        trail.add(line.as_bytes());
    }
    trail
}

fn changes(trail: &Trail) -> Vec<Change> {
    trail.candidates().into_iter().map(|candidate| candidate.change).collect()
}

#[test]
fn like_refusals_are_one_candidate() {
    let mut one = trail(&[request("a.org", "/x/1", "host"), request("a.org", "/x/1", "host")]);
    let candidates = one.candidates();
    assert_eq!((candidates.len(), candidates[0].count), (1, 2));
    assert_eq!(candidates[0].change, egress("/x/1"), "one path is the path itself");
    assert_eq!(candidates[0].id, egress("/x/1").id());
    one.add(request("a.org", "/x/2", "host").as_bytes());
    one.add(request("a.org", "/y", "path").as_bytes());
    assert_eq!(changes(&one), [egress("/y"), egress("/x/*")], "the last first; several paths are their shape");
    let example = &one.candidates()[1].example;
    assert_eq!((example.path.as_deref(), example.denial.as_str()), (Some("/x/2"), "host"));
}

#[test]
fn a_folded_line_counts_as_what_it_stands_for() {
    let line = request("a.org", "/x", "host");
    let repeated = line.replacen('{', r#"{"repeated":7,"since":"2025-12-31T00:00:00.000Z","#, 1);
    let trail = trail(&[repeated, line]);
    let candidates = trail.candidates();
    assert_eq!((candidates[0].count, trail.totals.requests, trail.totals.refused), (8, 8, 8));
    assert_eq!(candidates[0].first, "2025-12-31T00:00:00.000Z");
    assert_eq!((trail.totals.sent, trail.totals.received), (2, 4));
}

/// What no route changes is no candidate, nor what would be read as a pattern, nor what is not whole.
#[test]
fn only_what_a_route_can_name_is_a_candidate() {
    for (host, path, denial, is_one) in [
        ("a.org", "/x", "host", true),
        ("a.org", "/x", "rule", true),
        ("a.org", "/x", "dlp", false),
        ("a.org", "/x", "malformed", false),
        ("a.org", "/x", "a word of tomorrow", false),
        ("a.org", "/x", "", false),
        ("a.org", "/*", "host", false),
        ("a.org", "/x/**", "host", false),
        ("a.org", "/x*", "host", false),
        ("a.org", "/x/%2a", "host", false),
        ("a.org", "/x…", "host", false),
        ("a.org", "(withheld)", "host", false),
        ("a.org", "", "host", false),
        ("(withheld)", "/x", "host", false),
        ("(several)", "", "host", false),
        ("*.a.org", "/x", "host", false),
        ("A.org", "/x", "host", false),
        ("10.0.0.1", "/x", "host", false),
        ("b.org\u{1b}[2J", "/x", "host", false),
    ] {
        assert_eq!(
            trail(&[request(host, path, denial)]).candidates().len(),
            usize::from(is_one),
            "{host} {path} {denial}"
        );
    }
    let connection = request("a.org", "", "host").replace(r#""request""#, r#""connection""#).replace("GET", "");
    assert_eq!(changes(&trail(&[connection])), []);
}

#[test]
fn a_push_with_findings_is_a_candidate() {
    let (one, two) = ("1".repeat(40), "2".repeat(40));
    let push = |found: &[&String]| {
        event(serde_json::json!({
            "event": "git", "remote": "app", "operation": "push", "verdict": "deny", "found_commits": found,
            "sent": 0, "received": 0, "ms": 0,
        }))
    };
    let change = |commits: &[&String]| Change::Git {
        remote: "app".into(),
        commits: commits.iter().map(|id| (*id).clone()).collect(),
    };
    let mut all = trail(&[push(&[&one]), push(&[&one, &two]), push(&[])]);
    assert_eq!(changes(&all), [change(&[&one, &two]), change(&[&one])]);
    all.add(decided(&change(&[&two, &one]), "approved").as_bytes());
    assert_eq!(changes(&all), []);
}

#[test]
fn a_proposal_is_pending_until_it_is_decided() {
    let change = egress("/x");
    let mut all = trail(&[
        proposal(&egress("/first"), "1"),
        proposal(&change, "please"),
        request("a.org", "/x", "host"),
        proposal(&change, "please!"),
    ]);
    let listed: Vec<(&Change, &str)> = all.pending.list().iter().map(|p| (&p.change, p.reason.as_str())).collect();
    assert_eq!(listed, [(&egress("/first"), "1"), (&change, "please!")], "the oldest first");
    assert_eq!(changes(&all), [], "a candidate that is proposed is shown as the proposal alone");
    assert_eq!(all.with_id(&change.id()), vec![change.clone()]);
    all.add(decided(&change, "once").as_bytes());
    assert_eq!((all.pending.len(), changes(&all)), (1, vec![]));
    assert!(all.with_id(&change.id()).is_empty());
}

#[test]
fn a_resumed_session_keeps_what_is_undecided() {
    let lines =
        [ready(), proposal(&egress("/x"), ""), request("a.org", "/y", "host"), decided(&egress("/z"), "approved")];
    let all = trail(&[lines.to_vec(), vec![ready()]].concat());
    assert_eq!((all.pending.len(), changes(&all)), (1, vec![egress("/y")]));
}

/// An approval may end with its gate: what is refused after it is a candidate again. A rejection is the operator's word.
#[test]
fn what_is_refused_after_a_decision() {
    for (verdict, after) in [("approved", vec![egress("/x/7")]), ("once", vec![egress("/x/7")]), ("rejected", vec![])] {
        let mut all = trail(&[request("a.org", "/x/7", "path"), decided(&egress("/x/*"), verdict)]);
        assert_eq!(changes(&all), [], "{verdict}: the pattern covers the path");
        all.add(request("a.org", "/x/7", "path").as_bytes());
        assert_eq!(changes(&all), after, "{verdict}");
        all.add(decided(&egress("/x/*"), "approved").as_bytes());
        all.add(request("a.org", "/x/7", "path").as_bytes());
        assert_eq!(changes(&all), [egress("/x/7")], "{verdict}, and approved after that");
    }
}

#[test]
fn what_is_no_line_is_counted_and_nothing_else() {
    let mut all = Trail::default();
    let bad: [&[u8]; 7] = [
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        br#"{"seq":1}"#,
        br#"{"seq":1,"time":"t","event":"new"}"#,
        &[b'['; 100_000],
    ];
    for line in bad {
        all.add(line);
    }
    for empty in [b"".as_slice(), b"\n", b" "] {
        all.add(empty);
    }
    assert_eq!(all.totals, Totals { unreadable: 7, ..Totals::default() });
    // A pattern is never an agent's: it would open more than was asked for.
    for path in ["/**", "/a/*", "x"] {
        all.add(proposal(&egress(path), "").as_bytes());
    }
    assert_eq!((all.pending.len(), all.totals.unreadable), (0, 10));
    // A field of another version does not hide what is known.
    all.add(request("a.org", "/x", "host").replacen('{', r#"{"new":{"a":[1]},"#, 1).as_bytes());
    assert_eq!(changes(&all), [egress("/x")]);
}

/// A hostile agent asks for a hundred thousand hosts and proposes as many changes: memory has a bound, what came last stays.
#[test]
fn a_flood_has_a_bound() {
    let mut all = Trail::default();
    for number in 0..20_000 {
        all.add(request(&format!("h{number}.org"), "/x", "host").as_bytes());
        all.add(proposal(&egress(&format!("/p{number}")), "").as_bytes());
    }
    let candidates = all.candidates();
    assert_eq!((candidates.len(), all.pending.len()), (2048, 1024));
    assert!(matches!(&candidates[0].change, Change::Egress { host, .. } if host == "h19999.org"));
    assert_eq!(all.pending.list().last().unwrap().change, egress("/p19999"));
}
