//! Images are built where they are missing, and only there.

use crate::harness::{PLAIN, Place, rich};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn images_are_built_where_they_are_missing() {
    let place = Place::new(PLAIN);
    place.run(&["build"]).env("FAKE_IMAGES", "built").snap("build");
    place.run(&["build"]).env("FAKE_IMAGES", "built").snap("build-again");
    place.run(&["build", "--force"]).env("FAKE_IMAGES", "built").snap("build-force");
    rich().run(&["build", "fixer"]).env("FAKE_IMAGES", "built").snap("build-agent");
    let place = Place::new(PLAIN);
    let own =
        r#"{ "bottles": { "box": { "image": { "name": "own:1" } } }, "agents": { "plain": { "bottle": "box" } } }"#;
    place.write("home/.claude-bottle/claude-bottle.json", own);
    place.run(&["build", "plain"]).env("FAKE_IMAGES", "built").snap("build-own");
    let place = Place::new(PLAIN);
    place.run(&["start", "--yes", "plain"]).env("FAKE_IMAGES", "built").snap("start-builds");
}

/// A bottle's name is part of the tag of its own image. Whatever it is, that image is built where the chain to the agent's
/// image needs it, and nowhere else.
#[test]
fn a_bottle_may_be_named_like_an_image_of_ours() {
    for name in ["gate", "git", "agent", "packages", "session", "box"] {
        let manifest = r#"{ "bottles": { "NAME": { "image": { "dockerfile": "own.Dockerfile" } } },
            "agents": { "plain": { "bottle": "NAME" } } }"#;
        let place = Place::new(&manifest.replace("NAME", name));
        place.write("home/.claude-bottle/own.Dockerfile", "FROM claude-bottle-agent\n");
        let built = || {
            place.forget_calls();
            let done = place.run(&["build", "plain"]).env("FAKE_IMAGES", "built").done();
            assert_eq!(done.status, 0, "{done:?}");
            let builds = place.calls().into_iter().filter(|call| call[0] == "build");
            builds.map(|call| call[3].split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let own = format!("claude-bottle-{name}");
        // The one with git is for readers.
        let wanted = ["claude-bottle-gate", "claude-bottle-agent", &own, "claude-bottle-session", "claude-bottle-git"];
        assert_eq!(built(), wanted);
        let images = |prefix: &str| {
            let names = fs::read_dir(place.engine("images")).unwrap().map(|entry| entry.unwrap().file_name());
            let names = names.map(|name| name.into_string().unwrap());
            names.filter(|name| name.starts_with(prefix)).collect::<BTreeSet<_>>()
        };
        let gate = image_of(&place, "gate");
        let session = image_of(&place, "agent");
        // Every image but the two that containers are made of: they are needed by no start, and only one by readers.
        for image in images("claude-bottle-").into_iter().filter(|image| ![&gate, &session].contains(&image)) {
            fs::remove_file(place.engine("images").join(image)).unwrap();
        }
        assert_eq!(built(), ["claude-bottle-git"], "a bottle named {name}");
        // The gate's alone.
        fs::remove_file(place.engine("images").join(&gate)).unwrap();
        assert_eq!((built(), images(&gate).len()), (vec!["claude-bottle-gate".to_owned()], 1), "a bottle named {name}");
        // The end of the agent's chain, and with it all that it stands on.
        fs::remove_file(place.engine("images").join(&session)).unwrap();
        assert_eq!(built(), ["claude-bottle-agent", &own, "claude-bottle-session"], "a bottle named {name}");
    }
}

/// A tag may move between two builds: where the engine knows the base image by digest, images are made of that.
#[test]
fn images_are_made_of_a_base_by_its_digest() {
    let bases = |digest: Option<&str>| {
        let place = Place::new(PLAIN);
        let done =
            place.run(&["build"]).env("FAKE_IMAGES", "built").env("FAKE_DIGEST", digest.unwrap_or_default()).done();
        assert_eq!(done.status, 0, "{done:?}");
        let said =
            |word: String| word.strip_prefix("claude-bottle.base=").or(word.strip_prefix("BASE=")).map(str::to_owned);
        place.calls().into_iter().filter(|call| call[0] == "build").flatten().filter_map(said).collect::<Vec<_>>()
    };
    let digest = format!("debian@sha256:{}", "0f".repeat(32));
    // Label and argument of the agent's image, and of the one with git.
    assert_eq!(bases(Some(&digest)), [digest.as_str(); 4]);
    assert_eq!(bases(None), ["debian:trixie-slim"; 4]);
}

/// The image that a container of the plan is made of: `gate` or `agent`.
fn image_of(place: &Place, container: &str) -> String {
    let done = place.run(&["start", "--dry-run", "--format", "json", "plain"]).done();
    let plan: Value = serde_json::from_str(&done.stdout).unwrap();
    plan["images"][container].as_str().unwrap().to_owned()
}
