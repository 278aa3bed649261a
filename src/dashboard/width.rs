//! How many columns a character takes on a terminal: none, one or two. Terminals differ in a few; the screen is drawn so
//! that a wrong guess shifts nothing but its own row.

/// Wide and full-width characters, and pictures that terminals draw as two columns (Unicode 16, EastAsianWidth.txt).
const WIDE: [(u32, u32); 41] = [
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x2329, 0x232a),
    (0x23e9, 0x23ec),
    (0x23f0, 0x23f0),
    (0x23f3, 0x23f3),
    (0x25fd, 0x25fe),
    (0x2614, 0x2615),
    (0x2630, 0x2637),
    (0x2648, 0x2653),
    (0x267f, 0x267f),
    (0x268a, 0x268f),
    (0x2693, 0x2693),
    (0x26a1, 0x26a1),
    (0x26aa, 0x26ab),
    (0x26bd, 0x26be),
    (0x26c4, 0x26c5),
    (0x26ce, 0x26ce),
    (0x26d4, 0x26d4),
    (0x26ea, 0x26ea),
    (0x26f2, 0x26f5),
    (0x26fa, 0x26fd),
    (0x2705, 0x2705),
    (0x270a, 0x270b),
    (0x2728, 0x2728),
    (0x274c, 0x274e),
    (0x2753, 0x2757),
    (0x2795, 0x2797),
    (0x27b0, 0x27bf),
    (0x2b1b, 0x2b1c),
    (0x2b50, 0x2b55),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xa960, 0xa97c),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe10, 0xfe19),
    (0xfe30, 0xfe6b),
    (0xff01, 0xffe6),
    (0x16fe0, 0x1b2fb),
    (0x1f000, 0x3fffd),
];

/// Marks that are drawn on the character before them, of the blocks that hold nothing else, and the most used of scripts.
const COMBINING: [(u32, u32); 39] = [
    (0x300, 0x36f),
    (0x483, 0x489),
    (0x591, 0x5bd),
    (0x5bf, 0x5c7),
    (0x610, 0x61a),
    (0x64b, 0x65f),
    (0x670, 0x670),
    (0x6d6, 0x6dc),
    (0x6df, 0x6e8),
    (0x6ea, 0x6ed),
    (0x711, 0x711),
    (0x730, 0x74a),
    (0x7a6, 0x7b0),
    (0x7eb, 0x7f3),
    (0x816, 0x82d),
    (0x859, 0x85b),
    (0x897, 0x89f),
    (0x8ca, 0x902),
    (0x93a, 0x93c),
    (0x941, 0x948),
    (0x94d, 0x957),
    (0x962, 0x963),
    (0x981, 0x9bc),
    (0x9c1, 0x9cd),
    (0xa01, 0xa02),
    (0xa3c, 0xa51),
    (0xa70, 0xa82),
    (0xabc, 0xacd),
    (0xe31, 0xe31),
    (0xe34, 0xe3a),
    (0xe47, 0xe4e),
    (0x135d, 0x135f),
    (0x1ab0, 0x1ace),
    (0x1dc0, 0x1dff),
    (0x20d0, 0x20f0),
    (0x302a, 0x302d),
    (0x3099, 0x309a),
    (0xfe20, 0xfe2f),
    (0x1d165, 0x1d244),
];

/// Columns of a character that is drawn.
pub fn columns(c: char) -> usize {
    let code = u32::from(c);
    if code < 0x300 {
        return 1;
    }
    let is_in = |table: &[(u32, u32)]| {
        let at = table.partition_point(|(first, _)| *first <= code);
        at > 0 && code <= table[at - 1].1
    };
    match (is_in(&COMBINING), is_in(&WIDE)) {
        (true, _) => 0,
        (_, true) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_take_the_columns_that_they_have() {
        for (c, wanted) in [
            ('a', 1),
            ('é', 1),
            ('…', 1),
            ('│', 1),
            ('\u{301}', 0),
            ('\u{20dd}', 0),
            ('\u{93f}', 1),
            ('日', 2),
            ('한', 2),
            ('\u{3000}', 2),
            ('！', 2),
            ('😀', 2),
            ('⚡', 2),
            ('\u{3099}', 0),
            ('\u{fffd}', 1),
            ('\u{10ffff}', 1),
        ] {
            assert_eq!(columns(c), wanted, "{c:?}");
        }
    }

    #[test]
    fn the_tables_are_sorted() {
        for table in [&WIDE[..], &COMBINING[..]] {
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0) && table.iter().all(|(a, b)| a <= b));
        }
    }
}
