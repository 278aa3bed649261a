//! Characters that Unicode's compatibility forms (NFKC), or the best-fit tables of old code pages, make ASCII: a server
//! that normalises a path reads them so. Source: UnicodeData.txt, as far as it yields letters, digits and separators.

/// The ASCII that such a server makes of a character; `None`: it stays what it is.
pub(super) fn to_ascii(c: char) -> Option<String> {
    const SMALL: &str = ",\0.\0;:?!-(){}[]#&*+-<>=\0\\$%@";
    const LETTERLIKE: [(char, &str); 38] = [
        ('℀', "a/c"),
        ('℁', "a/s"),
        ('ℂ', "C"),
        ('℅', "c/o"),
        ('℆', "c/u"),
        ('ℊ', "g"),
        ('ℋ', "H"),
        ('ℌ', "H"),
        ('ℍ', "H"),
        ('ℎ', "h"),
        ('ℐ', "I"),
        ('ℑ', "I"),
        ('ℒ', "L"),
        ('ℓ', "l"),
        ('ℕ', "N"),
        ('№', "No"),
        ('ℙ', "P"),
        ('ℚ', "Q"),
        ('ℛ', "R"),
        ('ℜ', "R"),
        ('ℝ', "R"),
        ('ℤ', "Z"),
        ('ℨ', "Z"),
        ('\u{212a}', "K"),
        ('ℬ', "B"),
        ('ℭ', "C"),
        ('ℯ', "e"),
        ('ℰ', "E"),
        ('ℱ', "F"),
        ('ℳ', "M"),
        ('ℴ', "o"),
        ('ℹ', "i"),
        ('ſ', "s"),
        ('ª', "a"),
        ('º', "o"),
        ('¹', "1"),
        ('²', "2"),
        ('³', "3"),
    ];
    let code = u32::from(c);
    let letter = |n: u32| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(n % 52) as usize]);
    let ascii = match code {
        0xff01..=0xff5e => char::from_u32(code - 0xfee0)?,
        0xfe50..=0xfe6b => SMALL.chars().nth((code - 0xfe50) as usize).filter(|c| *c != '\0')?,
        0x1d400..=0x1d6a3 => letter(code - 0x1d400),
        0x1d7ce..=0x1d7ff => char::from_digit((code - 0x1d7ce) % 10, 10)?,
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x2460..=0x2468 => char::from_digit(code - 0x245f, 10)?,
        0x2070 => '0',
        0x2074..=0x2079 => char::from_digit(code - 0x2070, 10)?,
        0x2080..=0x2089 => char::from_digit(code - 0x2080, 10)?,
        0x2024 => '.',
        // These have no compatibility form, but a best fit in a code page.
        0x2044 | 0x2215 => '/',
        0x2216 => '\\',
        0x00a0 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => ' ',
        _ => {
            let several = match c {
                '‥' | '︰' => "..",
                '…' | '︙' => "...",
                'ﬀ' => "ff",
                'ﬁ' => "fi",
                'ﬂ' => "fl",
                'ﬃ' => "ffi",
                'ﬄ' => "ffl",
                'ﬅ' | 'ﬆ' => "st",
                _ => LETTERLIKE.iter().find(|(from, _)| *from == c)?.1,
            };
            return Some(several.to_owned());
        }
    };
    Some(ascii.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(to_ascii(from).as_deref(), Some(to), "{from}");
        }
        for plain in ['a', '/', 'é', 'ß', '中', '。', '\u{fe53}', '\u{fe67}', '€', '😀'] {
            assert_eq!(to_ascii(plain), None, "{plain}");
        }
    }
}
