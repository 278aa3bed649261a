//! A tag's name and attributes, and the references in a text (`&amp;`).

/// Elements without content or end.
pub const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// Elements whose content is no HTML.
pub const RAW: [&str; 8] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];
/// Elements that end where the next one of the same name begins.
pub const CLOSES_ITSELF: [&str; 8] = ["p", "li", "option", "dt", "dd", "tr", "td", "th"];
/// Where one of these begins, a paragraph ends.
pub const BLOCKS: [&str; 27] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "details",
    "div",
    "dl",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "pre",
    "section",
    "table",
    "ul",
    "menu",
];
/// Bytes of a reference up to its `;`, beside the zeros that a number may begin with.
const REFERENCE_BYTES: usize = 12;

pub enum Tag {
    Start { name: String, attributes: Vec<(String, String)>, closed: bool },
    End(String),
}

impl Tag {
    /// `raw`: what stands between `<` and `>`. `None`: a declaration, or no tag.
    pub fn read(raw: &[u8]) -> Option<Tag> {
        let text = String::from_utf8_lossy(raw);
        let (end, text) = match text.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (false, &*text),
        };
        let length = text.find(|c: char| c.is_whitespace() || c == '/').unwrap_or(text.len());
        let name = text[..length].to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        if end {
            return Some(Tag::End(name));
        }
        Some(Tag::Start { name, attributes: attributes(&text[length..]), closed: text.ends_with('/') })
    }
}

fn attributes(mut rest: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            break;
        }
        // A name may begin with `=`, and is not empty then.
        let skip = usize::from(rest.starts_with('='));
        let ends = |c: char| c.is_whitespace() || c == '/' || c == '=';
        let length = rest[skip..].find(ends).map_or(rest.len(), |at| at + skip);
        let name = rest[..length].to_ascii_lowercase();
        rest = rest[length..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            found.push((name, String::new()));
            continue;
        };
        let value = value.trim_start();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = match quote {
            Some(quote) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        found.push((name, unescape(value.as_bytes())));
        rest = after;
    }
    found
}

/// Resolves the references that matter to phrases.
pub fn unescape(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    if !text.contains('&') {
        return text.into_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let zeros = rest.trim_start_matches(['#', 'x', 'X']).bytes().take_while(|byte| *byte == b'0').count();
        let end = rest.bytes().take(zeros + REFERENCE_BYTES).position(|byte| byte == b';');
        let c = end.and_then(|end| match &rest[..end] {
            "quot" => Some('"'),
            "apos" => Some('\''),
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "nbsp" => Some(' '),
            other => numeric(other.as_bytes()),
        });
        match (c, end) {
            (Some(c), Some(end)) => {
                plain.push(c);
                rest = &rest[end + 1..];
            }
            _ => plain.push('&'),
        }
    }
    plain.push_str(rest);
    plain
}

/// The character of a numeric reference, without `&` and `;`: `#233` or `#xe9`.
pub fn numeric(reference: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(reference).ok()?.strip_prefix('#')?;
    let number = match text.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.ok().and_then(char::from_u32)
}
