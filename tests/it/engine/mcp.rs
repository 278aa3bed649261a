//! The MCP server of a bottle against clients that are not ours: the official Python SDK's, and the inspector's command line,
//! which is the TypeScript SDK's. They are installed by this machine's own pip and npm, and run inside.

use super::supervise::proposal;
use super::{Going, Rig, docker, images, told};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const INSPECT: &str = "node js/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js --cli \
    http://supervise.bottle/mcp --transport http";

const TOOLS: [&str; 5] = ["egress_block", "capability_block", "git_block", "list_egress_routes", "proposal_status"];

/// These packages into the folder, for the Python of a bottle.
pub fn install_python(target: &Path, packages: &[&str]) {
    let version = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = docker(&["run", "--rm", "--network", "none", &images().agent, "python3", "-c", version]);
    let platforms = ["manylinux2014", "manylinux_2_28"].map(|name| format!("{name}_{}", std::env::consts::ARCH));
    let mut args = vec!["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--python-version", version.trim()];
    args.extend(platforms.iter().flat_map(|platform| ["--platform", platform]));
    args.extend(["--target", target.to_str().unwrap()]);
    args.extend(packages);
    told("python3", &args);
}

/// The inspector's command line, and a Node.js that needs nothing of the machine.
fn install_javascript(folder: &Path) {
    let prefix = folder.join("js");
    let packages = ["@modelcontextprotocol/inspector@2", "node@22"];
    let fixed = ["install", "--silent", "--no-fund", "--no-audit", "--prefix", prefix.to_str().unwrap()];
    told("npm", &[&fixed[..], &packages].concat());
    fs::rename(prefix.join("node_modules/node/bin/node"), prefix.join("node")).unwrap();
    fs::remove_dir_all(prefix.join("node_modules/node")).unwrap();
    fs::remove_dir_all(prefix.join("node_modules/.bin")).unwrap();
}

#[test]
#[ignore = "installs clients from package registries: `make slow`"]
fn clients_of_the_official_sdks_list_and_call_the_tools() {
    let rig = Rig::new(&json!({}));
    let folder = rig.path().join("clients");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("client.py"), include_bytes!("mcp/client.py")).unwrap();
    install_python(&folder.join("py"), &["mcp"]);
    install_javascript(&folder);
    let script = format!(
        "export PYTHONPATH=py PYTHONDONTWRITEBYTECODE=1 PATH=$PWD/js:$PATH; exec 2>&1; python3 client.py && {INSPECT} --method tools/list --strict \
         && {INSPECT} --method tools/call --tool-name list_egress_routes; echo \"ended $?\""
    );
    rig.manifest(&json!({
        "bottles": { "b": { "egress": { "routes": [{ "host": "a.example.org" }] }, "supervise": true } },
        "agents": { "a": { "bottle": "b", "command": ["bash", "-c", script] } },
    }));
    let mut start = rig.ours(&["start", "--yes", "--cwd", "a"]);
    let mut going = Going::new(start.current_dir(&folder));
    rig.run(&["approve", "--yes", &proposal(&rig)], "").code(0);
    going.until("\"mode\": \"auto\", \"step\": \"tools\"");
    rig.run(&["reject", "--reason", "not there", &proposal(&rig)], "").code(0);
    let said = going.end().code(0).stdout;
    let (python, inspected) = said.split_once("\"step\": \"ended\"").unwrap_or_else(|| panic!("{said}"));
    let steps: Vec<Value> = python.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let what = |mode: &str, step: &str| {
        let found = steps.iter().find(|line| line["mode"] == mode && line["step"] == step);
        found.unwrap_or_else(|| panic!("{mode} {step} in {said}"))["what"].clone()
    };
    for (mode, decision) in [("legacy", "approved: it is allowed now"), ("auto", "rejected by the operator: not there")]
    {
        let tools = what(mode, "tools");
        assert!(tools.as_object().unwrap().len() == TOOLS.len() && TOOLS.iter().all(|tool| tools[tool].is_array()));
        let text = |step: &str| what(mode, step)["text"].as_str().unwrap().to_owned();
        assert!(text("routes").contains("allow https://a.example.org"), "{said}");
        assert!(what(mode, "wrong")["failed"] == true && text("wrong").contains("an address"), "{said}");
        assert!(what(mode, "asked")["failed"] == false && text("asked").starts_with(decision), "{said}");
        assert_eq!(what(mode, "asked")["progress"], json!(["waiting for the operator"]), "{said}");
        assert!(text("status").contains(&format!("https://{mode}.example.org/x: {decision}")), "{said}");
    }
    for words in TOOLS.map(|tool| format!("\"name\": \"{tool}\"")) {
        assert!(inspected.contains(&words), "{words} in {said}");
    }
    assert!(inspected.contains("allow https://a.example.org") && inspected.ends_with("ended 0\n"), "{said}");
    rig.assert_nothing_left();
}
