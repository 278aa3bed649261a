//! Tells real credentials from those that a text shows as an example: by a list of the documented ones, by what no random
//! key has, and by checksums. Randomness alone never tells: one random key of thirty would count as an example.

use super::published;
use policy::matchable::{entropy_bits, looks_random};
use sha2::{Digest, Sha256};

/// What an example says of itself, at least seven letters: fewer are in random keys as well.
const EXAMPLE_MARKS: &[&str] = &[
    "example",
    "placeholder",
    "redacted",
    "notreal",
    "changeme",
    "yourtoken",
    "your-token",
    "your_token",
    "yourkey",
    "your-key",
    "your_key",
    "yourapi",
    "your-api",
    "your_api",
    "yoursecret",
    "your-secret",
    "your_secret",
    "yourpass",
    "your-pass",
    "your_pass",
    "your-access",
    "your_access",
    "dummytoken",
    "dummykey",
    "faketoken",
    "fakekey",
    "abcdefgh",
    "12345678",
    "01234567",
    "87654321",
    "deadbeef",
    // `{"sub":"1234567`, as in the tokens of JSON that documentation prints.
    "eyjzdwiioiixmjm0nty3",
];

/// One character so many times in a row is in no random key, but for `A`, which is zero bits in base64.
const SAME_IN_A_ROW: usize = 9;

/// Bytes that may be a credential by themselves.
const REAL_BYTES: usize = 24;

/// Credentials that their vendors' own documentation and tools print, and that open nothing.
const EXAMPLES: &[&str] = &[
    "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "gho_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghr_1B4a2e77838347a7E420ce178F2E7c6912E169246c34E1ccbF66C46812d16D5B1A9Dc86A1498",
    "AIzaSyAnLA7NfeLquW1tJFpx_eQCxoX-oo6YyIs",
    "AIzaSyCkEhVjf3pduRDt6d1yKOMitrUEke8agEM",
    "AIzaSyDMAScliyLx7F0NPDEJi1QmyCgHIAODrlU",
    "AIzaSyD3asb-2pEZVqMkmL6M9N6nHZRR_znhrh0",
    "AIzaSyAdOS2zB6NCsk1pCdZ4-P6GBdi_UUPwX7c",
    "AIzaSyASWm6HmTMdYWpgMnjRBjxcQ9CKctWmLd4",
    "AIzaSyANUvH9H9BsUccjsu2pCmEkOPjjaXeDQgY",
    "AIzaSyA5_iVawFQ8ABuTZNUdcwERLJv_a_p4wtM",
    "AIzaSyA4UrcGxgwQFTfaI3no3t7Lt1sjmdnP5sQ",
    "AIzaSyDSb51JiIcB6OJpwwMicseKRhhrOq1cS7g",
    "AIzaSyBF2RrAIm4a0mO64EShQfqfd2AFnzAvvuU",
    "AIzaSyBcE-OOIbhjyR83gm4r2MFCu4MJmprNXsw",
    "AIzaSyB8qGxt4ec15vitgn44duC5ucxaOi4FmqE",
    "AIzaSyA8vmApnrHNFE0bApF4hoZ11srVL_n0nvY",
    "AIzaSyDOCAbC123dEf456GhI789jKl01-MnO",
    "AIzaSyDOCAbC123dEf456GhI789jKl012-MnO",
    "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3namBGewQe",
    "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    "sk_test_BQokikJOvBiI2HlWgH4olfQ2",
    "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw",
    "dXNlcm5hbWU6cGFzc3dvcmQ=",
    "erfi7sYi89234xJUqaqxgmzcnQ2rRFWM5aJX0EC=",
    "juQAqGmz5eR1ipzx8Evn6KGdw8fEa1w5MWczmgY=",
];

/// Words that a password in documentation has in it.
const PASSWORD_MARKS: &[&str] = &[
    "example",
    "ssword",
    "ssw0rd",
    "passwd",
    "changeme",
    "placeholder",
    "redacted",
    "dummy",
    "xxxx",
    "secret",
    "your",
    "1234567",
    "insert",
    "replace",
    "abcdef",
    "hunter2",
];

/// How a text of the right shape is told from an example, or from another thing of that shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It is no example.
    Any,
    /// The id of a key of AWS, unless it stands in a signed address. Alone it opens nothing, but the secret is seldom far.
    KeyId,
    /// A session token of AWS, unless it stands in an address.
    AddressToken,
    /// A key of Google, unless it stands in an address.
    AddressKey,
    /// It ends with this.
    Ends(&'static str),
    /// It holds this.
    Holds(&'static str),
    /// It is made of many different letters, and does not read like a word. For shapes that other things have as well.
    Mixed,
    /// It does not read like words.
    Password,
    /// It does not read like words, and is far from short.
    Secret,
    /// A private key, and not only its beginning.
    Key,
    /// A Bitcoin key, by its checksum.
    Wallet,
}

/// Is this a credential? `text`: all of it; `begin`: bytes at its beginning that all credentials of its kind have.
pub fn is_real(check: Check, text: &[u8], begin: usize) -> bool {
    let passes = match check {
        Check::Any | Check::KeyId | Check::AddressToken | Check::AddressKey => true,
        Check::Ends(end) => text.ends_with(end.as_bytes()),
        Check::Holds(inner) => text.windows(inner.len()).any(|part| part == inner.as_bytes()),
        Check::Mixed => is_mixed(&text[begin..]),
        Check::Password => is_password(text),
        Check::Secret => text.len() >= 16 && is_password(text) && is_mixed(text),
        Check::Wallet => is_wallet_key(text),
        Check::Key => false,
    };
    passes && !is_example(text, begin)
}

fn is_example(text: &[u8], begin: usize) -> bool {
    let body = &text[begin..];
    let few = if body.len() < 32 { 4 } else { 6 };
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    distinct(body) <= few
        || is_filled_up(body)
        || EXAMPLE_MARKS.iter().any(|mark| lower.contains(mark))
        || EXAMPLES.iter().any(|example| example.as_bytes() == text)
        || published::is_extended_key(text)
}

/// Is it filled up with one character, and what is beside that too short for a credential?
fn is_filled_up(text: &[u8]) -> bool {
    let mut rest: Vec<&[u8]> = vec![&[]];
    let (mut at, mut begin) = (0, 0);
    for run in text.chunk_by(|a, b| a == b) {
        let end = at + run.len();
        if run.len() >= SAME_IN_A_ROW && run[0] != b'A' {
            rest.push(&text[begin..at]);
            begin = end;
        }
        at = end;
    }
    rest.push(&text[begin..]);
    rest.len() > 2 && rest.iter().all(|part| part.len() < REAL_BYTES || distinct(part) < REAL_BYTES / 2)
}

fn distinct(text: &[u8]) -> usize {
    let mut seen = [false; 256];
    text.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

fn is_mixed(text: &[u8]) -> bool {
    let has_both = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic);
    distinct(text) >= (text.len() / 2).min(8) && (has_both || looks_random(text))
}

fn is_password(text: &[u8]) -> bool {
    let lower = String::from_utf8_lossy(text).to_ascii_lowercase();
    // A token of JSON has a rule of its own.
    let is_password = entropy_bits(text) >= 22.0 && looks_random(text) && text.iter().any(u8::is_ascii_digit);
    // Nor is the path that `PWD` names a password.
    is_password
        && !text.starts_with(b"eyJ")
        && !text.starts_with(b"/")
        && !PASSWORD_MARKS.iter().any(|mark| lower.contains(mark))
}

/// Is this Base58 of a version, a key, and the first four bytes of its double hash?
fn is_wallet_key(text: &[u8]) -> bool {
    const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 40];
    for digit in text {
        let Some(value) = DIGITS.iter().position(|other| other == digit) else { return false };
        let mut carry = value;
        for byte in bytes.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 255) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    [37, 38].into_iter().any(|length| {
        let whole = &bytes[bytes.len() - length..];
        let (key, sum) = whole.split_at(length - 4);
        key[0] == 0x80 && Sha256::digest(Sha256::digest(key))[..4] == *sum
    })
}
