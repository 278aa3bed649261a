//! The JSON Schemas of what is printed for programs; every JSON that any test sees is held against them.

use crate::harness::Done;
use serde_json::{Value, json};
use std::sync::OnceLock;

pub fn plan_schema() -> Value {
    serde_json::from_str(include_str!("../../../schema/plan.schema.json")).unwrap()
}

/// Of what a command prints, or of `error`.
pub fn output_schema(of: &str) -> Value {
    let mut schema: Value = serde_json::from_str(include_str!("../../../schema/output.schema.json")).unwrap();
    schema["$ref"] = json!(format!("#/$defs/{of}"));
    schema
}

#[track_caller]
pub fn assert_valid(schema: &Value, text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let validator = jsonschema::validator_for(schema).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{text}");
    value
}

/// Whatever a test runs with `--format json`: its output, and its errors.
#[track_caller]
pub fn hold(args: &[String], done: &Done) {
    static PLAN: OnceLock<Value> = OnceLock::new();
    let own: Vec<&str> = args.iter().map(String::as_str).take_while(|arg| *arg != "--").collect();
    if !own.windows(2).any(|pair| pair == ["--format", "json"]) {
        return;
    }
    for line in done.stderr.lines().filter(|line| line.starts_with("{\"")) {
        assert_valid(&output_schema("error"), line);
    }
    let verb = own.iter().find(|arg| !arg.starts_with('-')).copied().unwrap_or_default();
    match verb {
        _ if done.stdout.is_empty() => {}
        "check" if own.contains(&"--replay") => drop(assert_valid(&output_schema("replay"), &done.stdout)),
        "start" | "resume" if own.contains(&"--dry-run") => {
            drop(assert_valid(PLAN.get_or_init(plan_schema), &done.stdout))
        }
        "list" | "info" | "check" | "cleanup" | "work" | "doctor" | "proposals" | "routes" | "suggest"
        | "dashboard" => drop(assert_valid(&output_schema(verb), &done.stdout)),
        _ => {}
    }
}
