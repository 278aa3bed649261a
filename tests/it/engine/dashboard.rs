//! The dashboard beside a running bottle: what was refused inside is seen on it, and passes after two keys.

use super::Rig;
use serde_json::json;

#[test]
fn what_was_refused_passes_after_two_keys() {
    let rig = Rig::new(&json!({}));
    let mut route = rig.origin().route();
    route["paths"] = json!(["/hello"]);
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [route] } } },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c", "printf 'ON%s\\n' ward; read _"] } },
    }));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("ONward");
    let identity = rig.sessions().remove(0);
    let mut screen = rig.on_terminal(&["dashboard"]);
    screen.until("nothing waits");
    let status = || {
        let ask = "curl -s -o /dev/null -w '%{http_code}' https://allowed.example.org/echo";
        rig.run(&["exec", &identity, "--", "sh", "-c", ask], "").code(0).stdout.trim().to_owned()
    };
    assert_eq!(status(), "403");
    screen.until("GET allowed.example.org/echo");
    screen.say("a");
    screen.until("y does it");
    screen.say("y");
    screen.until("approved:");
    assert_eq!(status(), "200", "the same request, in the same session");
    screen.say("q");
    screen.end().code(0);
    going.say("\n");
    going.end().code(0);
    rig.assert_nothing_left();
}
