//! What the programs are made of: bills of materials, and no path of the machine that compiled the tool.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The components of a program's bill, `name version`, and the whole of it.
fn bill(folder: &Path, program: &str) -> (BTreeSet<String>, Value) {
    let text = fs::read_to_string(folder.join(format!("{program}.cdx.json"))).unwrap();
    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bill["metadata"]["component"]["name"], program);
    let name = |part: &Value| format!("{} {}", part["name"].as_str().unwrap(), part["version"].as_str().unwrap());
    (bill["components"].as_array().unwrap().iter().map(name).collect(), bill)
}

#[test]
fn bills_name_what_is_compiled_in_with_its_sum_and_nothing_of_tests() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("scripts/sbom");
    command.arg(folder.path()).arg("programs").env("CARGO", env!("CARGO")).current_dir(repository);
    let output = testing::process::output(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let lock = fs::read_to_string(repository.join("Cargo.lock")).unwrap();
    let entries: Vec<_> = lock.split("[[package]]").collect();
    for (program, inside, outside) in [
        (
            "claude-bottle",
            &["clap ", "serde_json ", "claude-bottle-wire "][..],
            &["ring ", "rcgen ", "jsonschema "][..],
        ),
        ("claude-bottle-gate", &["rustls ", "ring ", "hyper ", "claude-bottle-scan "], &["proptest ", "clap "]),
    ] {
        let (names, whole) = bill(folder.path(), program);
        let has = |start: &&&str| names.iter().any(|name| name.starts_with(**start));
        assert!(inside.iter().all(|start| has(&start)), "{names:?}");
        assert!(!outside.iter().any(|start| has(&start)), "{names:?}");
        for part in whole["components"].as_array().unwrap() {
            let (name, version) = (part["name"].as_str().unwrap(), part["version"].as_str().unwrap());
            let head = format!("\nname = \"{name}\"\nversion = \"{version}\"\n");
            let entry =
                entries.iter().find(|entry| entry.contains(&head)).unwrap_or_else(|| panic!("{name} {version}"));
            let sum = part["hashes"][0]["content"].as_str();
            assert_eq!(entry.contains("\nchecksum = "), sum.is_some(), "{name}");
            assert!(sum.is_none_or(|sum| entry.contains(sum)), "{name}");
            assert!(part["licenses"][0]["expression"].is_string(), "{name}");
        }
        let about = whole["dependencies"].as_array().unwrap().iter().map(|part| &part["ref"]);
        assert_eq!(about.count(), names.len() + 1, "each of them, and the program");
    }
}

/// A path in a program would make its bytes depend on where it was compiled.
#[test]
fn the_programs_hold_no_path_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let mut install = Command::new("make");
    install.arg("install").arg(format!("DESTDIR={}", folder.path().display())).arg("PREFIX=/");
    let output = testing::process::output(install.current_dir(env!("CARGO_MANIFEST_DIR")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rust = Path::new(env!("CARGO")).parent().unwrap().to_str().unwrap();
    let gate = format!("libexec/claude-bottle/claude-bottle-gate-{}", std::env::consts::ARCH);
    for program in ["bin/claude-bottle", &gate] {
        let bytes = fs::read(folder.path().join(program)).unwrap();
        for path in [env!("CARGO_MANIFEST_DIR"), "/registry/src/", rust] {
            let found = bytes.windows(path.len()).filter(|window| window == &path.as_bytes()).count();
            assert_eq!(found, 0, "{path} in {program}");
        }
    }
}
