//! `git allow`, for which the gate is asked on its control socket, and what is pushed to a local remote.

use crate::harness::{ENGINES, FAKE, Host, Place, Run, text};
use std::fs;

const REMOTES: &str = r#"{ "bottles": { "box": { "git": { "remotes": [
    { "name": "app", "upstream": "https://git.example.org/app.git" } ] } } },
  "agents": { "plain": { "bottle": "box" } } }"#;

#[test]
fn what_was_refused_is_let_through_by_its_id() {
    let place = Place::new(REMOTES);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let id = place.session();
    let known = "0123456789012345678901234567890123456789";
    place.run(&["git", "allow", &id, known]).stderr("the next push may bring this commit\n").test();
    let call = place.calls().pop().unwrap();
    assert_eq!(call[call.len() - 3..], ["claude-bottle-gate", "ctl", "git-allow"], "no id is in an argument: {call:?}");
    let said = "claude-bottle: no commit was refused in this session that begins with `0123456`\n\
        hint: the refusal that the agent got, and `claude-bottle logs`, name the commits\n";
    place.run(&["git", "allow", &id, "0123456"]).status(2).stderr(said).test();
    assert_eq!(place.run(&["git", "allow", &id]).done().status, 2);
}

#[test]
fn a_bottle_without_remotes_has_nothing_to_allow() {
    let place = Place::new(crate::harness::PLAIN);
    assert_eq!(place.run(&["start", "--yes", "plain"]).env("FAKE_AGENT", "detaches").done().status, 0);
    let id = place.session();
    let done = place.run(&["git", "allow", &id, "0123456789012345678901234567890123456789"]).done();
    assert_eq!(done.status, 2);
    assert!(done.stderr.contains("has no remotes"), "{done:?}");
}

/// A home with a local remote.
const LOCAL: &str = r#"{ "bottles": { "box": { "git": { "remotes": [ { "name": "host", "local": true } ] } } },
  "agents": { "plain": { "bottle": "box" } } }"#;
const PUSHED: &str = r#""complete":true,"files":0,"pushed":1"#;

/// The volumes of the session.
fn volumes(place: &Place) -> Vec<String> {
    let home = format!("claude-bottle-{}", place.session());
    vec![home.clone(), format!("{home}-pushes")]
}

fn start<'a>(place: &'a Place, args: &[&str]) -> Run<'a> {
    place
        .run(&[args, &["--yes"]].concat())
        .env("PATH", format!("{FAKE}:/usr/bin:/bin"))
        .env("FAKE_TAR", place.transcript())
}

/// What was pushed to a local remote keeps the session, comes by `work fetch` whether it lives or not, stays over a resume,
/// and goes with the home.
#[test]
fn what_is_pushed_to_a_local_remote_is_kept_and_fetched() {
    for engine in ENGINES {
        let place = Place::on(engine, LOCAL);
        let host = Host::new(place.path("work"));
        let base = host.git(&["rev-parse", "HEAD"]);
        let base = base.trim();
        let detached = start(&place, &["start", "--cwd", "plain"]).env("FAKE_AGENT", "detaches").done();
        assert_eq!(detached.status, 0, "{detached:?}");
        let (id, plan) = (place.session(), text(&place.session_file("plan.json")));
        assert!(plan.contains(base), "{plan}");
        // Nothing was pushed.
        let fetch = |work: &str| {
            let run = place.run(&["work", "fetch", &id]).env("FAKE_WORK", work.to_owned());
            run.env("PATH", format!("{FAKE}:/usr/bin:/bin"))
        };
        let none = r#""complete":true,"files":0"#;
        fs::write(place.engine("handed/refs"), format!("{base} refs/heads/main\n")).unwrap();
        fetch(none).stderr("no commits: no changes to copy back\n").test();
        // The agent pushes a branch.
        let agent = Host { path: place.path("agent") };
        host.git(&["clone", "-q", ".", agent.path.to_str().unwrap()]);
        agent.shell(
            "echo two >>one; git commit -qam two; git update-ref refs/bottle/remotes/host/heads/topic HEAD
             git bundle create -q ../engine/handed/pushed refs/bottle/remotes/host/heads/topic ^HEAD~1",
        );
        let tip = agent.git(&["rev-parse", "HEAD"]);
        fs::write(place.engine("handed/refs"), format!("{base} refs/heads/main\n{} refs/heads/topic\n", tip.trim()))
            .unwrap();
        let name = format!("refs/bottles/{id}/remotes/host/heads/topic");
        let brought = fetch(none).done();
        assert_eq!((brought.status, brought.stdout.starts_with(&name)), (0, true), "{brought:?}");
        assert_eq!(host.git(&["rev-parse", &name]), tip);
        assert_eq!(text(&place.engine("handed/stdin")).trim(), base, "the reader is told what is here");
        fs::remove_file(place.engine("handed/pushed")).unwrap();
        assert!(fetch(none).done().stderr.contains("has all commits of the remote `host` already"));
        // The end: the gate has counted it.
        let attach = place.run(&["attach", &id]).env("FAKE_ATTACH", "ends").env("FAKE_WORK", PUSHED);
        let attach = attach.env("FAKE_TAR", place.transcript()).done();
        assert_eq!(place.kept(), "changes not copied back yet: 1 pushed ref to the local remote", "{attach:?}");
        assert!(attach.stderr.contains(&format!("claude-bottle work fetch {id}")), "{attach:?}");
        assert_eq!(place.objects(), volumes(&place));
        assert_eq!(start(&place, &["resume", &id]).env("FAKE_CODE", 7).done().status, 7);
        assert_eq!(place.objects(), volumes(&place));
        place.run(&["cleanup", "--yes", &id]).env("FAKE_WORK", "").done();
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()), "{engine}");
    }
}

#[test]
fn without_a_push_nothing_of_a_local_remote_is_left() {
    for engine in ENGINES {
        let place = Place::on(engine, LOCAL);
        let done = start(&place, &["start", "plain"]).done();
        assert_eq!((done.status, place.objects(), place.sessions()), (0, Vec::new(), Vec::new()), "{done:?}");
        let mut terminal = place.run(&["start", "plain"]).env("NO_COLOR", 1).on_terminal();
        terminal.until("launch this agent? [y/N] ");
        terminal.types("n\n");
        assert_eq!(terminal.end().0, 0);
        assert_eq!((place.objects(), place.sessions()), (Vec::new(), Vec::new()));
    }
}

/// Whose remote the manifest has no more: the gate of a later run does not know what an earlier one has kept.
#[test]
fn a_local_remote_that_is_gone_keeps_the_session() {
    for engine in ENGINES {
        let place = Place::on(engine, LOCAL);
        assert_eq!(start(&place, &["start", "plain"]).env("FAKE_CODE", 7).done().status, 7);
        let id = place.session();
        place.write("home/.claude-bottle/claude-bottle.json", crate::harness::PLAIN);
        assert_eq!(start(&place, &["resume", &id]).done().status, 0);
        assert_eq!(place.kept(), "what was pushed to a former local remote may be nowhere else");
        assert_eq!(place.objects(), volumes(&place));
    }
}
