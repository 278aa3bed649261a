//! A session gets packages: it ends for that, is kept, and its resume builds an image of its own.

use super::{only_the_volume, start, transcript};
use crate::harness::{FAKE, Place, kept, whole};
use std::fs;

const DOCKERFILE: &str = "ARG FROM_IMAGE\nFROM ${FROM_IMAGE}\nRUN true\n";

/// The tags of the images that were built, each with the image that it stands on.
fn built(place: &Place) -> Vec<(String, Option<String>)> {
    let builds = place.calls().into_iter().filter(|call| call[0] == "build");
    let tags = builds.map(|call| {
        let from = call.iter().find_map(|word| word.strip_prefix("FROM_IMAGE=").map(str::to_owned));
        (call[3].clone(), from)
    });
    tags.collect()
}

#[test]
fn a_resume_builds_the_packages_of_its_session() {
    let place = kept();
    let identity = place.session();
    fs::write(place.session_file("Dockerfile"), DOCKERFILE).unwrap();
    let shown = place.run(&["resume", "--dry-run", &identity]).done().stdout;
    assert!(shown.contains("default, with the packages approved for this session"), "{shown}");

    // One that does not build leaves the session as it was.
    let before = whole(&place);
    let failed = place.run(&["resume", "--yes", &identity]).env("FAKE_IMAGES", "built").env("FAKE_LOST_AT", 4).done();
    assert!(failed.status == 125 && failed.stderr.contains("did not build"), "{failed:?}");
    assert!(whole(&place) == before);

    place.forget_calls();
    let resumed = place.run(&["resume", "--yes", &identity]).env("FAKE_IMAGES", "built").env("FAKE_CODE", 7).done();
    assert_eq!(resumed.status, 7, "{resumed:?}");
    let built = built(&place);
    let packages = built.iter().find(|(tag, _)| tag.starts_with("claude-bottle-packages:")).unwrap();
    let session = built.iter().find(|(tag, _)| tag.starts_with("claude-bottle-session:")).unwrap();
    assert!(packages.1.as_ref().is_some_and(|from| from.starts_with("claude-bottle-agent:")), "{built:?}");
    assert_eq!(session.1.as_ref(), Some(&packages.0), "{built:?}");

    // Another session of the agent's has none of it.
    place.forget_calls();
    assert_eq!(start(&place).env("FAKE_IMAGES", "built").done().status, 0);
    assert!(place.calls().iter().flatten().all(|word| !word.starts_with("claude-bottle-packages")));
}

#[test]
fn a_session_that_ends_for_its_packages_says_so() {
    let place = Place::new(crate::harness::PLAIN);
    let mut terminal = start(&place).env("FAKE_AGENT", "stays").on_terminal();
    terminal.until("hello from the agent");
    for name in ["Dockerfile", "rebuild"] {
        fs::write(place.session_file(name), DOCKERFILE).unwrap();
    }
    let agent = format!("claude-bottle-{}-agent", place.session());
    assert_eq!(place.run_other(&format!("{FAKE}/docker"), &["stop", "-t", "3", &agent]).done().status, 0);
    let (status, seen) = terminal.end();
    assert_eq!(status, 75, "{seen}");
    assert!(seen.contains("packages were approved") && seen.contains("claude-bottle resume"), "{seen}");
    assert_eq!(place.kept(), "packages were approved, and its image is to be built anew");
    assert!(!place.session_file("rebuild").exists());
    transcript(&place);
    only_the_volume(&place);
}
