//! Browsers with roots of their own, without a window, in a bottle: a page that is allowed opens, and one that is refused
//! says why.

use super::{Rig, docker};
use serde_json::{Value, json};

const INSTALL: &str = "FROM claude-bottle-agent\nUSER 0:0\n\
    RUN apt-get update && apt-get install -y --no-install-recommends chromium chromium-headless-shell firefox-esr libnss3-tools && \
    rm -rf /var/lib/apt/lists/*\nCOPY firefox.py /usr/local/share/\nUSER 1000:1000\n";

/// Says what each browser shows of an allowed and of a refused address.
const OPEN: &str = r#"
cd /tmp || exit
show() { "$1" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --virtual-time-budget=1000 \
    --dump-dom "$2" 2>/tmp/browser.log || tail -n 5 /tmp/browser.log; }
say=$(show chromium-headless-shell https://allowed.example.org/hello)
echo "chromium-headless-shell alone: ${say##*net::}"
# The lines of http://gate.bottle/trust.
curl -sS http://gate.bottle/trust | grep -E '^CA=|^    (mkdir|certutil) ' >nss.sh
sh nss.sh || cat nss.sh
for verdict in allowed refused; do
    for browser in chromium chromium-headless-shell; do
        echo "$browser $verdict: $(show "$browser" "https://$verdict.example.org/hello" | tr '\n' ' ')"
    done
done
python3 /usr/local/share/firefox.py https://allowed.example.org/hello https://refused.example.org/hello >firefox 2>&1
echo "firefox allowed: $(sed -n 1p firefox)"
echo "firefox refused: $(sed -n 2p firefox)"
"#;

#[test]
#[ignore = "installs three browsers: `make slow`"]
fn browsers_open_what_is_allowed_and_say_why_not() {
    let context = tempfile::tempdir().unwrap();
    let dockerfile = context.path().join("Dockerfile");
    std::fs::write(&dockerfile, INSTALL).unwrap();
    std::fs::write(context.path().join("firefox.py"), include_str!("firefox.py")).unwrap();
    let rig = Rig::new(&json!({}));
    let route = rig.origin().route();
    let image = json!({ "dockerfile": dockerfile, "context": context.path() });
    rig.manifest(&json!({
        "bottles": { "b": { "image": image, "egress": { "routes": [route] } } },
        "agents": { "agent": { "bottle": "b", "command": ["bash"] } },
    }));
    let said = rig.run(&["start", "--yes", "agent"], OPEN).code(0).stdout;
    let plan: Value =
        serde_json::from_str(&rig.run(&["start", "--dry-run", "--format", "json", "agent"], "").code(0).stdout)
            .unwrap();
    for build in plan["images"]["builds"].as_array().unwrap().iter().rev().take(2) {
        docker(&["rmi", build["tag"].as_str().unwrap()]);
    }
    for browser in ["chromium", "chromium-headless-shell", "firefox"] {
        let line = |verdict: &str| {
            let start = format!("{browser} {verdict}: ");
            said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{start} in\n{said}"))
        };
        assert!(line("allowed").contains("hello from the origin"), "{said}");
        assert!(line("refused").contains("host `refused.example.org` is not on the allowlist"), "{said}");
    }
    // It reads no policies, so that a line of the page is what mends it; once it opens pages as it is, the page says too much.
    assert!(said.contains("chromium-headless-shell alone: ERR_CERT_AUTHORITY_INVALID"), "{said}");
    rig.assert_nothing_left();
}
