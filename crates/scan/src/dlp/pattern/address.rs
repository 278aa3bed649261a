//! Credentials that addresses carry on purpose. Whoever signs an address gives it away, with the id of the key that it was
//! signed with: the id opens nothing without its secret. A key of Google in `?key=` is one that web pages show.

use super::check::Check;

/// Bytes of an address, or of a form's fields, behind the id of the key: a session token of up to 3 KiB and a signature.
pub const MAX_ADDRESS_BYTES: usize = 4096;
/// Names of the parameter or the field that has the id of the key, in lower case.
const ID_NAMES: [&[u8]; 2] = [b"x-amz-credential", b"awsaccesskeyid"];
const TOKEN_NAME: &[u8] = b"x-amz-security-token";
/// Bytes of a secret key of AWS.
const SECRET_BYTES: usize = 40;

/// Where a candidate stands in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPart {
    /// In none, or where it does not belong.
    None,
    /// An address has it there for everyone to see.
    Public,
    /// The id of a key, if a signature and no secret key stand beside it: up to the end of the address.
    Id,
    /// Likewise, in the fields of a form or of JSON.
    FieldId,
}

/// `read`: the text up to the end of the candidate's keyword, of which the last `behind` bytes are the candidate's.
pub fn part_of(check: Check, read: &[u8], behind: usize) -> AddressPart {
    let before = &read[..read.len() - behind];
    match check {
        Check::KeyId => match id_value(before) {
            Some(b'=') => AddressPart::Id,
            Some(_) => AddressPart::FieldId,
            None => AddressPart::None,
        },
        Check::AddressToken => {
            let name = before.strip_suffix(b"=").unwrap_or(before);
            let begin = ends_with_name(name, TOKEN_NAME);
            if begin.is_some_and(is_parameter) { AddressPart::Public } else { AddressPart::None }
        }
        Check::AddressKey => {
            let begin = before.strip_suffix(b"key=");
            if begin.is_some_and(is_parameter) { AddressPart::Public } else { AddressPart::None }
        }
        _ => AddressPart::None,
    }
}

/// The sign between the name of an id and its value, at the end of this text: `=`, or `"` for a field.
fn id_value(before: &[u8]) -> Option<u8> {
    let is_gap = |byte: &u8| matches!(byte, b'"' | b'\'' | b':' | b' ' | b'\r' | b'\n' | b'\\' | b'>');
    let gap = before.iter().rev().take_while(|byte| is_gap(byte)).count();
    let (name, sign) = match before.strip_suffix(b"=") {
        Some(name) => (name, b'='),
        None if gap > 0 => (&before[..before.len() - gap], b'"'),
        None => return None,
    };
    ID_NAMES.iter().any(|wanted| ends_with_name(name, wanted).is_some()).then_some(sign)
}

/// What stands before the name at the end of the text.
fn ends_with_name<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (before, end) = text.split_at_checked(text.len().checked_sub(name.len())?)?;
    end.eq_ignore_ascii_case(name).then_some(before)
}

/// May a parameter of an address begin here? `&` is also written `&amp;` and, in JSON, `\u0026`.
fn is_parameter(before: &[u8]) -> bool {
    [&b"?"[..], b"&", b"&amp;", b"\\u0026"].iter().any(|sign| before.ends_with(sign))
}

/// May the address, or the fields, go on with this byte?
pub fn goes_on(part: AddressPart, byte: u8) -> bool {
    part == AddressPart::FieldId || !(byte.is_ascii_whitespace() || byte < b' ' || b"\"'<>`".contains(&byte))
}

/// Is the id that begins `text` one of a signed address? `before`: of the same address.
pub fn is_signed(part: AddressPart, before: &[u8], text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).replace("\\u0026", "&").replace("&amp;", "&");
    let before = String::from_utf8_lossy(before).replace("\\u0026", "&").replace("&amp;", "&");
    let whole = format!("{before}{text}");
    let signed = if has_scope(&text) {
        has_value(part, &whole, "x-amz-signature", is_hex_signature)
    } else {
        has_old_signature(part, &whole)
    };
    signed && !has_secret(&decoded(&text)) && !has_secret(&decoded(&before))
}

/// The id is followed by day, region and service: `/20261201/us-east-1/s3/aws4_request`.
fn has_scope(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
    let rest = ["/", "%2F", "%2f", "\\/"].iter().find_map(|sign| rest.strip_prefix(sign));
    rest.is_some_and(|rest| rest.len() >= 8 && rest.bytes().take(8).all(|byte| byte.is_ascii_digit()))
}

fn has_old_signature(part: AddressPart, text: &str) -> bool {
    has_value(part, text, "signature", |value| {
        let value = decoded(value);
        value.len() == 28 && value.ends_with('=') && value[..27].bytes().all(is_base64)
    })
}

fn is_hex_signature(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Does `name` stand in the text, with a value that `fits`?
fn has_value(part: AddressPart, text: &str, name: &str, fits: impl Fn(&str) -> bool) -> bool {
    let lower = text.to_ascii_lowercase();
    let begins = lower.match_indices(name).map(|(at, _)| &text[at + name.len()..]);
    begins.into_iter().any(|rest| {
        let value = match part {
            AddressPart::FieldId => rest.trim_start_matches(['"', '\'', ':', ' ', '\r', '\n', '\\', '>', '=']),
            _ => match rest.strip_prefix('=') {
                Some(value) => value,
                None => return false,
            },
        };
        let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "+/=%".contains(c))).unwrap_or(value.len());
        fits(&value[..end])
    })
}

/// Is there a word as long as a secret key that looks like one? A slash may be a part of it, or stand between it and what
/// is beside it.
fn has_secret(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii() || !is_base64(c as u8)).any(|word| {
        let after_slashes = word.match_indices('/').map(|(at, _)| at + 1);
        let mut begins = std::iter::once(0).chain(after_slashes);
        begins.any(|begin| {
            let (part, rest) = (word.get(begin..begin + SECRET_BYTES), word.get(begin + SECRET_BYTES..));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && part.is_some_and(is_random)
        })
    })
}

/// Are there as many letters and digits of each kind as in nearly every random key, and in hardly a path?
fn is_random(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    count(u8::is_ascii_uppercase) >= 5 && count(u8::is_ascii_lowercase) >= 5 && count(u8::is_ascii_digit) >= 1
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Without the escapes of an address that a key or a signature has.
fn decoded(text: &str) -> String {
    let signs = [("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%3D", "="), ("%3d", "=")];
    signs.iter().fold(text.to_owned(), |text, (escape, sign)| text.replace(escape, sign))
}
