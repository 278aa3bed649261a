//! A base image that comes from a registry of images: Debian's own registry program, on loopback.

use super::{Rig, docker, images, lines, run, unique};
use crate::harness::wait;
use serde_json::json;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A registry, and the names of images that are to go with it.
struct Registry {
    child: Child,
    address: SocketAddr,
    names: Vec<String>,
}

impl Registry {
    /// `folder`: where it keeps what is pushed.
    fn new(folder: &Path) -> Registry {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = folder.join("registry.yml");
        let kept = folder.join("registry").display().to_string();
        let text = json!({ "version": 0.1, "storage": { "filesystem": { "rootdirectory": kept } }, "http": { "addr": address } });
        fs::write(&config, text.to_string()).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run this by `make slow`");
        wait::until("the registry", || TcpStream::connect(address).is_ok());
        Registry { child, address, names: Vec::new() }
    }

    /// Takes an image of the engine's, and lets the engine pull it under the name that comes back.
    fn serve(&mut self, image: &str) -> String {
        let name = format!("{}/{}:1", self.address, unique());
        self.names.push(name.clone());
        docker(&["tag", image, &name]);
        docker(&["push", "--quiet", &name]);
        docker(&["image", "rm", &name]);
        docker(&["pull", "--quiet", &name]);
        name
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ =
            Command::new("docker").args(["image", "rm", "--force"]).args(&self.names).stdout(Stdio::null()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tag at a registry may move between two builds: images are made of what it was when it was pulled, by digest.
#[test]
#[ignore = "installs a registry of images: `make slow`"]
fn images_are_made_of_the_base_that_a_registry_gave_by_its_digest() {
    let rig = Rig::new(&json!({}));
    let mut registry = Registry::new(rig.path());
    let base = registry.serve(&std::env::var("CLAUDE_BOTTLE_BASE_IMAGE").expect("run this by `make slow`"));
    let digest = docker(&["image", "inspect", "--format", "{{index .RepoDigests 0}}", &base]);
    assert!(digest.contains("@sha256:"), "{digest}");
    let tags = || {
        lines(&docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "label=claude-bottle.base"]))
    };
    let before = tags();
    let built = run(rig.ours(&["build"]).env("CLAUDE_BOTTLE_BASE_IMAGE", &base), "");
    registry.names.extend(tags().into_iter().filter(|tag| !before.contains(tag)));
    built.code(0);
    let made = &registry.names[1..];
    assert!(!made.is_empty() && !made.contains(&images().agent), "{made:?}");
    for tag in made {
        let label = docker(&["image", "inspect", "--format", "{{index .Config.Labels \"claude-bottle.base\"}}", tag]);
        assert_eq!(label.trim(), digest.trim(), "{tag}");
    }
}
