//! Where in a text a finding is, as far as that is known without reading the text twice: its place in bytes, and the names of
//! a field and a file around it. A name that could be a part of a secret is not told.

use memchr::memmem;
use std::sync::LazyLock;

/// Bytes before a finding in which the name of its field is looked for.
const NAME_REACH_BYTES: usize = 512;
/// Bytes of the longest name that is told.
const MAX_NAME_BYTES: usize = 80;
/// Letters and digits in a row from which on a name with a digit in it is taken for a secret.
const SECRET_RUN_BYTES: usize = 12;
/// How a part of a form begins (RFC 7578), up to the name of its field.
static FORM_PART: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("form-data; name=\""));

/// Where a finding is. Never holds what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingPlace {
    /// Bytes of the text before it, or before the block that has it. `None`: it is in a compressed file.
    pub at: Option<u64>,
    /// The field of a form, of a JSON object or of a head.
    pub field: Option<String>,
    /// The file of a form or an archive.
    pub file: Option<String>,
}

/// Follows a text as it streams, to know the names around a finding.
#[derive(Default)]
pub struct Locator {
    /// Bytes of the text before the present part.
    position: u64,
    /// The last of them.
    tail: Vec<u8>,
    /// Field and file of the part of a form that the text is in.
    form: Option<FormPart>,
}

#[derive(Clone, Default)]
struct FormPart {
    field: Option<String>,
    file: Option<String>,
}

impl Locator {
    /// The names around a finding. `part`: what of the text was read last.
    pub fn locate(&self, place: &mut FindingPlace, part: &[u8]) {
        let Some(at) = place.at else { return };
        let text = [&self.tail, part].concat();
        let start = self.position - self.tail.len() as u64;
        let end = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(text.len());
        let before = &text[..end];
        let form = last_form_part(before).or_else(|| self.form.clone()).unwrap_or_default();
        let near = &before[before.len().saturating_sub(NAME_REACH_BYTES)..];
        place.file = place.file.take().or(form.file);
        place.field = field_before(near).or(form.field);
    }

    /// The part was read.
    pub fn pass(&mut self, part: &[u8]) {
        self.position += part.len() as u64;
        let seam = [&self.tail, &part[..part.len().min(NAME_REACH_BYTES)]].concat();
        if let Some(form) = last_form_part(part).or_else(|| last_form_part(&seam)) {
            self.form = Some(form);
        }
        self.tail.extend_from_slice(&part[part.len().saturating_sub(NAME_REACH_BYTES)..]);
        let surplus = self.tail.len().saturating_sub(NAME_REACH_BYTES);
        self.tail.drain(..surplus);
    }
}

fn last_form_part(text: &[u8]) -> Option<FormPart> {
    let at = FORM_PART.find_iter(text).last()? + FORM_PART.needle().len();
    let line = text[at..].split(|byte| *byte == b'\n').next()?;
    let (field, rest) = split_once(line, b'"')?;
    let file = memmem::find(rest, b"filename=\"").and_then(|at| split_once(&rest[at + 10..], b'"'));
    Some(FormPart { field: plain_name(field), file: file.and_then(|(file, _)| plain_name(file)) })
}

fn split_once(text: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|other| *other == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The field whose value goes on at the end of this text.
fn field_before(text: &[u8]) -> Option<String> {
    json_field(text).or_else(|| query_field(text)).or_else(|| line_field(text))
}

/// `{"name": "val` or `"name": ["val`.
fn json_field(text: &[u8]) -> Option<String> {
    let colon = memmem::rfind(text, b"\":")?;
    let mut value = text[colon + 2..].trim_ascii_start();
    let is_list = value.first() == Some(&b'[');
    value = if is_list { &value[1..] } else { value };
    let quotes =
        value.iter().enumerate().filter(|(n, byte)| **byte == b'"' && (*n == 0 || value[n - 1] != b'\\')).count();
    if (quotes != 1 || value.first() != Some(&b'"')) && !(is_list && quotes % 2 == 1) {
        return None;
    }
    let start = text[..colon].iter().rposition(|byte| *byte == b'"')? + 1;
    plain_name(&text[start..colon])
}

/// `?a=b&name=val`.
fn query_field(text: &[u8]) -> Option<String> {
    let start =
        text.iter().rposition(|byte| matches!(byte, b'?' | b'&' | b' ' | b'\n' | b'"' | b'\'' | b'<' | b'>'))?;
    let (name, _) = split_once(&text[start + 1..], b'=')?;
    matches!(text[start], b'?' | b'&').then(|| plain_name(name)).flatten()
}

/// `name: val`, as in a head.
fn line_field(text: &[u8]) -> Option<String> {
    let line = text.rsplit(|byte| *byte == b'\n').next()?;
    let (name, value) = split_once(line, b':')?;
    let is_name =
        value.first() == Some(&b' ') && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
    if is_name { plain_name(name) } else { None }
}

/// The name, if it is one that hides nothing: short, of plain characters, and without anything that looks like a key.
pub fn plain_name(name: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./[]@+ ".contains(byte);
    let is_secret = |run: &[u8]| run.len() >= SECRET_RUN_BYTES && run.iter().any(u8::is_ascii_digit);
    let is_told = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.iter().all(is_plain)
        && !name.split(|byte| !byte.is_ascii_alphanumeric()).any(is_secret);
    is_told.then(|| String::from_utf8_lossy(name).into_owned())
}

/// The names of the files in a tar archive, as its text is read.
#[derive(Default)]
pub struct TarNames {
    /// Bytes of the text so far, and how many of the next ones belong to the file under way.
    header: Vec<u8>,
    left: u64,
    is_other: bool,
}

/// Bytes of a block of an archive (POSIX, `ustar`).
const TAR_BLOCK_BYTES: usize = 512;

impl TarNames {
    /// Takes the beginning of `text` that belongs to one file, or to a header. The name is that of a file which begins behind
    /// it.
    pub fn split<'a>(&mut self, text: &'a [u8]) -> (&'a [u8], &'a [u8], Option<String>) {
        if self.is_other {
            return (text, &[], None);
        }
        if self.left > 0 {
            let taken = text.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= taken as u64;
            return (&text[..taken], &text[taken..], None);
        }
        let taken = text.len().min(TAR_BLOCK_BYTES - self.header.len());
        self.header.extend_from_slice(&text[..taken]);
        let mut name = None;
        if self.header.len() == TAR_BLOCK_BYTES {
            let header = std::mem::take(&mut self.header);
            if header[257..262] == *b"ustar" {
                name = Some(tar_name(&header));
                self.left = tar_size(&header).next_multiple_of(TAR_BLOCK_BYTES as u64);
            } else {
                // The end of an archive is blocks of zeros.
                self.is_other = header.iter().any(|byte| *byte != 0);
            }
        }
        (&text[..taken], &text[taken..], name.flatten())
    }
}

fn tar_name(header: &[u8]) -> Option<String> {
    let is_file = matches!(header[156], 0 | b'0');
    let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    let (name, folder) = (text(&header[..100]), text(&header[345..500]));
    let name = if folder.is_empty() { name } else { [&folder[..], b"/", &name].concat() };
    if is_file { plain_name(&name) } else { None }
}

fn tar_size(header: &[u8]) -> u64 {
    let digits = header[124..136].iter().filter(|byte| (b'0'..=b'7').contains(byte));
    digits.fold(0u64, |size, digit| size.saturating_mul(8).saturating_add(u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_one_whose_value_goes_on() {
        for (text, wanted) in [
            ("{\"a\":1,\"key\":\"x ", Some("key")),
            ("{\"keys\": [\"a\", \"", Some("keys")),
            ("{\"a\":\"b\",\"", None),
            ("{\"a\": \"say \\\"x\\\" ", Some("a")),
            ("/p?a=b&token=", Some("token")),
            ("a=b c", None),
            ("x-note: Bearer ", Some("x-note")),
            ("{\"gt_Xk29fLq8Wm4Zr7bN1\":\"", None),
            ("plain text ", None),
        ] {
            assert_eq!(field_before(text.as_bytes()).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn names_of_a_form_are_known_in_every_split() {
        let text = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a/b.txt\"\r\n\r\nsome text, ";
        for size in [1, 7, 1000] {
            let mut locator = Locator::default();
            text.chunks(size).for_each(|part| locator.pass(part));
            let mut place = FindingPlace { at: Some(text.len() as u64 + 5), ..FindingPlace::default() };
            locator.locate(&mut place, b"more and the finding");
            assert_eq!((place.field.as_deref(), place.file.as_deref()), (Some("f"), Some("a/b.txt")), "by {size}");
        }
    }
}
