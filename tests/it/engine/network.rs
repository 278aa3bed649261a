//! The agent has no network, and every program works: real clients through the door.

use super::{Rig, run};
use serde_json::json;

/// Runs a script in a bottle whose one route leads to the test's origin; gives what it printed.
fn inside(rig: &Rig, script: &str) -> String {
    let ran = rig.run(&["start", "--yes", "agent"], script).code(0);
    rig.assert_nothing_left();
    ran.stdout
}

fn rig(image: Option<serde_json::Value>) -> Rig {
    let rig = Rig::new(&json!({}));
    let mut route = rig.origin().route();
    route["git"] = json!("fetch");
    // A WebSocket writes.
    route["methods"] = json!(["GET", "HEAD", "POST"]);
    let mut bottle = json!({ "egress": { "routes": [route] } });
    if let Some(image) = image {
        bottle["image"] = image;
    }
    rig.manifest(&json!({
        "bottles": { "net": bottle },
        "agents": { "agent": { "bottle": "net", "command": ["bash"] } },
    }));
    rig
}

#[test]
fn real_clients_reach_what_is_allowed_and_are_told_why_not() {
    let context = tempfile::tempdir().unwrap();
    let source = context.path().join("fetch.go");
    std::fs::write(&source, include_str!("fetch.go")).unwrap();
    let mut go = std::process::Command::new("go");
    go.args(["build", "-o", "fetch", "fetch.go"]).current_dir(context.path()).env("CGO_ENABLED", "0");
    go.env("GOCACHE", context.path().join("cache")).env("GOFLAGS", "-mod=mod");
    run(&mut go, "").code(0);
    std::fs::remove_dir_all(context.path().join("cache")).unwrap();
    let dockerfile = context.path().join("Dockerfile");
    // Cargo is the one that runs this test, its own copy of everything in it; a distribution's brings a compiler.
    std::fs::copy(std::env::var_os("CARGO").unwrap(), context.path().join("cargo")).unwrap();
    std::fs::write(context.path().join("Fetch.java"), include_str!("Fetch.java")).unwrap();
    std::fs::write(
        &dockerfile,
        "FROM claude-bottle-agent\nUSER 0:0\n\
         RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \
         wget nodejs npm node-axios ruby default-jdk-headless \
         python3-requests python3-httpx python3-pip python3-websocket\n\
         COPY fetch cargo /usr/local/bin/\nCOPY Fetch.java /tmp/\n\
         RUN javac -d /usr/local/share/fetch /tmp/Fetch.java\nUSER 1000:1000\n",
    )
    .unwrap();
    let rig = rig(Some(json!({ "dockerfile": dockerfile, "context": context.path() })));
    let said = inside(&rig, include_str!("clients.sh"));
    // The bottle's own images go with the test, whatever was said in it.
    let plan = rig.run(&["start", "--dry-run", "--format", "json", "agent"], "").code(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let built = plan["images"]["builds"].as_array().unwrap().iter().rev().take(2);
    for build in built {
        super::docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
    let line = |start: &str| {
        said.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_else(|| panic!("{start} in\n{said}"))
    };
    let clients = ["curl", "wget", "urllib", "requests", "httpx", "fetch", "axios", "go", "ruby", "java"];
    for client in clients {
        for how in ["", " bare"] {
            assert!(line(&format!("{client} allowed{how}: ")).contains("hello from the origin"), "{said}");
            let refused = line(&format!("{client} refused{how}: "));
            assert!(refused.contains("host `refused.example.org` is not on the allowlist"), "{said}");
        }
    }
    for (client, words) in [
        ("npm", "0 tiny of the origin"),
        ("pip", "0 tiny of the origin"),
        ("cargo", "0 // tiny of the origin"),
        ("websocket", "0 heard said"),
        ("git", "0 one"),
    ] {
        for how in ["", " bare"] {
            assert!(line(&format!("{client}{how}: ")).starts_with(words), "{client}{how}: `{words}` in\n{said}");
        }
    }
    for words in ["git refused: 128", "git push refused: 0", "proxies: none", "interfaces: lo"] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
}

#[test]
fn names_connections_and_a_server_of_the_agents_own() {
    let rig = rig(None);
    let said = inside(&rig, include_str!("door.sh"));
    let explained = said.lines().find_map(|line| line.strip_prefix("explained: ")).unwrap();
    assert!(explained.contains("allowed.example.org"), "{explained}");
    for words in [
        "hosts: 127.64.0.1 allowed.example.org",
        "pointer: 127.64.0.1 allowed.example.org",
        "localhost: 127.0.0.1",
        "names: 1024 answered, 976 failed, first again 127.64.0.1",
        "parallel: 200",
        "own server: index of the agent's own",
        "allowed again: hello from the origin",
        "literal: refused at once",
        "udp: nothing gets out",
    ] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
}

/// Answers each connection with what it read, reversed.
const REVERSER: &str = "
import socket
server = socket.create_server(('0.0.0.0', 5432))
print('ready', flush=True)
while True:
    client = server.accept()[0]
    client.sendall(client.recv(100)[::-1])
    client.close()
";

#[test]
fn raw_bytes_and_untouched_tls_get_through() {
    let rig = Rig::new(&json!({}));
    let (origin, database) = (rig.origin(), rig.serve(&[], &["python3", "-uc", REVERSER]));
    let routes = json!([
        { "host": "allowed.example.org", "intercept": false, "private": true, "connect_to": format!("{}:8443", origin.address) },
        { "host": "db.example.org", "port": 5432, "protocol": "tcp", "private": true,
            "connect_to": format!("{}:5432", database.address) },
    ]);
    rig.manifest(&json!({
        "bottles": { "net": { "egress": { "routes": routes } } },
        "agents": { "agent": { "bottle": "net", "command": ["bash"] } },
    }));
    let ca = std::fs::read_to_string(rig.path().join("ca.pem")).unwrap();
    let said = inside(&rig, &format!("cat >/tmp/ca.pem <<'PEM'\n{ca}PEM\n{}", include_str!("raw.sh")));
    for words in [
        "with the origin's CA: 0 hello from the origin",
        "with the bottle's: 60",
        "db.example.org 5432: dcba",
        "other.example.org 5432: nothing",
        "db.example.org 5433: refused",
    ] {
        assert!(said.contains(words), "`{words}` in\n{said}");
    }
}

/// A host with roots of its own, behind a proxy: the gate asks the proxy by name, and nothing inside knows of it.
#[test]
fn roots_and_proxy_are_of_the_hosts_choice() {
    let rig = Rig::new(&json!({}));
    let origin = rig.origin();
    let program: &[u8] = include_bytes!("proxy.py");
    let proxy = rig.serve(&[("proxy.py", program)], &["python3", "-u", "/srv/proxy.py", &origin.address]);
    rig.manifest(&json!({
        "bottles": { "net": { "egress": { "routes": [{ "host": "allowed.example.org" }] } } },
        "agents": { "agent": { "bottle": "net", "command": ["bash"] } },
    }));
    let secret = "proxy-secret-2f8a";
    let mut command = rig.ours(&["start", "--yes", "agent"]);
    command.env("CLAUDE_BOTTLE_UPSTREAM_PROXY", format!("http://me:{secret}@{}:3128", proxy.address));
    command.env("CLAUDE_BOTTLE_UPSTREAM_CA", rig.path().join("ca.pem"));
    let script = "curl -sS https://allowed.example.org/hello; env; curl -sS http://gate.bottle/";
    let ran = run(&mut command, script).code(0);
    assert!(ran.stdout.starts_with("hello from the origin"), "{}", ran.stdout);
    ran.says("all upstream traffic takes the host's proxy");
    let seen = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!seen.contains(secret) && !seen.contains(&proxy.address), "{seen}");
    let heads = proxy.log();
    let credentials = wire::encode_base64(format!("me:{secret}").as_bytes());
    assert!(heads.contains("CONNECT allowed.example.org:443 ") && heads.contains(&credentials), "{heads}");
    rig.assert_nothing_left();
}

/// `/etc/hosts` of the engine names `::1`: servers that listen there are reached by it, and by `localhost`.
#[test]
fn loopback_has_its_address_of_ipv6() {
    let rig = rig(None);
    let script = "python3 -m http.server --bind ::1 8000 >/dev/null 2>&1 & \
        curl -sS --retry 20 --retry-connrefused --retry-delay 1 -o /dev/null -w '%{http_code} ' 'http://[::1]:8000/'; \
        curl -sS -o /dev/null -w '%{http_code} ' http://localhost:8000/; grep -c . /proc/net/if_inet6; kill %1";
    assert_eq!(inside(&rig, script), "200 200 1\n");
}

/// No process and no thread can be made any more, and the door still opens.
#[test]
fn a_full_process_table_stops_nobody_at_the_door() {
    let rig = Rig::new(&json!({}));
    let route = rig.origin().route();
    rig.manifest(&json!({
        "bottles": { "net": { "egress": { "routes": [route] }, "limits": { "pids": 64 } } },
        "agents": { "agent": { "bottle": "net", "command": ["python3", "-"] } },
    }));
    let said = inside(&rig, include_str!("crowd.py"));
    assert_eq!(said, "full\nhello from the origin\n403 True\n");
}
