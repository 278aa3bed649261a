//! `edit`: what an editor leaves is what is there, or nothing is; and nothing that somebody wrote is lost.

use crate::harness::{PLAIN, Place, Terminal, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const MANIFEST: &str = "home/.claude-bottle/claude-bottle.json";
const OTHER: &str = r#"{ "bottles": { "box": {} }, "agents": { "other": { "bottle": "box" } } }"#;
const BROKEN: &str = "{\n  \"bottles\": { \"box\": {} },\n  \"agents\": { \"plain\": { \"botle\": \"box\" } }\n}\n";
const QUESTION: &str = "[E/k/b] ";

/// An editor that is this script; `$1` is the file.
fn editor(script: &str) -> String {
    shlex::try_join(["/bin/sh", "-euc", script, "ed"]).unwrap()
}

fn writes(text: &str) -> String {
    editor(&format!("printf %s {} >\"$1\"", shlex::try_quote(text).unwrap()))
}

fn edit(place: &Place, args: &[&str], editor: &str) -> Terminal {
    place
        .run(&[&["edit"], args].concat())
        .env("EDITOR", editor)
        .env("PATH", "/usr/bin:/bin")
        .env("NO_COLOR", 1)
        .on_terminal()
}

/// The files beside the manifest.
fn beside(place: &Place) -> Vec<String> {
    let entries = fs::read_dir(place.path("home/.claude-bottle")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn alone(place: &Place) {
    assert_eq!(beside(place), ["claude-bottle.json"]);
}

#[test]
fn what_was_written_takes_its_place() {
    let place = Place::new(PLAIN);
    fs::set_permissions(place.path(MANIFEST), fs::Permissions::from_mode(0o640)).unwrap();
    let (status, seen) = edit(&place, &[], &writes(OTHER)).end();
    assert_eq!((status, seen), (0, format!("saved `{}`\n", place.path(MANIFEST).display())));
    assert_eq!(text(&place.path(MANIFEST)), OTHER);
    assert_eq!(fs::metadata(place.path(MANIFEST)).unwrap().permissions().mode() & 0o777, 0o640);
    alone(&place);
}

/// What is open in a session is never half of something: the editor works on a file of its own, also one that replaces it.
#[test]
fn the_file_itself_is_not_touched_before() {
    let place = Place::new(PLAIN);
    let script = format!(
        "test \"$1\" != {0} && printf half >\"$1\" && grep -q plain {0} && printf %s {1} >\"$1.new\" && mv \"$1.new\" \"$1\"",
        place.path(MANIFEST).display(),
        shlex::try_quote(OTHER).unwrap()
    );
    assert_eq!(edit(&place, &[], &editor(&script)).end().0, 0);
    assert_eq!(text(&place.path(MANIFEST)), OTHER);
    alone(&place);
}

#[test]
fn a_link_stays_a_link() {
    let place = Place::new(PLAIN);
    fs::create_dir(place.path("dotfiles")).unwrap();
    fs::rename(place.path(MANIFEST), place.path("dotfiles/bottles.json")).unwrap();
    symlink("../../dotfiles/bottles.json", place.path(MANIFEST)).unwrap();
    assert_eq!(edit(&place, &[], &writes(OTHER)).end().0, 0);
    assert!(place.path(MANIFEST).symlink_metadata().unwrap().is_symlink());
    assert_eq!(text(&place.path("dotfiles/bottles.json")), OTHER);
    assert_eq!(fs::read_dir(place.path("dotfiles")).unwrap().count(), 1);
}

#[test]
fn nothing_changed_is_nothing_written() {
    let place = Place::new(PLAIN);
    let before = fs::metadata(place.path(MANIFEST)).unwrap().modified().unwrap();
    assert_eq!(edit(&place, &[], "/bin/true").end(), (0, "nothing was changed\n".to_owned()));
    assert_eq!(fs::metadata(place.path(MANIFEST)).unwrap().modified().unwrap(), before);
    alone(&place);
}

/// What does not hold is shown by file and line, and the person says what becomes of it.
#[test]
fn a_fault_is_shown_and_asked_about() {
    let told = |place: &Place| format!("{}:3: unknown key `botle` in an agent", place.path(MANIFEST).display());
    let place = Place::new(PLAIN);
    let mut terminal = edit(&place, &[], &writes(BROKEN));
    terminal.until(&told(&place));
    terminal.until("hint: did you mean `bottle`?");
    terminal.until(QUESTION);
    terminal.types("b\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.ends_with("nothing was changed\n"), "{status} {seen}");
    assert_eq!(text(&place.path(MANIFEST)), PLAIN);
    alone(&place);

    let mut terminal = edit(&place, &[], &writes(BROKEN));
    terminal.until(QUESTION);
    terminal.types("k\n");
    assert_eq!(terminal.end().0, 0);
    assert_eq!(text(&place.path(MANIFEST)), BROKEN);
    alone(&place);

    // Again, on what was written so far.
    let place = Place::new(PLAIN);
    let script = format!(
        "if grep -q botle \"$1\"; then sed -i s/botle/bottle/ \"$1\"; else printf %s {} >\"$1\"; fi",
        shlex::try_quote(BROKEN).unwrap()
    );
    let mut terminal = edit(&place, &[], &editor(&script));
    terminal.until(QUESTION);
    terminal.types("x\n\n");
    let (status, seen) = terminal.end();
    assert!(status == 0 && seen.matches(QUESTION).count() == 2 && seen.contains("saved `"), "{status} {seen}");
    assert_eq!(text(&place.path(MANIFEST)), BROKEN.replace("botle", "bottle"));
    alone(&place);
}

/// An agent whose bottle is not there any more does not start.
#[test]
fn a_bottle_that_is_gone_is_a_fault() {
    let place = Place::new(PLAIN);
    let mut terminal = edit(&place, &[], &writes(&PLAIN.replace("\"box\": {}", "\"bix\": {}")));
    terminal.until("agent `plain`: no bottle `box`");
    terminal.until(QUESTION);
    terminal.types("\u{4}");
    let (status, seen) = terminal.end();
    assert!(status == 2 && seen.contains("nothing was changed\nhint: what you wrote is in `"), "{status} {seen}");
    assert_eq!(text(&place.path(MANIFEST)), PLAIN);
    assert_eq!(beside(&place).len(), 2);
}

/// The terminal is closed, or Ctrl-C is pressed, at the question: what was written is still there.
#[test]
fn a_signal_at_the_question_loses_nothing() {
    let place = Place::new(PLAIN);
    let mut terminal = edit(&place, &[], &writes(BROKEN));
    terminal.until(QUESTION);
    terminal.types("\u{3}");
    let (status, seen) = terminal.end();
    assert_eq!((status, text(&place.path(MANIFEST)).as_str()), (130, PLAIN), "{seen}");
    let mut terminal = edit(&place, &[], &writes(BROKEN));
    terminal.until(QUESTION);
    terminal.hang_up();
    terminal.end();
    let drafts: Vec<String> =
        beside(&place).into_iter().filter(|name| name.starts_with(".claude-bottle-draft-")).collect();
    assert_eq!(drafts.len(), 2);
    for draft in drafts {
        assert_eq!(text(&place.path("home/.claude-bottle").join(draft)), BROKEN);
    }
}

/// Ctrl-C is a key of the editor's, also the third time. The editor sleeps for short times, because a shell whose `read`
/// begins just after a signal runs the trap only when the `read` ends.
#[test]
fn keys_are_the_editors() {
    let place = Place::new(PLAIN);
    let script = format!(
        "n=0; trap 'n=$((n + 1)); echo heard $n' INT; echo ready; while [ $n -lt 4 ]; do sleep 0.1 || :; done; printf %s {} >\"$1\"",
        shlex::try_quote(OTHER).unwrap()
    );
    let mut terminal = edit(&place, &[], &editor(&script));
    terminal.until("ready");
    for pressed in 1..=4 {
        terminal.types("\u{3}");
        terminal.until(&format!("heard {pressed}"));
    }
    assert_eq!(terminal.end().0, 0);
    assert_eq!(text(&place.path(MANIFEST)), OTHER);
}

/// Somebody else was there meanwhile: both are kept.
#[test]
fn two_who_change_it_lose_nothing() {
    let place = Place::new(PLAIN);
    let theirs = PLAIN.replace("plain", "theirs");
    let script = format!(
        "printf %s {} >{}; printf %s {} >\"$1\"",
        shlex::try_quote(&theirs).unwrap(),
        place.path(MANIFEST).display(),
        shlex::try_quote(OTHER).unwrap()
    );
    let (status, seen) = edit(&place, &[], &editor(&script)).end();
    assert!(status == 2 && seen.contains("was changed by somebody else meanwhile, and stays so"), "{status} {seen}");
    assert_eq!(text(&place.path(MANIFEST)), theirs);
    let draft = beside(&place).into_iter().find(|name| name.starts_with(".claude-bottle-draft-")).unwrap();
    assert!(seen.contains(&draft), "{seen}");
    assert_eq!(text(&place.path("home/.claude-bottle").join(draft)), OTHER);
}

#[test]
fn an_editor_that_fails_changes_nothing() {
    for (script, words) in [("exit 1", "ended with 1"), ("kill -9 $$", "ended by SIGKILL")] {
        let place = Place::new(PLAIN);
        let (status, seen) = edit(&place, &[], &editor(script)).end();
        let wanted = format!("claude-bottle: the editor `/bin/sh`: {words}\nnothing was changed\n");
        assert_eq!((status, seen), (2, wanted), "{script}");
        alone(&place);
        // What was saved before that is not thrown away.
        let (_, seen) = edit(&place, &[], &editor(&format!("printf saved >\"$1\"; {script}"))).end();
        assert!(seen.contains("hint: what you wrote is in `"), "{seen}");
        assert_eq!(text(&place.path(MANIFEST)), PLAIN);
    }
    let place = Place::new(PLAIN);
    let (status, seen) = edit(&place, &[], "/nowhere/ed").end();
    assert!(
        status == 2
            && seen.contains("the editor `/nowhere/ed`: No such file")
            && seen.contains("hint: name yours in `EDITOR`"),
        "{status} {seen}"
    );
    let (status, seen) = edit(&place, &[], "ed 'x").end();
    assert!(status == 2 && seen.contains("`EDITOR` is no command: `ed 'x`"), "{status} {seen}");
    alone(&place);
}

/// An agent's definition is opened where it is; `VISUAL` comes before `EDITOR`.
#[test]
fn an_agent_is_opened_at_its_line() {
    let place = Place::new(BROKEN);
    place.write("work/claude-bottle.json", "{ \"agents\": {\n\n  \"other\": { \"bottle\": \"box\" } } }");
    place.write("bin/vi", "#!/bin/sh\necho \"[$1 $(grep -c . \"$2\")]\"\n");
    fs::set_permissions(place.path("bin/vi"), fs::Permissions::from_mode(0o755)).unwrap();
    let seen = |args: &[&str], name: &str| {
        let run = place.run(args).env("PATH", format!("{}:/usr/bin:/bin", place.path("bin").display()));
        let (status, seen) =
            run.env("EDITOR", "/bin/false").env(name, place.path("bin/vi").display()).on_terminal().end();
        assert_eq!(status, 0, "{seen}");
        seen
    };
    // A broken one, too; that it is broken is no news while nothing is changed.
    assert_eq!(seen(&["edit", "plain"], "VISUAL"), "[+3 4]\nnothing was changed\n");
    assert_eq!(seen(&["edit", "other"], "EDITOR"), "[+3 2]\nnothing was changed\n");
    place.run(&["edit", "othr"]).snap("edit-unknown");
}

#[test]
fn what_cannot_be_edited() {
    let place = Place::new(PLAIN);
    place.run(&["edit"]).snap("edit-no-terminal");
    fs::remove_file(place.path(MANIFEST)).unwrap();
    place.run(&["edit"]).snap("edit-no-manifest");
    place.write(MANIFEST, "{ nonsense");
    place.run(&["edit", "plain"]).snap("edit-broken");
}
