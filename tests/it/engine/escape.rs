//! An attacker in a bottle. What the kernel, the engine, the network and the gate could leave open is tried on a real
//! bottle, and what was seen becomes a table; `make escape` prints it. A bottle that is weakened on purpose fails.

mod paths;

use super::{Rig, run};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::Command;

const TOKEN: &str = "tk-7Qx2Vb9LmK4tZr8WpY6nHc3J";
const SEEN: &str = "Jf6PsY3nXc5DhT1gQ8wZrV2kLm4B";
const PIDS: u64 = 512;
const MEMORY: u64 = 1 << 30;

const KERNEL: &str = concat!(include_str!("escape/attack.py"), include_str!("escape/kernel.py"));
const NETWORK: &str = concat!(include_str!("escape/attack.py"), include_str!("escape/network.py"));

/// One attack. The programs inside print it as a line of JSON.
#[derive(Deserialize)]
struct Attack {
    attack: String,
    expected: String,
    observed: String,
    held: bool,
}

impl Attack {
    fn new(attack: &str, expected: &str, observed: impl Into<String>, held: bool) -> Attack {
        Attack { attack: attack.to_owned(), expected: expected.to_owned(), observed: observed.into(), held }
    }
}

/// What was tried, under titles.
#[derive(Default)]
struct Table(Vec<(String, Vec<Attack>)>);

impl Table {
    fn add(&mut self, title: &str, attacks: Vec<Attack>) {
        self.0.push((title.to_owned(), attacks));
    }

    fn failed(&self) -> Vec<&Attack> {
        self.0.iter().flat_map(|(_, attacks)| attacks).filter(|attack| !attack.held).collect()
    }

    fn print(&self) {
        for (title, attacks) in &self.0 {
            println!("\n{title}: {} attacks", attacks.len());
            for Attack { attack, expected, observed, held } in attacks {
                let observed: String = observed.escape_debug().to_string().chars().take(60).collect();
                let sign = if *held { "held  " } else { "FAILED" };
                println!("  {sign} {attack:<74} expected: {expected:<30} observed: {observed}");
            }
        }
    }
}

fn manifest(routes: &Value) -> Value {
    json!({
        "bottles": {
            "attacked": { "egress": { "routes": routes }, "env": { "SEEN": "${ESCAPE_SEEN}" },
                "limits": { "pids": PIDS, "memory": "1g" } },
            "other": { "limits": { "pids": PIDS, "memory": "1g" } },
        },
        "agents": {
            "agent": { "bottle": "attacked", "command": ["bash"] },
            "other": { "bottle": "other", "command": ["sh", "-c", "echo READY; cat"] },
        },
    })
}

/// The lines of JSON among what a program of attacks printed.
#[track_caller]
fn attacks(printed: &str) -> Vec<Attack> {
    let attacks: Vec<Attack> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!attacks.is_empty(), "{printed}");
    attacks
}

/// Runs a program of attacks as the agent's; its last line says that all of it ran.
#[track_caller]
fn as_the_agent(command: &mut Command, program: &str, told: &Value) -> Vec<Attack> {
    command.env("ESCAPE_TOKEN", TOKEN).env("ESCAPE_SEEN", SEEN);
    let told = shlex::try_quote(&told.to_string()).unwrap().into_owned();
    let script = format!(
        "cat >/tmp/attack.py <<'PROGRAM'\n{program}\nPROGRAM\n\
         python3 /tmp/attack.py {told} </dev/null 2>&1 && echo ALL OF IT; rm /tmp/attack.py; exit 0\n"
    );
    let ran = run(command, &script).code(0);
    assert!(ran.stdout.ends_with("ALL OF IT\n"), "{}\n{}", ran.stdout, ran.stderr);
    attacks(&ran.stdout)
}

#[test]
fn an_attacker_gets_out_by_no_way() {
    let rig = Rig::new(&json!({}));
    let origin = rig.serve_tls(include_bytes!("escape/origin.py"), "exec python3 -u origin.py");
    let route = |keys: Value| {
        let mut route = origin.route();
        route["auth"] = json!({ "token_ref": "ESCAPE_TOKEN" });
        route.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        route
    };
    rig.manifest(&manifest(&json!([
        route(json!({ "paths": ["/allowed/post"], "methods": ["POST"] })),
        route(json!({ "paths": ["/allowed/**"], "git": "fetch" })),
    ])));
    let mut other = rig.begin(&["start", "--yes", "other"]);
    other.until("READY");
    let neighbour = rig.sessions().remove(0);
    let told = told(&rig, &neighbour, &origin.address);

    let mut table = Table::default();
    table.add("the kernel, as the agent", as_the_agent(&mut start(&rig), KERNEL, &told));
    table.add("the network and the gate", as_the_agent(&mut start(&rig), NETWORK, &told));
    let argument = told.to_string();
    let exec = rig.run(&["exec", &neighbour, "--", "python3", "-c", KERNEL, &argument.replace("true", "false")], "");
    table.add("the kernel, by `exec`", attacks(&exec.code(0).stdout));
    table.add("what the origin got", arrived(&origin.log()));
    table.add("the containers", containers(&rig, &neighbour));
    table.add("the way out to the host", way_out(&rig, &neighbour));
    drop(other.end().code(0));
    table.print();
    let failed: Vec<&str> = table.failed().iter().map(|attack| attack.attack.as_str()).collect();
    assert_eq!(failed, [""; 0]);
    rig.assert_nothing_left();
}

fn start(rig: &Rig) -> Command {
    rig.ours(&["start", "--yes", "agent"])
}

/// What the attacks are told: limits, and what they could reach if there were a way.
fn told(rig: &Rig, neighbour: &str, origin: &str) -> Value {
    let gate = format!("claude-bottle-{neighbour}-gate");
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}";
    let mut addresses: Vec<String> =
        rig.engine(&["inspect", "--format", format, &gate]).split_whitespace().map(str::to_owned).collect();
    addresses.push(origin.to_owned());
    addresses.extend(run(Command::new("hostname").arg("-I"), "").code(0).stdout.split_whitespace().map(str::to_owned));
    let reversed: String = TOKEN.bytes().rev().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "pids": PIDS, "memory": MEMORY, "bombs": true, "addresses": addresses, "token_hex": reversed,
        "names": [neighbour, gate, format!("claude-bottle-{neighbour}-agent"), format!("{gate}.bridge")],
    })
}

/// What the origin logged of the attacks: nothing that no route allows, and no claim of the agent's.
fn arrived(log: &str) -> Vec<Attack> {
    let requests: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |keep: &dyn Fn(&Value) -> bool| {
        let found = requests.iter().filter(|request| keep(request)).map(|request| request["target"].to_string());
        found.collect::<Vec<_>>().join(" ")
    };
    let row = |attack: &str, found: String| {
        let held = found.is_empty();
        Attack::new(attack, "none", if held { "none".to_owned() } else { found }, held)
    };
    let target = |request: &Value| request["target"].as_str().unwrap().to_owned();
    assert!(requests.iter().any(|request| request["target"] == "/allowed/file"), "{log}");
    vec![
        row(
            "requests outside of the allowed paths",
            of(&|request| {
                !["/allowed", "/allowed/", "/allowed?"].iter().any(|start| match start.len() {
                    8 => target(request) == *start,
                    _ => target(request).starts_with(start),
                })
            }),
        ),
        row(
            "requests by another method",
            of(&|request| {
                let post = request["method"] == "POST" && target(request) == "/allowed/post";
                !post && request["method"] != "GET" && request["method"] != "HEAD"
            }),
        ),
        row("claims of an identity", of(&|request| request.to_string().contains("admin-of-the-attack"))),
        row("credentials of the agent's own", of(&|request| request.to_string().contains("of-the-agent"))),
        row("values of the agent's environment", of(&|request| request.to_string().contains(SEEN))),
        row(
            "headers that name another path",
            of(&|request| request["headers"].as_object().unwrap().values().any(|value| value == "/secret/file")),
        ),
    ]
}

/// What the engine was asked for, and what anybody who may ask it sees.
fn containers(rig: &Rig, identity: &str) -> Vec<Attack> {
    let inspect = |role: &str| -> Value {
        let text = rig.engine(&["inspect", &format!("claude-bottle-{identity}-{role}")]);
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    };
    let (agent, gate) = (inspect("agent"), inspect("gate"));
    let is = |attack: &str, seen: &Value, expected: Value| {
        Attack::new(attack, &expected.to_string(), seen.to_string(), *seen == expected)
    };
    let host = &agent["HostConfig"];
    let mut rows = vec![
        is("the agent's network", &host["NetworkMode"], json!("none")),
        is("folders of the machine in the agent's container", &host["Binds"], Value::Null),
        is("devices of the machine", &host["Devices"], json!([])),
        is("a privileged container", &host["Privileged"], json!(false)),
        is("capabilities that are added", &host["CapAdd"], Value::Null),
        is("the machine's process ids", &host["PidMode"], json!("")),
        is("the machine's shared memory", &host["IpcMode"], json!("private")),
        is("the machine's disk by the agent's output", &host["LogConfig"]["Type"], json!("none")),
        is("the gate's root is writable", &gate["HostConfig"]["ReadonlyRootfs"], json!(true)),
        is("ports of the machine", &gate["HostConfig"]["PortBindings"], json!({})),
        is("folders of the machine in the gate's container", &gate["HostConfig"]["Binds"], Value::Null),
    ];
    for (role, container) in [("agent", &agent), ("gate", &gate)] {
        let seen = container.to_string();
        let held = !seen.contains(TOKEN) && !seen.contains(SEEN) && !seen.contains("unconfined");
        rows.push(Attack::new(&format!("secrets and open filters in the {role}'s `inspect`"), "none", "", held));
    }
    rows
}

/// What an agent plants for the host's own commands.
const PLANTED: &str = r#"
cd ~/workspace
touch "$(printf 'a\033]0;PWN\007')" "$(printf 'b\nworkspace: nothing')" "$(printf 'c\342\200\256txt')" ./-rf 'd;touch PWN'
git init -q -b 'a;touch${IFS}PWN' r && cd r
git -c user.name="$(printf 'e\033[2J')" -c user.email=e@example.org commit -q --allow-empty -m "$(printf 'f\033[2J')"
cd .. && ln -s /etc/hostname name && ln -s /etc folder && mkfifo fifo && truncate -s 1T huge
"#;

/// Names, files and words that come out of a bottle to the host's own commands.
fn way_out(rig: &Rig, identity: &str) -> Vec<Attack> {
    rig.run(&["exec", identity, "--", "bash", "-c", PLANTED], "").code(0);
    let mut rows = Vec::new();
    for verb in [&["list"][..], &["info", identity], &["logs", identity], &["work", "diff", identity]] {
        let ran = rig.run(verb, "").code(0);
        let drives = |text: char| (text.is_control() && text != '\n') || ('\u{200e}'..='\u{202e}').contains(&text);
        let found: String = format!("{}{}", ran.stdout, ran.stderr).chars().filter(|text| drives(*text)).collect();
        let attack = format!("names that drive a terminal, by `{}`", verb.join(" ").replace(identity, "ID"));
        rows.push(Attack::new(&attack, "none", found.escape_debug().to_string(), found.is_empty()));
    }
    let got = rig.run(&["get", identity, "name", "-"], "").code(0).stdout;
    rows.push(Attack::new("a link to a file of the host's name", "the bottle's", got.trim(), got.trim() == identity));
    for name in ["fifo", "folder", "huge"] {
        let ran = rig.run(&["get", identity, name, "got"], "");
        let held = ran.code == Some(2) && !rig.path().join("got").exists();
        rows.push(Attack::new(&format!("`get` of what is no file, or is 1 TiB: {name}"), "an error", ran.stderr, held));
    }
    let replace = "rm -rf ~/workspace && touch ~/workspace";
    rig.run(&["exec", identity, "--", "bash", "-c", replace], "").code(0);
    let ran = rig.run(&["exec", identity, "--", "echo", "runs"], "");
    rows.push(Attack::new(
        "a file in the place of the workspace, then `exec`",
        "runs",
        ran.stdout.trim(),
        ran.stdout == "runs\n",
    ));
    rig.run(&["exec", identity, "--", "bash", "-c", "rm ~/workspace"], "").code(0);
    rows
}

/// A start whose `docker` changes a word behind another on its way.
fn weakened(rig: &Rig, behind: &str, from: &str, to: &str) -> Command {
    let script = format!(
        "words=() before=\nfor word; do\n    if [ \"$before\" = {behind} ]; then case $word in {from}) word={to} ;; esac; fi\n    \
         words+=(\"$word\") before=$word\ndone\nexec \"$real\" \"${{words[@]}}\"\n"
    );
    let mut command = start(rig);
    command.env("PATH", rig.path_with_engine(&script));
    command
}

#[test]
fn a_bottle_that_is_weakened_fails() {
    let rig = Rig::new(&json!({}));
    rig.manifest(&manifest(&json!([])));
    let told = json!({ "pids": PIDS, "memory": MEMORY, "bombs": false, "short": true, "addresses": [], "names": [] });
    for (behind, from, to, program, attack) in [
        ("--network", "none", "bridge", KERNEL, "interfaces of the network"),
        ("--volumes-from", "*:ro", "${word%:ro}", NETWORK, "the volume of the gate's socket"),
        ("--security-opt", "seccomp=*", "no-new-privileges", KERNEL, "any 32-bit call (getpid)"),
    ] {
        let rows = as_the_agent(&mut weakened(&rig, behind, from, to), program, &told);
        let failed: Vec<&str> = rows.iter().filter(|row| !row.held).map(|row| row.attack.as_str()).collect();
        assert!(failed.contains(&attack), "`{attack}` held with {behind} {to}: {failed:?}");
    }
    rig.assert_nothing_left();
}
