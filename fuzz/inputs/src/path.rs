//! A request's first line is the input's first line, its headers are those below. What passes must be covered in every
//! way that a server may read it; no input panics.

use policy::{PathPattern, Policy, Request, plain_name};
use serde_json::json;
use std::sync::LazyLock;
use testing::oracle;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let routes = json!([
        { "paths": ["/secret/**", "/*/secret", "/admin"], "deny": true },
        { "query": { "visibility": "public" }, "deny": true },
        { "paths": ["/team/*/x", "/v1", "/a/**"] },
        { "paths": ["/info/*"], "query": { "s": "y*" } },
        { "paths": ["/only"], "query": { "s": "yes", "*": "" } },
        { "paths": ["/h/**"], "headers": { "accept": "application/*" } },
        { "paths": ["/b/**", "/"], "dlp": "off" },
    ]);
    let mut routes = routes.as_array().cloned().unwrap_or_default();
    for route in routes.iter_mut().filter_map(|route| route.as_object_mut()) {
        let defaults = json!({ "host": "x.test", "port": 443, "methods": ["GET"], "paths": ["/**"], "origin": "m:1" });
        for (key, default) in defaults.as_object().into_iter().flatten() {
            route.entry(key).or_insert(default.clone());
        }
    }
    serde_json::from_value(json!({ "routes": routes })).expect("a policy")
});

pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.split('\n');
    let target = lines.next().unwrap_or_default();
    let headers: Vec<(&str, &[u8])> =
        lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name, value.as_bytes())).collect();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let request = Request { host: "x.test", port: 443, method: "GET", path, query, has_body: false, headers: &headers };
    let answer = POLICY.decide(&request);
    assert_eq!(answer, POLICY.decide(&request), "not the same twice");
    match &answer {
        Ok(pass) => {
            let escape = oracle::escape(&POLICY, target, pass);
            assert!(escape.is_none(), "{target} passes by {:?}: {escape:?}", POLICY.routes[pass.route].paths);
        }
        Err(denial) => assert!(!denial.text.contains("m:1"), "{}", denial.text),
    }
    // What a pattern is written like, it matches, if it has no `*`.
    if let Ok(pattern) = PathPattern::try_from(target.to_owned())
        && !target.contains('*')
        && let Ok(readings) = policy::normalise(target)
    {
        assert!(readings.all().iter().all(|reading| pattern.matches(reading)), "{target}");
    }
    if let Some(name) = plain_name(target) {
        assert_eq!(plain_name(&name).as_ref(), Some(&name));
    }
}
