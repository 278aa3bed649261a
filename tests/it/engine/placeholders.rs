//! Programs that ask nothing before they have seen a credential: each finds a placeholder in its variable, and the gate puts
//! the real one in its place, for its host alone.

use super::mcp::install_python;
use super::{Rig, docker};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// What each program is asked for, and the variable in which it looks for its token.
const PROGRAMS: &str = r#"
export PYTHONPATH=/clients HF_HUB_DISABLE_TELEMETRY=1
gh api --hostname allowed.example.org echo/gh >/dev/null || echo "gh failed"
python3 -c 'import openai; openai.OpenAI(base_url="https://allowed.example.org/echo/openai", max_retries=0).models.list()' ||
    echo "openai failed"
python3 -c 'from huggingface_hub import HfApi; HfApi(endpoint="https://allowed.example.org/echo/hf").whoami()' ||
    echo "huggingface_hub failed"
echo "variables: $GH_ENTERPRISE_TOKEN $OPENAI_API_KEY $HF_TOKEN"
curl -sS -o /dev/null -w 'in a body: %{http_code}\n' -d "token=$GH_ENTERPRISE_TOKEN" https://allowed.example.org/echo/body
curl -sS -o /dev/null -w 'without: %{http_code}\n' -H "authorization: token $GH_ENTERPRISE_TOKEN" \
    https://allowed.example.org/hello/echo
curl -sS -o /dev/null -w 'elsewhere: %{http_code}\n' -H "authorization: token $GH_ENTERPRISE_TOKEN" https://other.example.org/echo
"#;

/// A placeholder of the shape that GitHub's tokens have.
const SHAPED: &str = "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Random, as a real one is.
fn token() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let hex = key.public_key_raw()[1..21].iter().map(|byte| format!("{byte:02x}"));
    format!("real-{}", hex.collect::<String>())
}

#[test]
#[ignore = "installs clients from package registries: `make slow`"]
fn programs_that_want_a_token_see_one_and_the_real_one_arrives() {
    let context = tempfile::tempdir().unwrap();
    install_python(&context.path().join("clients"), &["openai", "huggingface_hub"]);
    let dockerfile = context.path().join("Dockerfile");
    let install = "FROM claude-bottle-agent\nUSER 0:0\nRUN apt-get update && apt-get install -y --no-install-recommends gh && \
        rm -rf /var/lib/apt/lists/*\nCOPY clients /clients\nUSER 1000:1000\n";
    fs::write(&dockerfile, install).unwrap();
    let rig = Rig::new(&json!({}));
    let origin = rig.origin();
    let names = ["GH_ENTERPRISE_TOKEN", "OPENAI_API_KEY", "HF_TOKEN"];
    let tokens = names.map(|_| token());
    let route = |path: &str, auth: Value| {
        let mut route = origin.route();
        route["paths"] = json!([path]);
        route["methods"] = json!(["GET", "POST"]);
        route["auth"] = auth;
        route
    };
    let routes = json!([
        route("/api/v3/echo/gh", json!({ "token_ref": "T0", "as": names[0], "scheme": "token", "placeholder": SHAPED })),
        route("/echo/openai/**", json!({ "token_ref": "T1", "as": names[1] })),
        route("/echo/hf/**", json!({ "token_ref": "T2", "as": names[2] })),
        route("/echo/body", json!({ "token_ref": "T1" })),
        { "host": "allowed.example.org", "connect_to": origin.route()["connect_to"], "private": true, "upstream_ca": "ca.pem",
            "paths": ["/hello/**"] },
    ]);
    rig.manifest(&json!({
        "bottles": { "b": {
            "image": { "dockerfile": dockerfile, "context": context.path() },
            "egress": { "routes": routes },
        } },
        "agents": { "agent": { "bottle": "b", "command": ["bash"] } },
    }));
    let start = |args: &[&str], input: &str| {
        let mut command: Command = rig.ours(args);
        for (number, token) in tokens.iter().enumerate() {
            command.env(format!("T{number}"), token);
        }
        super::run(&mut command, input).code(0)
    };
    let plan = start(&["start", "--dry-run", "--format", "json", "agent"], "").stdout;
    let said = start(&["start", "--yes", "agent"], PROGRAMS).stdout;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    for build in plan["images"]["builds"].as_array().unwrap().iter().rev().take(2) {
        docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
    let usual = "placeholder-the-gate-puts-the-real-credential-in";
    let wanted = format!("variables: {SHAPED} {usual} {usual}\nin a body: 200\nwithout: 200\nelsewhere: 403\n");
    assert_eq!(said, wanted);
    let arrived: Vec<Value> = origin.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let credential = |path: &str| {
        let request = arrived.iter().find(|request| request["path"].as_str().unwrap().starts_with(path));
        let headers = request.unwrap_or_else(|| panic!("{path} in {arrived:#?}"))["headers"].as_object().unwrap();
        let found = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        found.map(|(_, value)| value.as_str().unwrap().to_owned())
    };
    assert_eq!(credential("/api/v3/echo/gh"), Some(format!("token {}", tokens[0])));
    assert_eq!(credential("/echo/openai/models"), Some(format!("Bearer {}", tokens[1])));
    assert_eq!(credential("/echo/hf/api/whoami-v2"), Some(format!("Bearer {}", tokens[2])));
    assert_eq!(credential("/hello/echo"), None);
    rig.assert_nothing_left();
}
