//! Characters that a server may take for ASCII, or for nothing: by Unicode's compatibility forms (NFKC, NFKD), by a change of
//! case, by the best fit in an old code page, or because they are invisible (default-ignorable).
//!
//! `lookalike.txt` has them all, made by the test below from Unicode's own data; so nothing here needs a library of Unicode's.

use std::sync::LazyLock;

/// Characters from `first` to `last` that become the same text or, where it `counts`, one byte that is higher for each.
struct Row {
    first: u32,
    last: u32,
    /// What the first one becomes.
    ascii: &'static str,
    counts: bool,
}

/// Sorted.
static ROWS: LazyLock<Vec<Row>> =
    LazyLock::new(|| include_str!("lookalike.txt").lines().filter_map(Row::parse).collect());

impl Row {
    /// `first last [ascii]`, in hexadecimal, and then `+` where it counts.
    fn parse(line: &'static str) -> Option<Row> {
        let mut words = line.splitn(3, ' ');
        let mut code = || u32::from_str_radix(words.next()?, 16).ok();
        let (first, last) = (code()?, code()?);
        let text = words.next()?;
        let ascii = text.strip_prefix('[')?.trim_end_matches('+').strip_suffix(']')?;
        Some(Row { first, last, ascii, counts: text.ends_with('+') })
    }

    fn text_of(&self, code: u32) -> String {
        let steps = if self.counts { (code - self.first) as u8 } else { 0 };
        self.ascii.bytes().map(|byte| char::from(byte + steps)).collect()
    }
}

/// The ASCII that a server may make of a character, empty for an invisible one; `None`: it stays what it is.
pub(super) fn to_ascii(c: char) -> Option<String> {
    let code = u32::from(c);
    if c.is_ascii() {
        return None;
    }
    let row = &ROWS[ROWS.partition_point(|row| row.last < code)..];
    row.first().filter(|row| row.first <= code).map(|row| row.text_of(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
    use icu_properties::{CodePointSetData, props::DefaultIgnorableCodePoint};
    use std::collections::BTreeSet;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lookalike.txt");

    /// Everything that normal forms and changes of case make of a character, one after the other in any order, without what
    /// is invisible.
    fn forms(c: char) -> BTreeSet<String> {
        let (nfkc, nfkd) = (ComposingNormalizerBorrowed::new_nfkc(), DecomposingNormalizerBorrowed::new_nfkd());
        let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        // Slashes of other meanings, which old code pages make ASCII.
        let fit = |c: char| match c {
            '\u{2044}' | '\u{2215}' => '/',
            '\u{2216}' => '\\',
            c => c,
        };
        let mut forms = BTreeSet::from([c.to_string()]);
        loop {
            let more: Vec<String> = forms
                .iter()
                .flat_map(|text| {
                    let visible = text.chars().filter(|c| !invisible.contains(*c)).map(fit).collect();
                    let normal = [nfkc.normalize(text), nfkd.normalize(text)].map(|text| text.into_owned());
                    [normal.to_vec(), vec![text.to_lowercase(), text.to_uppercase(), visible]].concat()
                })
                .collect();
            let before = forms.len();
            forms.extend(more);
            if forms.len() == before {
                return forms;
            }
        }
    }

    /// The one ASCII text of a character, but for its case.
    fn ascii_form(c: char) -> Option<String> {
        let nfkc = ComposingNormalizerBorrowed::new_nfkc().normalize(&c.to_string()).into_owned();
        if nfkc.is_ascii() {
            return Some(nfkc);
        }
        let all: BTreeSet<String> =
            forms(c).into_iter().filter(|form| form.is_ascii()).map(|form| form.to_ascii_lowercase()).collect();
        assert!(all.len() < 2, "{c:?} is several: {all:?}");
        all.into_iter().next()
    }

    fn beyond_ascii() -> impl Iterator<Item = char> {
        ('\u{80}'..=char::MAX).filter(|c| !c.is_ascii())
    }

    /// The table as Unicode's data makes it.
    fn written() -> String {
        let mut rows: Vec<(u32, u32, String, bool)> = Vec::new();
        for c in beyond_ascii() {
            let Some(text) = ascii_form(c) else { continue };
            let code = u32::from(c);
            if let Some((first, last, ascii, counts)) = rows.last_mut().filter(|row| row.1 + 1 == code) {
                let next =
                    u8::try_from(code - *first).ok().zip(ascii.bytes().next()).map(|(n, byte)| byte.wrapping_add(n));
                let is_next = (ascii.len(), text.len()) == (1, 1) && next == text.bytes().next();
                if (is_next && (*counts || *first == *last)) || (*ascii == text && !*counts) {
                    *counts |= is_next;
                    *last = code;
                    continue;
                }
            }
            rows.push((code, code, text, false));
        }
        let line = |(first, last, ascii, counts): (u32, u32, String, bool)| {
            format!("{first:x} {last:x} [{ascii}]{}\n", if counts { "+" } else { "" })
        };
        rows.into_iter().map(line).collect()
    }

    #[test]
    fn the_table_is_what_unicode_says() {
        let written = written();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(FILE, &written).unwrap();
        }
        let kept = std::fs::read_to_string(FILE).unwrap();
        assert!(kept == written, "`UPDATE=1 cargo test -p claude-bottle-policy lookalike` writes lookalike.txt anew");
    }

    #[test]
    fn no_character_becomes_ascii_unnoticed() {
        let invisible = CodePointSetData::new::<DefaultIgnorableCodePoint>();
        let mut count = 0;
        for c in beyond_ascii() {
            let ascii = to_ascii(c);
            if invisible.contains(c) {
                assert_eq!(ascii.as_deref(), Some(""), "{c:?}");
            }
            for form in forms(c).iter().filter(|form| form.is_ascii()) {
                count += 1;
                assert!(ascii.as_ref().is_some_and(|ascii| ascii.eq_ignore_ascii_case(form)), "{c:?} is {form:?}");
            }
        }
        assert!(count > 5000, "{count}");
    }

    #[test]
    fn separators_and_letters_are_seen_through() {
        for (from, to) in [
            ('／', "/"),
            ('．', "."),
            ('＼', "\\"),
            ('﹨', "\\"),
            ('﹒', "."),
            ('﹔', ";"),
            ('﹪', "%"),
            ('﹫', "@"),
            ('％', "%"),
            ('∕', "/"),
            ('․', "."),
            ('‥', ".."),
            ('Ａ', "A"),
            ('ｚ', "z"),
            ('𝐀', "A"),
            ('𝚣', "z"),
            ('𝟿', "9"),
            ('Ⓐ', "A"),
            ('ⓩ', "z"),
            ('①', "1"),
            ('₉', "9"),
            ('\u{3000}', " "),
            ('⒈', "1."),
            ('㏂', "a.m."),
            ('½', "1/2"),
            ('ᴬ', "A"),
            ('ⅷ', "viii"),
            ('ı', "i"),
            ('ß', "ss"),
            ('\u{ad}', ""),
            ('\u{200b}', ""),
            ('\u{3164}', ""),
            ('\u{fe0f}', ""),
            ('\u{e0041}', ""),
        ] {
            assert_eq!(to_ascii(from).as_deref(), Some(to), "{from}");
        }
        for plain in ['a', '/', 'é', 'д', '中', '。', '\u{fe53}', '\u{fe67}', '€', '😀'] {
            assert_eq!(to_ascii(plain), None, "{plain}");
        }
    }
}
