//! Places that many tests start from: a manifest that uses everything, and a session that was kept.

use crate::harness::{PLAIN, Place};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

/// A manifest that uses what there is to use.
pub const RICH: &str = r#"{
  // Comments are allowed.
  "bottles": {
    "base": { "egress": { "routes": [ { "host": "*.docs.rs" } ] } },
    "dev": {
      "extends": ["base"],
      "image": { "dockerfile": "dev.Dockerfile" },
      "env": { "REGION": "${MY_REGION}", "LEVEL": "high" },
      "egress": { "routes": [
        { "host": "api.anthropic.com", "role": "claude", "auth": { "token_ref": "CLAUDE_CODE_OAUTH_TOKEN" } },
        { "host": "api.example.org", "methods": ["GET", "POST"], "paths": ["/repos/team/**"],
          "auth": { "scheme": "token", "token_cmd": ["/bin/echo", "from-a-command"] } },
        { "host": "forge.example.org", "paths": ["/team/**"], "git": "fetch" },
        { "host": "models.example.org", "port": 80, "connect_to": "http://host-gateway:11434", "private": true },
        { "host": "db.example.org", "port": 5432, "protocol": "tcp" },
        { "host": "pinned.example.org", "intercept": false }
      ] },
      "git": { "user": { "name": "Bot", "email": "bot@example.org" } },
      "limits": { "memory": "2g", "cpus": 1.5, "pids": 512 }
    }
  },
  "agents": {
    "fixer": { "bottle": "dev", "skills": ["review"], "prompt": "Fix it.\nAll of it.", "settings": { "theme": "dark" } }
  }
}
"#;

pub fn rich() -> Place {
    let place = Place::new(RICH);
    place.write("home/.claude-bottle/dev.Dockerfile", "FROM claude-bottle-agent\n");
    place.write("home/.claude/skills/review/SKILL.md", "Look twice.\n");
    place
}

/// The variables that the rich manifest asks for.
pub const VARIABLES: [(&str, &str); 2] =
    [("MY_REGION", "a region of the host"), ("CLAUDE_CODE_OAUTH_TOKEN", "a token of the host")];

/// A kept session, as an agent that ended with 7 leaves one.
pub fn kept() -> Place {
    kept_on("docker")
}

pub fn kept_on(engine: &'static str) -> Place {
    let place = Place::on(engine, PLAIN);
    let tar = place.transcript();
    let done = place.run(&["start", "--yes", "plain"]).env("FAKE_CODE", 7).env("FAKE_TAR", tar).done();
    assert_eq!(done.status, 7, "{done:?}");
    place.forget_calls();
    place
}

pub const WORK: &str = r#""complete":true,"files":2,"repositories":[{"path":"app","commits":3,"stashes":0,"files":1}]"#;

/// As `kept`, with work in it that is nowhere else.
pub fn with_work() -> Place {
    let place = Place::new(PLAIN);
    let tar = place.transcript();
    let start = place.run(&["start", "--yes", "plain"]).env("FAKE_WORK", WORK).env("FAKE_TAR", tar);
    assert_eq!(start.done().status, 0);
    place.forget_calls();
    place
}

/// Its mark is this old.
pub fn aged(place: &Place, seconds: u64) {
    let mark = File::options().write(true).open(place.session_file("mark")).unwrap();
    mark.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

/// Every file of the home with its content, and the mark's time.
pub fn whole(place: &Place) -> (Vec<(std::path::PathBuf, u32, Vec<u8>)>, SystemTime) {
    (place.whole_home(), fs::metadata(place.session_file("mark")).unwrap().modified().unwrap())
}

pub const MANIFEST: &str = "home/.claude-bottle/claude-bottle.json";
