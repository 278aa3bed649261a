//! `doctor`: each thing that may be wrong is found, with what to type; and nothing is changed.

use crate::harness::{CERTIFICATE, Done, PLAIN, Place, Run, kept, rich, text};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};
use wire::GATE_VERSION;

/// The beginning of a program for this processor, and what says whose it is.
fn gate(machine: u8, version: &str) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(18, 0);
    file.extend([machine, 0]);
    file.resize(64, 0);
    file.extend(version.as_bytes());
    file
}

fn well_of(place: Place) -> Place {
    fs::write(place.path("gate"), gate(62, GATE_VERSION)).unwrap();
    place.write("roots.pem", CERTIFICATE);
    fs::set_permissions(place.path("home/.claude-bottle"), fs::Permissions::from_mode(0o700)).unwrap();
    place
}

/// A machine on which all is well.
fn well() -> Place {
    well_of(Place::new(PLAIN))
}

fn doctor(place: &Place) -> Run<'_> {
    let path = format!("{}:/usr/bin:/bin", crate::harness::FAKE);
    place.run(&["doctor"]).env("PATH", path).env("TMPDIR", place.path("tmp").display())
}

/// The lines of one check; with a hint, that follows.
fn said(done: &Done, check: &str) -> Vec<String> {
    let lines: Vec<&str> = done.stdout.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.get(9..).is_some_and(|rest| rest.split(' ').next() == Some(check)) {
            let hint = lines.get(at + 1).and_then(|next| next.strip_prefix(&" ".repeat(20)));
            found.push(format!(
                "{} {}{}",
                line[..8].trim(),
                line[20..].trim(),
                hint.map_or(String::new(), |h| format!(" | {h}"))
            ));
        }
    }
    found
}

#[track_caller]
fn finds(run: Run, code: i32, check: &str, wanted: &str) {
    let done = run.done();
    let said = said(&done, check);
    assert!(
        said.iter().any(|line| line.contains(wanted)),
        "`{wanted}` is not in {said:#?}: {}{}",
        done.stdout,
        done.stderr
    );
    assert_eq!((done.status, done.stderr.as_str()), (code, ""), "{}", done.stdout);
}

#[test]
fn all_is_well() {
    let place = well();
    let before = place.whole_home();
    let git = |text: String| {
        let version =
            text.lines().find_map(|line| line.split_once("git version ")).map(|(_, version)| version.to_owned());
        version.map_or(text.clone(), |version| text.replace(&version, "[VERSION]"))
    };
    let done = doctor(&place).done();
    assert_eq!((done.status, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    crate::harness::compare("doctor", &place.steady(&git(done.stdout)));
    assert_eq!(place.whole_home(), before, "nothing is changed");
    let json = place
        .run(&["doctor", "--format", "json"])
        .env("PATH", format!("{}:/usr/bin:/bin", crate::harness::FAKE))
        .done();
    let findings: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
    for finding in &findings {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "hint", "state", "text"]);
    }
    assert_eq!(findings[0]["check"], "engine");
    assert_eq!(findings[0]["state"], "ok");
    assert!(
        place.calls().iter().all(|call| ["info", "image", "system", "ps", "volume"].contains(&call[0].as_str())),
        "{:?}",
        place.calls()
    );
}

#[test]
fn an_engine_that_does_not_answer() {
    let place = well();
    let silent = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    finds(
        doctor(&place).env("FAKE_SAYS", silent),
        125,
        "engine",
        "PROBLEM `docker info`: Cannot connect to the Docker daemon",
    );
    // The rest is looked at all the same.
    finds(doctor(&place).env("FAKE_SAYS", silent), 125, "manifest", "ok 1 agent in 1 bottle");
    finds(doctor(&place).env("PATH", "/nowhere"), 125, "engine", "PROBLEM cannot run `docker`: No such file");
    finds(doctor(&place).env("CLAUDE_BOTTLE_BACKEND", "vm"), 125, "engine", "PROBLEM unknown backend `vm`");
}

/// One that hangs does not hang `doctor`.
#[test]
fn an_engine_that_hangs() {
    let place = well();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            finds(
                doctor(&place).env("FAKE_HANGS", "info"),
                125,
                "engine",
                "PROBLEM `docker info`: no answer within seconds | the engine hangs",
            )
        });
        // What is slow is said, and stops nothing.
        let sized = well();
        assert_eq!(sized.run(&["start", "--yes", "plain"]).done().status, 0);
        finds(
            doctor(&sized).env("FAKE_HANGS", "system df"),
            0,
            "volumes",
            "note sizes are not known: `docker system df`: no answer",
        );
    });
    // One that is only slow has time to answer. That both runs end at all is held by the bound of each.
    assert!(begun.elapsed() >= Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn what_an_engine_is() {
    let place = well();
    let with = |info: &str| doctor(&place).env("FAKE_INFO", format!(",{info}"));
    finds(
        with(r#""SecurityOptions":["name=seccomp","name=rootless"]"#),
        0,
        "engine",
        "ok docker 28.0.0 for x86_64, rootless",
    );
    finds(
        with(r#""MemoryLimit":false,"PidsLimit":true,"CpuCfsQuota":false"#),
        0,
        "limits",
        "note the engine cannot limit memory, CPUs",
    );
    finds(
        with(r#""Name":"elsewhere","KernelVersion":"1","DockerRootDir":"/var/lib/docker""#),
        0,
        "disk",
        "ok not known: the engine is on another machine",
    );
    let read = |of: &str| fs::read_to_string(format!("/proc/sys/kernel/{of}")).unwrap().trim().to_owned();
    let here = format!(
        r#""Name":"{}","KernelVersion":"{}","DockerRootDir":"/nowhere/docker""#,
        read("hostname"),
        read("osrelease")
    );
    let done = with(&here).done();
    assert!(said(&done, "disk")[0].contains(" free at `/nowhere/docker`"), "{}", done.stdout);
    let podman = well_of(Place::on("podman", PLAIN));
    finds(
        doctor(&podman).env("FAKE_INFO", r#","security":{"rootless":true,"seccompEnabled":true}"#),
        0,
        "engine",
        "ok podman 4.3.1 for x86_64, rootless, by `podman`",
    );
    // Remembered as it was, it is planned for as it was.
    assert_eq!(place.run(&["start", "--yes", "plain"]).done().status, 0);
    let engines = place.path("home/.claude-bottle/engines.json");
    fs::write(&engines, text(&engines).replace("28.0.0", "20.10.0")).unwrap();
    finds(
        doctor(&place),
        0,
        "engine",
        "note docker 28.0.0 for x86_64, by `docker` (default); it was another when it was last looked at | claude-bottle build",
    );
}

/// What an engine says of its filters is tried, and what was made for that is removed.
#[test]
fn an_engine_that_does_not_hold_the_filter_of_system_calls() {
    let place = well();
    fs::create_dir(place.path("tmp")).unwrap();
    finds(doctor(&place), 0, "seccomp", "ok claude-bottle's filter of system calls is tried after the first start");
    assert_eq!(place.run(&["start", "--yes", "plain"]).done().status, 0);
    finds(doctor(&place), 0, "seccomp", "ok claude-bottle's filter of system calls holds");
    // Sockets of AF_VSOCK are made; netlink ones are; nothing is understood.
    for answer in ["0 1", "1 0", "97 0", "97 93"] {
        let wanted =
            "PROBLEM the engine takes claude-bottle's filter of system calls, and does not hold containers to it";
        finds(doctor(&place).env("FAKE_TRIAL", answer), 2, "seccomp", wanted);
    }
    finds(doctor(&place).env("FAKE_TRIAL", "97 1"), 0, "seccomp", "holds");
    finds(
        doctor(&place).env("FAKE_TRIAL", "what"),
        0,
        "seccomp",
        "note claude-bottle's filter of system calls was not tried",
    );
    place.forget_calls();
    assert_eq!(doctor(&place).done().status, 0);
    let calls = place.calls();
    let at = calls.iter().position(|call| call[0] == "run").unwrap() + 1;
    place.forget_calls();
    let refuses = "docker: Error response from daemon: seccomp is not enabled in your kernel, cannot run a custom seccomp profile.";
    let run = doctor(&place).env("FAKE_FAIL_AT", at).env("FAKE_WORDS", refuses);
    finds(run, 2, "seccomp", "cannot run a custom seccomp profile. | this engine does not take claude-bottle's filter");
    assert!(place.calls().iter().any(|call| call[0] == "rm"), "{:?}", place.calls());
    let unfiltered = doctor(&place).env("FAKE_INFO", r#","SecurityOptions":["name=apparmor"]"#);
    finds(
        unfiltered,
        2,
        "seccomp",
        "PROBLEM this is an engine that cannot filter system calls: `--yes` launches nothing here",
    );
}

/// Certificates and leases are judged by its clock.
#[test]
fn a_clock_that_is_wrong() {
    let place = well();
    let at = |offset: i64| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (date, time) = sys::clock::local(i64::try_from(now).unwrap() + offset).unwrap();
        doctor(&place).env("FAKE_INFO", format!(r#","SystemTime":"{date}T{time}.5Z""#))
    };
    for (offset, code, words) in [
        (0, 0, "ok the engine's is this machine's"),
        (-180, 0, "note the engine's is "),
        (-7200, 2, "behind this machine's | set the clock"),
        (7205, 2, "PROBLEM the engine's is 2h ahead of this machine's"),
    ] {
        finds(at(offset), code, "clock", words);
    }
}

#[test]
fn a_gate_that_does_not_fit() {
    let place = well();
    let with = |bytes: &[u8]| {
        fs::write(place.path("gate"), bytes).unwrap();
        doctor(&place)
    };
    finds(with(&gate(183, GATE_VERSION)), 2, "gate", "is for aarch64, and the engine is x86_64 | make build");
    finds(with(&gate(62, "claude-bottle-gate 0.0.0")), 2, "gate", "is of another version than this program");
    finds(with(b"#!/bin/sh\n"), 2, "gate", "is no program for Linux");
    let none = || doctor(&place).env("CLAUDE_BOTTLE_GATE", "/nowhere/gate");
    finds(none(), 2, "gate", "PROBLEM no gate program at `/nowhere/gate`");
}

#[test]
fn images_that_are_missing() {
    let place = well();
    let run = || doctor(&place).env("FAKE_IMAGES", "built");
    finds(run(), 0, "images", "note built at the first start: `claude-bottle-agent:");
    assert_eq!(place.run(&["build"]).env("FAKE_IMAGES", "built").done().status, 0);
    finds(run(), 0, "images", "ok all are built");
}

#[test]
fn what_agents_need() {
    let place = well_of(rich());
    finds(
        doctor(&place),
        2,
        "values",
        "PROBLEM the host's variable `CLAUDE_CODE_OAUTH_TOKEN` is not set, for `fixer` | `export CLAUDE_CODE_OAUTH_TOKEN=…`: the manifest asks for it",
    );
    let mut run = doctor(&place);
    for (name, value) in crate::harness::VARIABLES {
        run = run.env(name, value);
    }
    let done = run.done();
    assert_eq!(done.status, 0, "{}", done.stdout);
    assert!(!done.stdout.contains("a token of the host"));
    fs::remove_dir_all(place.path("home/.claude")).unwrap();
    finds(doctor(&place), 2, "agents", "PROBLEM no skill `review`");
    let route =
        r#"{ "host": "x.example.org", "auth": { "token_cmd": ["nowhere-pass", "show"] }, "upstream_ca": "gone.pem" }"#;
    let place = well_of(Place::new(&format!(
        r#"{{ "bottles": {{ "box": {{ "egress": {{ "routes": [{route}] }} }} }}, "agents": {{ "plain": {{ "bottle": "box" }} }} }}"#
    )));
    finds(doctor(&place), 2, "values", "PROBLEM no program `nowhere-pass`, which prints a token, for `plain`");
    finds(doctor(&place), 2, "values", "gone.pem`: No such file");
    // It is run in the home's folder, whatever lies in this one.
    let manifest = text(&place.path("home/.claude-bottle/claude-bottle.json")).replace("nowhere-pass", "./token");
    place.write("home/.claude-bottle/claude-bottle.json", &manifest);
    place.write("work/token", "#!/bin/sh\n");
    fs::set_permissions(place.path("work/token"), fs::Permissions::from_mode(0o755)).unwrap();
    finds(doctor(&place), 2, "values", "PROBLEM no program `./token`, which prints a token, for `plain`");
    fs::rename(place.path("work/token"), place.path("home/.claude-bottle/token")).unwrap();
    assert!(!doctor(&place).done().stdout.contains("./token"));
}

#[test]
fn what_remotes_need() {
    let manifest = r#"{ "bottles": { "box": { "git": { "remotes": [
        { "name": "app", "upstream": "git@git.example.org:app.git", "identity_file": "~/.ssh/id_app" } ] } } },
      "agents": { "plain": { "bottle": "box" } } }"#;
    let place = well_of(Place::new(manifest));
    finds(doctor(&place), 2, "remotes", "PROBLEM remote `app`");
    place.write("home/.ssh/id_app", "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n");
    finds(doctor(&place), 2, "remotes", "can be read by others of this machine");
    let key = place.path("home/.ssh/id_app");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    finds(doctor(&place), 2, "remotes", "is not in OpenSSH's own form");
    fs::remove_file(&key).unwrap();
    let make = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(make.unwrap().success());
    finds(doctor(&place), 2, "remotes", "no host key of `git.example.org` is known");
    place.write("home/.ssh/known_hosts", "git.example.org ssh-ed25519 AAAA\n");
    assert_eq!(said(&doctor(&place).done(), "remotes"), [""; 0]);
}

#[test]
fn what_signatures_need() {
    let manifest = r#"{ "bottles": { "box": { "git": { "signing_key": "~/.ssh/id_sign" } } },
      "agents": { "plain": { "bottle": "box" } } }"#;
    let place = well_of(Place::new(manifest));
    finds(doctor(&place), 2, "signing", "PROBLEM `git.signing_key`: cannot read");
    place.write("home/.ssh/id_sign", "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n");
    finds(doctor(&place), 2, "signing", "can be read by others of this machine");
    fs::set_permissions(place.path("home/.ssh/id_sign"), fs::Permissions::from_mode(0o600)).unwrap();
    finds(doctor(&place), 2, "signing", "is not in OpenSSH's own form, which alone the gate reads | ssh-keygen -p -f");
}

#[test]
fn a_manifest_that_is_broken() {
    let with = |text: &str| well_of(Place::new(text));
    finds(doctor(&with("{ nonsense")), 2, "manifest", "claude-bottle.json:1:");
    finds(doctor(&with(&PLAIN.replace("\"box\": {}", "\"bix\": {}"))), 2, "manifest", "no bottle `box`");
    finds(doctor(&with(r#"{ "agents": {} }"#)), 2, "manifest", "no agent is defined | claude-bottle edit");
    let place = well();
    fs::remove_file(place.path("home/.claude-bottle/claude-bottle.json")).unwrap();
    finds(doctor(&place), 2, "manifest", "PROBLEM no manifest: neither");
    // Nothing good is said of what could not be read.
    assert_eq!(said(&doctor(&place).done(), "values"), Vec::<String>::new());
    assert_eq!(said(&doctor(&with("{ nonsense")).done(), "values"), Vec::<String>::new());
}

#[test]
fn files_of_this_machine() {
    let place = well();
    finds(
        doctor(&place).env("CLAUDE_BOTTLE_UPSTREAM_CA", "/nowhere/roots.pem"),
        2,
        "roots",
        "PROBLEM no file `/nowhere/roots.pem`",
    );
    place.write("roots.pem", "no certificate");
    finds(doctor(&place), 2, "roots", "PROBLEM `CLAUDE_BOTTLE_UPSTREAM_CA`: `");
    let place = well();
    fs::set_permissions(place.path("home/.claude-bottle"), fs::Permissions::from_mode(0o755)).unwrap();
    finds(doctor(&place), 0, "state", "note others of this machine may look into `");
    let place = well();
    let old = SystemTime::now() - Duration::from_secs(7200);
    for name in [
        "home/.claude-bottle/.tmpAbCdEf",
        "tmp/claude-bottle-build-x",
        "home/.claude-bottle/.claude-bottle-draft-x.json",
    ] {
        place.write(name, "x");
        // Who is still at it is left in peace.
        assert!(said(&doctor(&place).done(), "leftovers").iter().all(|line| !line.contains(name)));
        File::options().write(true).open(place.path(name)).unwrap().set_modified(old).unwrap();
        finds(
            doctor(&place),
            0,
            "leftovers",
            &format!(
                "{}` was left behind by a program that was killed: look into it | rm -r ",
                place.path(name).display()
            ),
        );
    }
}

#[test]
fn the_environment_and_the_shell() {
    let place = well();
    let wrong = doctor(&place).env("CLAUDE_BOTTLE_DOKCER", "podman");
    finds(
        wrong,
        0,
        "environment",
        "note `CLAUDE_BOTTLE_DOKCER` is set, and nobody reads it | did you mean `CLAUDE_BOTTLE_DOCKER`?",
    );
    finds(doctor(&place).env("CLAUDE_BOTTLE_DETACH_KEYS", "ctrl-D"), 2, "environment", "PROBLEM no key `ctrl-D`");
    finds(doctor(&place).env("PATH", crate::harness::FAKE), 0, "git", "note no `git` on this machine");
    for (shell, file) in [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", ".config/fish/config.fish")] {
        let run = || doctor(&place).env("SHELL", format!("/bin/{shell}"));
        finds(
            run(),
            0,
            "shell",
            &format!(
                "| add to it: {}",
                if shell == "fish" {
                    "claude-bottle shell fish | source".to_owned()
                } else {
                    format!("eval \"$(claude-bottle shell {shell})\"")
                }
            ),
        );
        place.write(&format!("home/{file}"), "claude-bottle shell fish | source\n");
        finds(run(), 0, "shell", "ok `");
    }
}

/// What nobody has any more: sessions whose program was killed, and objects that no session names.
#[test]
fn what_is_left() {
    let place = well_of(kept());
    let identity = place.session();
    finds(doctor(&place), 0, "sessions", "ok 0 live, 0 detached, 1 kept");
    finds(doctor(&place), 0, "left", "ok nothing on the engine that no session names");
    let home = place.home_id().unwrap();
    let df = format!(
        r#"[{{"Name":"claude-bottle-{identity}","Size":"12.3MB","Labels":"a=b,claude-bottle.home={}"}},{{"Name":"other","Size":"1B","Labels":""}}]"#,
        home
    );
    finds(doctor(&place).env("FAKE_DF", df), 0, "volumes", &format!("ok `claude-bottle-{identity}` 12.3MB"));
    fs::write(place.session_file("mark"), r#"{"mark":"live"}"#).unwrap();
    let before = place.whole_home();
    finds(
        doctor(&place),
        0,
        "sessions",
        &format!("note `{identity}` is lost: the program that had it was killed | claude-bottle resume {identity}"),
    );
    assert_eq!(place.whole_home(), before);
    fs::remove_dir_all(place.path("home/.claude-bottle/state")).unwrap();
    finds(
        doctor(&place),
        0,
        "left",
        &format!("note `claude-bottle-{identity}`: left on the engine by this home | claude-bottle cleanup"),
    );
}

/// Images for another processor than the engine's begin nothing.
#[test]
fn a_platform_that_is_not_the_engines() {
    let place = well();
    let wanted = "`DOCKER_DEFAULT_PLATFORM` is `linux/arm64`, and the engine is x86_64: images are made for a processor \
                  that it is not | unset DOCKER_DEFAULT_PLATFORM";
    finds(doctor(&place).env("DOCKER_DEFAULT_PLATFORM", "linux/arm64"), 2, "platform", wanted);
    for same in ["linux/amd64", "linux/amd64/v2", "linux/x86_64"] {
        let done = doctor(&place).env("DOCKER_DEFAULT_PLATFORM", same).done();
        assert!(said(&done, "platform").is_empty(), "{same}: {done:?}");
    }
    finds(
        doctor(&place).env("FAKE_IMAGE_ARCH", "arm64"),
        2,
        "images",
        "is for aarch64, and the engine is x86_64 | docker image rm ",
    );
}
