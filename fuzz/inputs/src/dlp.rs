//! A body, where it is cut, and a value planted in it. In whatever parts it comes, the verdict is one, no more leaves than
//! came, at most [`MAX_HELD_BYTES`] are held back, and no value leaves whole. A value on a line of its own is found in every
//! encoding.

use scan::dlp::{Action, Finding, Knowledge, Known, Orders, Rules, Scan, SecretClass, Stop, Subject, Vault};
use std::sync::{Arc, LazyLock};
use testing::encodings::ENCODINGS;

const VALUES: [(&str, SecretClass); 3] = [
    ("gt_Xk29fLq8/Wm4+Zr7bN1cQ5", SecretClass::GateOnly),
    ("zx-api03-q8Rt2LmPw9Xk4Zc7", SecretClass::AgentVisible),
    ("bkp_Q7JX2MZP4KLW6TNB", SecretClass::Canary),
];

/// The orders of a route by default, with `redact`, with `warn`, and on the model's host.
const ORDERS: [Orders; 4] = [
    Orders { seen: Action::Block, patterns: Action::Block, stuck: Action::Block },
    Orders { seen: Action::Mask, patterns: Action::Mask, stuck: Action::Block },
    Orders { seen: Action::Warn, patterns: Action::Warn, stuck: Action::Warn },
    Orders { seen: Action::Mask, patterns: Action::Off, stuck: Action::Warn },
];

/// Bytes that may be held back: no spelling of a value and no pattern is longer.
const MAX_HELD_BYTES: usize = 1024;

static KNOWLEDGE: LazyLock<Knowledge> = LazyLock::new(|| {
    let known = |(text, class): (&str, SecretClass)| Known { name: text.to_owned(), class, bytes: text.into() };
    Knowledge { vault: Arc::new(Vault::new(&VALUES.map(known))), rules: Arc::new(Rules::new().expect("rules")) }
});

pub fn run(input: &[u8]) {
    let Some((&[orders, value, encoding, part, at], noise)) = input.split_first_chunk() else { return };
    let orders = ORDERS[usize::from(orders) % ORDERS.len()];
    let value = VALUES.get(usize::from(value) % (VALUES.len() + 1));
    let encoding = ENCODINGS[usize::from(encoding) % ENCODINGS.len()];
    let (before, after) = noise.split_at(usize::from(at).min(noise.len()));
    let planted = value.map(|(text, _)| format!("\n{}\n", (encoding.1)(text))).unwrap_or_default();
    let text = [before, planted.as_bytes(), after].concat();
    let whole = send(orders, &[&text]);
    let parts: Vec<&[u8]> = text.chunks(usize::from(part).max(1)).collect();
    let split = send(orders, &parts);
    // The first bytes of what is overwritten may have left before they were the beginning of anything, so the parts matter.
    if ![&whole, &split].iter().any(|sent| sent.masked()) {
        assert_eq!(whole.ended.is_ok(), split.ended.is_ok(), "in parts: {:?}, {:?}", whole.ended, split.ended);
    }
    for Sent { left, ended, .. } in [&whole, &split] {
        for (value, class) in VALUES {
            let passes = class != SecretClass::GateOnly && orders.seen == Action::Warn;
            assert!(passes || !left.windows(value.len()).any(|part| part == value.as_bytes()), "a value leaves");
        }
        assert!(ended.is_err() || left.len() == text.len(), "{} of {} leave", left.len(), text.len());
    }
    if let Some((_, class)) = value {
        assert!(whole.found(*class), "not found: {}, {:?}", encoding.0, whole.notes);
        assert!(split.found(*class), "not found in parts: {}, {:?}", encoding.0, split.notes);
    }
}

/// What became of a text.
struct Sent {
    left: Vec<u8>,
    ended: Result<(), Stop>,
    notes: Vec<Finding>,
}

impl Sent {
    fn masked(&self) -> bool {
        self.notes.iter().any(|note| note.done == Action::Mask)
    }

    /// Was a value of this class found? A text that was stopped for something else was not searched to its end.
    fn found(&self, class: SecretClass) -> bool {
        let is = |finding: &Finding| matches!(finding.subject, Subject::Known(whose, _) if whose == class);
        self.ended.is_err() || self.notes.iter().any(is)
    }
}

fn send(orders: Orders, parts: &[&[u8]]) -> Sent {
    let (mut scan, mut left) = (Scan::passing(&KNOWLEDGE, orders), Vec::new());
    let mut came = 0;
    let mut ended = Ok(());
    for part in parts {
        ended = scan.push(part, &mut left);
        came += part.len();
        if ended.is_err() {
            break;
        }
        assert!(left.len() <= came && came - left.len() <= MAX_HELD_BYTES, "{} of {came} bytes left", left.len());
    }
    let ended = ended.and_then(|()| scan.finish(&mut left));
    Sent { left, ended, notes: scan.notes() }
}
