//! The shape of a path: which of its segments name one of many things of a kind. Told by the characters alone: a hint for a
//! person and for the folding of like requests, never a decision.

/// Hexadecimal digits from which a segment is an id.
const MIN_HEX_DIGITS: usize = 8;
/// Characters from which a mixture of letters and digits is random.
const MIN_RANDOM_CHARS: usize = 16;

/// The path with `*` in place of each segment that is an id: a number, a hash, a UUID, a date, a version, a name with a
/// version in it, or a long random word.
///
/// `path`: normalised, without the query.
pub fn shape(path: &str) -> String {
    let segments = path.split('/').map(|segment| if is_id(segment) { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn is_id(segment: &str) -> bool {
    if !segment.bytes().any(|b| b.is_ascii_digit()) {
        return false;
    }
    segment.bytes().all(|b| b.is_ascii_digit())
        || is_dated(segment)
        || words(segment).any(|word| is_hex(word) || is_version(word) || is_random(word))
        || is_random(&segment.replace(['-', '_', '='], ""))
}

/// The parts of `left-pad-1.3.0.tgz`, `v1.2` and `sha256:0123abcd`.
fn words(segment: &str) -> impl Iterator<Item = &str> {
    segment.split(['-', '_', '@', ':', '='])
}

fn is_hex(word: &str) -> bool {
    word.len() >= MIN_HEX_DIGITS
        && word.bytes().all(|b| b.is_ascii_hexdigit())
        && word.bytes().any(|b| b.is_ascii_digit())
}

/// `2026-01-31`, `2026-01` and `20260131T2004Z`.
fn is_dated(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = text.split('-');
    match (parts.next(), parts.clone().count()) {
        (Some(year), 1..=2) if year.len() == 4 && is_number(year) => {
            parts.all(|part| part.len() == 2 && is_number(part))
        }
        (Some(all), 0) => all.split_once('T').is_some_and(|(date, _)| date.len() == 8 && is_number(date)),
        _ => false,
    }
}

/// `1.2`, `v1.2.3`, `1.3.0.tgz` and `2.0rc1`: a number, a dot and a digit at the start.
fn is_version(word: &str) -> bool {
    let word = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && matches!(word.as_bytes().get(digits..), Some([b'.', next, ..]) if next.is_ascii_digit())
}

/// Letters and digits that stand between each other as no word has them, or cases as none has.
fn is_random(word: &str) -> bool {
    if word.len() < MIN_RANDOM_CHARS || !word.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let kind = |b: u8| (b.is_ascii_digit(), b.is_ascii_uppercase());
    let changes = word.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    changes * 4 >= word.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_by_their_characters() {
        for (path, wanted) in [
            ("/", "/"),
            ("/repos/team/app/pulls/17/files", "/repos/team/app/pulls/*/files"),
            ("/commit/1f2e3d4c", "/commit/*"),
            ("/v2/app/blobs/sha256:0123456789abcdef0123456789abcdef", "/v2/app/blobs/*"),
            ("/x/6ba7b810-9dad-11d1-80b4-00c04fd430c8", "/x/*"),
            ("/log/2026-01-31/app", "/log/*/app"),
            ("/log/2026-01", "/log/*"),
            ("/at/20260131T200459Z", "/at/*"),
            ("/left-pad/-/left-pad-1.3.0.tgz", "/left-pad/-/*"),
            ("/numpy/1.26/numpy-1.26.4-cp312-none-any.whl", "/numpy/*/*"),
            ("/download/v1.2.3/tool", "/download/*/tool"),
            ("/files/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/files/*"),
            ("/s/V1StGXR8_Z5jdHi6B-myT", "/s/*"),
            ("/a//1/", "/a//*/"),
        ] {
            assert_eq!(shape(path), wanted, "{path}");
        }
    }

    #[test]
    fn words_stay() {
        for path in [
            "/v1/messages",
            "/api/v4/projects",
            "/dead/beef/facade",
            "/effaced-decade/x86_64/es2015",
            "/2026-annual-report-and-summary-of-everything",
            "/oauth2/utf-8/base64/sha256",
            "/internationalization/libs3",
            "/@types/node",
            "/simple/ruamel.yaml/",
            "/left-pad",
        ] {
            assert_eq!(shape(path), path);
        }
    }
}
