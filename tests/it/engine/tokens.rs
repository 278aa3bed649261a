//! Tokens that end, in a real session: fetched anew by its owner, refused while there is none, fetched when one comes.

use super::secrets::everything;
use super::{Rig, docker};
use crate::harness::until;
use serde_json::json;

const TOKENS: [&str; 3] = ["first-1f0e9d8c7b6a5948", "second-2f0e9d8c7b6a5948", "third-3f0e9d8c7b6a5948"];

/// What the agent runs: each loop ends by what the gate and the origin say.
const AGENT: &str = "ask() { curl -s https://allowed.example.org/echo; }; \
    until ask | grep -q first; do :; done; until ask | grep -q second; do :; done; echo SWITCHED; \
    until ask | grep -q 'token expired, attach'; do :; done; : >~/refused; \
    until ask | grep -q third; do :; done; echo AGAIN; read _; exit 1";

#[test]
fn a_token_is_fetched_anew_while_somebody_is_there() {
    let rig = Rig::new(&json!({}));
    let [first, second, third] = TOKENS;
    let command = format!(
        "cd ~; echo run >>runs; case $(wc -l <runs) in\n\
         1) echo '{{\"token\":\"{first}\",\"expires_in\":5}}' ;;\n\
         2) echo '{{\"token\":\"{second}\",\"expires_in\":10}}' ;;\n*) echo {third} ;;\nesac\n"
    );
    std::fs::write(rig.path().join("token"), command).unwrap();
    let mut route = rig.origin().route();
    route["auth"] = json!({ "token_cmd": ["sh", rig.path().join("token")] });
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [route] } } },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c", AGENT] } },
    }));
    let mut going = rig.on_terminal(&["start", "--yes", "a"]);
    going.until("SWITCHED");
    going.say("\u{1d}d");
    going.end().code(0).says("detached from");
    let identity = rig.sessions().remove(0);
    let refused = || rig.run(&["exec", &identity, "--", "sh", "-c", "test -e ~/refused && echo yes || echo no"], "");
    until("a request that is refused", || refused().code(0).stdout.contains("yes"));

    let mut going = rig.on_terminal(&["attach", &identity]);
    going.until("AGAIN");
    let shown = everything(&rig, &identity);
    for token in TOKENS {
        assert!(!shown.contains(token), "{token}");
    }
    let log = docker(&["logs", &format!("claude-bottle-{identity}-gate")]);
    assert!(log.contains(r#""event":"refresh""#) && log.contains(r#""event":"refreshed""#), "{log}");
    going.say("\n");
    let ran = going.end().code(1);
    assert!(!ran.stdout.contains("anew"), "{}", ran.stdout);
    assert_eq!(std::fs::read_to_string(rig.path().join("runs")).unwrap().lines().count(), 3);
}
