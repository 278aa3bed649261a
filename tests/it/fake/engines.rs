//! Which engine a session runs on, what kind it is, and what is said where there is none.

use super::{nothing, start};
use crate::harness::{ENGINES, PLAIN, Place, Run};

/// A session stays on the engine it was started on, whatever the environment says later.
#[test]
fn the_engine_of_a_session_is_recorded() {
    let variables = [["DOCKER_HOST", "DOCKER_CONTEXT"], ["CONTAINER_HOST", "CONTAINER_CONNECTION"]];
    for (engine, [host, context]) in ENGINES.into_iter().zip(variables) {
        let place = Place::on(engine, PLAIN);
        let one = "ssh://one.example.org";
        assert_eq!(start(&place).env(host, one).env("FAKE_CODE", 7).done().status, 7);
        let identity = place.session();
        let resume = || place.run(&["resume", "--yes", &identity]).env(host, "ssh://two.example.org");
        assert_eq!(resume().env("FAKE_AGENT", "detaches").done().status, 0);
        let attach = place.run(&["attach", &identity]).env(context, "three").env("FAKE_ATTACH", "ends");
        assert_eq!(attach.done().status, 0);
        assert!(place.hosts().iter().all(|host| host == one), "{:?}", place.hosts());
        nothing(&place);
    }
}

/// What kind of engine it is, it says itself; until it was asked, its program's name does.
#[test]
fn podman_is_known_by_its_name_or_by_its_word() {
    let row = |run: Run| {
        let done = run.done();
        done.stdout.lines().chain(done.stderr.lines()).find(|line| line.starts_with("engine ")).unwrap().to_owned()
    };
    let place = Place::on("podman", PLAIN);
    let dry = || row(place.run(&["start", "--dry-run", "plain"]));
    assert_eq!(dry(), "engine   podman (default), taken for podman by its name, decided at start");
    assert_eq!(row(start(&place)), "engine   podman (default)");
    assert_eq!(dry(), "engine   podman (default)");
    nothing(&place);

    let place = Place::new(PLAIN);
    assert_eq!(row(place.run(&["start", "--dry-run", "plain"])), "engine   docker (default)");
    assert_eq!(row(start(&place).env("FAKE_PODMAN", "yes")), "engine   docker (default), which is podman");
    nothing(&place);
    // What it was seen to be serves every verb.
    assert_eq!(start(&place).env("FAKE_PODMAN", "yes").env("FAKE_CODE", 7).done().status, 7);
    let resume = place.run(&["resume", "--yes", &place.session()]).env("FAKE_PODMAN", "yes");
    assert_eq!(resume.done().status, 0);
    assert_eq!(place.run(&["cleanup", "--yes"]).env("FAKE_PODMAN", "yes").done().status, 0);
    nothing(&place);
}

#[test]
fn no_engine() {
    let place = Place::new(PLAIN);
    let start = || place.run(&["start", "--yes", "plain"]);
    start().env("PATH", "/nowhere").snap("engine-no-program");
    start().env("CLAUDE_BOTTLE_DOCKER", "nerdctl").snap("engine-other-program");
    let silent = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    start().env("FAKE_SAYS", silent).snap("engine-silent");
    let denied = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/info\": dial unix /var/run/docker.sock: connect: permission denied";
    start().env("FAKE_SAYS", denied).snap("engine-denied");
    assert_eq!(place.sessions(), [""; 0]);
}
