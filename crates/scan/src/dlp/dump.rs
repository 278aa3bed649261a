//! Dumps, read back line by line as they stream: what `od`, `hexdump` and `xxd` write in their formats is bytes again,
//! without offsets and margins.
//!
//! A line is an offset, then cells of one format. Only `od -An` leaves the offset out; such a line begins with a blank. The
//! first line of a dump may stand behind a quotation mark, where it is a string of a program or of JSON.

use memchr::{memchr, memchr2};

/// Digits of an offset, at least.
const MIN_OFFSET_DIGITS: usize = 6;
/// And at most.
const MAX_OFFSET_DIGITS: usize = 16;
/// Bytes of a line behind its offset; a longer one belongs to no dump.
const MAX_LINE_BYTES: usize = 320;
/// Blanks before the first cell of a line that has no offset and follows no line of a dump.
const MAX_INDENT_BYTES: usize = 3;
/// Columns of a cell of `od -c` and `hexdump -c`: a blank, then a character, an escape or an octal number.
const CHAR_CELL_BYTES: usize = 4;

#[derive(Default)]
pub struct DumpReader {
    /// A line may begin behind a quotation mark, too: in what was a string with escapes.
    has_strings: bool,
    column: DumpColumn,
    /// The line behind its offset.
    line: Vec<u8>,
    /// The line can be cells of numbers, or of characters.
    may_be_numbers: bool,
    may_be_chars: bool,
    /// The line before belongs to a dump.
    follows_row: bool,
    /// The numbers of this dump are decimal: one of them had a digit that octal has not.
    is_decimal: bool,
    /// The text beside the cells of this dump belongs to words whose last byte comes first. The last word of the dump, if it
    /// is cut, is not read then.
    is_backwards: bool,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum DumpColumn {
    #[default]
    Start,
    /// Digits so far.
    Offset(usize),
    Cells(LineStart),
    /// Up to the end of the line, nothing is read.
    Rest,
}

/// What stands before the cells.
#[derive(Clone, Copy, PartialEq)]
enum LineStart {
    Offset,
    /// As `xxd` writes it: text follows the cells behind two blanks.
    OffsetWithColon,
    Nothing,
}

impl DumpReader {
    /// `has_strings`: a line may begin behind a quotation mark, too, as in what was a string with escapes.
    pub fn new(has_strings: bool) -> DumpReader {
        DumpReader { has_strings, ..DumpReader::default() }
    }

    fn end_of_line(&self, text: &[u8]) -> Option<usize> {
        if self.has_strings { memchr2(b'\n', b'"', text) } else { memchr(b'\n', text) }
    }

    pub fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            // Most lines belong to no dump: their rest is skipped at once.
            if self.column == DumpColumn::Rest {
                let Some(end) = self.end_of_line(rest) else { return };
                rest = &rest[end + 1..];
                self.column = DumpColumn::Start;
                continue;
            }
            // Code is indented, and dumps are not.
            if self.column == DumpColumn::Start && !self.follows_row && rest.starts_with(b"    ") {
                self.column = DumpColumn::Rest;
                continue;
            }
            rest = behind;
            if *byte == b'\n' {
                self.end_line(into);
            } else {
                self.column = self.next_column(*byte);
                if self.column == DumpColumn::Rest {
                    self.line.clear();
                    // `*` stands for lines like the one before.
                    (self.follows_row, self.is_decimal) = (self.follows_row && *byte == b'*', false);
                }
            }
        }
    }

    /// The text ends here, and its last line with it.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        self.end_line(into);
    }

    fn next_column(&mut self, byte: u8) -> DumpColumn {
        let start = match (self.column, byte) {
            (DumpColumn::Start, b'"') => return DumpColumn::Start,
            (DumpColumn::Start, b' ') => LineStart::Nothing,
            (DumpColumn::Start, _) if byte.is_ascii_hexdigit() => return DumpColumn::Offset(1),
            (DumpColumn::Offset(digits @ ..MAX_OFFSET_DIGITS), _) if byte.is_ascii_hexdigit() => {
                return DumpColumn::Offset(digits + 1);
            }
            (DumpColumn::Offset(MIN_OFFSET_DIGITS..), b' ') => LineStart::Offset,
            (DumpColumn::Offset(MIN_OFFSET_DIGITS..), b':') => return DumpColumn::Cells(LineStart::OffsetWithColon),
            (DumpColumn::Cells(start), _) => start,
            _ => return DumpColumn::Rest,
        };
        let at = self.line.len();
        self.may_be_numbers = (at == 0 || self.may_be_numbers) && is_of_number(byte);
        self.may_be_chars = (at == 0 || self.may_be_chars) && (byte == b' ' || !at.is_multiple_of(CHAR_CELL_BYTES));
        self.line.push(byte);
        let may_go_on = start != LineStart::Nothing || self.may_be_cells();
        if may_go_on && self.line.len() <= MAX_LINE_BYTES { DumpColumn::Cells(start) } else { DumpColumn::Rest }
    }

    /// Looks at the last byte of a line without an offset.
    fn may_be_cells(&self) -> bool {
        let Some((byte, before)) = self.line.split_last() else { return true };
        if *byte == b' ' {
            return self.follows_row || before.len() < MAX_INDENT_BYTES || before.iter().any(|byte| *byte != b' ');
        }
        self.may_be_numbers || self.may_be_chars
    }

    fn end_line(&mut self, into: &mut Vec<u8>) {
        let column = std::mem::take(&mut self.column);
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let read = match column {
            DumpColumn::Cells(start) => self.read_cells(&line, start),
            // The last line is an offset alone.
            DumpColumn::Offset(MIN_OFFSET_DIGITS..) => Some(Vec::new()),
            _ => None,
        };
        self.follows_row = read.is_some();
        self.is_decimal &= read.is_some();
        self.is_backwards &= read.is_some();
        into.extend(read.unwrap_or_default());
        line.clear();
        self.line = line;
    }

    fn read_cells(&mut self, line: &[u8], start: LineStart) -> Option<Vec<u8>> {
        if start == LineStart::OffsetWithColon {
            let cells = line.strip_prefix(b" ").unwrap_or(line);
            let end = cells.windows(2).position(|pair| pair == b"  ").unwrap_or(cells.len());
            let (cells, margin) = cells.split_at(end);
            let bytes = read_numbers(cells, NumberOrder::Written)?;
            // `xxd -e` writes the same cells for words whose last byte comes first. The text behind them tells.
            let is_shown = |bytes: &[u8]| margin.get(2..).is_some_and(|margin| shows(margin, bytes));
            if is_shown(&bytes) {
                self.is_backwards = false;
                return Some(bytes);
            }
            let words = read_words_backwards(cells)?;
            self.is_backwards |= is_shown(&words);
            return Some(if self.is_backwards { words } else { bytes });
        }
        if let Some(bytes) = read_chars(line) {
            return Some(bytes);
        }
        // Behind the cells, `hexdump -C` and `od -tx1z` write the bytes as text.
        let end = line.windows(2).position(|pair| matches!(pair, b" |" | b" >")).unwrap_or(line.len());
        let cells = &line[..end];
        let mut widths = cells.split(|byte| *byte == b' ').map(<[u8]>::len).filter(|width| *width > 0);
        let width = widths.next()?;
        let count = widths.clone().count() + 1;
        let is_of_one_width = widths.all(|other| other == width);
        // Columns of a cell with the blanks before it: numbers with a sign, or of other widths, have more.
        let columns = cells.trim_ascii_end().len() / count;
        let is_octal_width = matches!(width, 3 | 6 | 11 | 22) && !cells.contains(&b'-');
        let is_hex_width = match width {
            4 => columns <= 5 || columns == 8,
            2 | 8 | 16 => columns <= width + 1,
            _ => false,
        };
        self.is_decimal |=
            if is_octal_width { cells.iter().any(|byte| matches!(byte, b'8' | b'9')) } else { width == 5 };
        match (is_of_one_width, is_octal_width) {
            (true, true) if !self.is_decimal => read_numbers(cells, NumberOrder::Octal),
            (true, false) if is_hex_width => read_numbers(cells, NumberOrder::Backwards),
            _ => {
                self.is_decimal = true;
                read_decimals(cells, columns)
            }
        }
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b' ' | b'-' | b'\r')
}

/// How the digits of a cell become bytes.
#[derive(Clone, Copy, PartialEq)]
enum NumberOrder {
    /// Hex or, in cells of eight digits that are 0 or 1, bits: the first byte first.
    Written,
    /// Hex words of a little-endian machine: the last byte first.
    Backwards,
    /// Octal words of a little-endian machine.
    Octal,
}

fn cells_of(line: &[u8]) -> impl Iterator<Item = &str> {
    line.split(|byte| *byte == b' ').filter(|cell| !cell.is_empty()).filter_map(|cell| std::str::from_utf8(cell).ok())
}

fn read_numbers(line: &[u8], order: NumberOrder) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let is_bits = order == NumberOrder::Written
        && cells_of(line).all(|cell| cell.len() == 8 && cell.bytes().all(|digit| matches!(digit, b'0' | b'1')));
    for cell in cells_of(line) {
        let (radix, size) = match order {
            _ if is_bits => (2, 1),
            NumberOrder::Octal => (8, cell.len() * 3 / 8),
            _ => (16, cell.len() / 2),
        };
        // A cell of `xxd` may hold more bytes than a number has.
        if order == NumberOrder::Written && !is_bits {
            let pairs = cell.as_bytes().chunks(2).map(std::str::from_utf8);
            for pair in pairs {
                bytes.push(u8::from_str_radix(pair.ok()?, 16).ok()?);
            }
            continue;
        }
        let number = u64::from_str_radix(cell, radix).ok()?.to_le_bytes();
        bytes.extend_from_slice(number.get(..size.max(1))?);
    }
    Some(bytes)
}

/// Does the text that a dump shows beside its cells belong to these bytes?
fn shows(text: &[u8], bytes: &[u8]) -> bool {
    let shown = bytes.iter().map(|byte| if (32..127).contains(byte) { *byte } else { b'.' });
    text.len() >= bytes.len() && shown.zip(text).all(|(byte, shown)| byte == *shown)
}

/// The cells of `xxd -e`: each a word, its last byte first.
fn read_words_backwards(cells: &[u8]) -> Option<Vec<u8>> {
    let words = cells_of(cells).map(|cell| read_numbers(cell.as_bytes(), NumberOrder::Written));
    let words = words.map(|word| word.map(|word| word.into_iter().rev().collect::<Vec<u8>>()));
    words.collect::<Option<Vec<_>>>().map(|words| words.concat())
}

/// Words whose size the columns of a cell tell, as `od` and `hexdump` write them; of other columns bytes, or words of two
/// bytes where one of the numbers is too large for a byte.
fn read_decimals(line: &[u8], columns: usize) -> Option<Vec<u8>> {
    let numbers: Vec<i128> = cells_of(line).map(str::parse).collect::<Result<_, _>>().ok()?;
    if let 11 | 12 | 21 = columns {
        let size = if columns == 21 { 8 } else { 4 };
        return Some(numbers.iter().flat_map(|number| number.to_le_bytes().into_iter().take(size)).collect());
    }
    if matches!(columns, 7 | 8) && numbers.iter().all(|number| (-0x8000..0x1_0000).contains(number)) {
        return Some(numbers.iter().flat_map(|number| (*number as u16).to_le_bytes()).collect());
    }
    if numbers.iter().all(|number| (-128..256).contains(number)) {
        return Some(numbers.iter().map(|number| *number as u8).collect());
    }
    let words: Vec<u16> = numbers.iter().map(|number| u16::try_from(*number)).collect::<Result<_, _>>().ok()?;
    Some(words.into_iter().flat_map(u16::to_le_bytes).collect())
}

/// The characters that `od -c`, `od -a` and `hexdump -c` write; `None`: these are numbers, or something else.
fn read_chars(line: &[u8]) -> Option<Vec<u8>> {
    let mut cells = line.chunks(CHAR_CELL_BYTES);
    let is_char = |cell: &[u8]| {
        matches!(cell, [b' ', b' ', b' ', char] if !char.is_ascii_digit() && *char != b' ')
            || matches!(cell, [b' ', b' ', b'\\', _])
    };
    if !cells.clone().any(is_char) {
        return None;
    }
    cells.try_fold(Vec::new(), |mut bytes, cell| {
        bytes.push(match cell {
            [b' ', b' ', b' ', char] => *char,
            [b' ', b' ', b'\\', escape] => match escape {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'0' => 0,
                b'a' => 7,
                b'b' => 8,
                b'v' => 11,
                b'f' => 12,
                _ => return None,
            },
            b"  sp" => b' ',
            b"  nl" => b'\n',
            // Further names of `od -a`, of which a value has none.
            [b' ', b' ', b'a'..=b'z', b'a'..=b'z' | b'1'..=b'4'] => b'?',
            [b' ', number @ ..] if number.len() == 3 => {
                let number = std::str::from_utf8(number).ok()?;
                u8::from_str_radix(number, 8)
                    .ok()
                    .or_else(|| number.bytes().all(|byte| byte.is_ascii_lowercase()).then_some(b'?'))?
            }
            _ => return None,
        });
        Some(bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn dumps_of_real_programs_are_read_without_their_margins() {
        let text: String = (0..9).map(|n| format!("line {n}: hello, this is a dump; ")).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, &text).unwrap();
        let file = path.to_str().unwrap();
        let mut wrong = Vec::new();
        for line in [
            "od",
            "od -b",
            "od -c",
            "od -a",
            "od -x",
            "od -d",
            "od -tx1",
            "od -tx1z",
            "od -tx4",
            "od -tx8",
            "od -to4",
            "od -td1",
            "od -tu1",
            "od -td2",
            "od -tu2",
            "od -td4",
            "od -tu4",
            "od -td8",
            "od -tu8",
            "od -td4z",
            "od -An -td4",
            "xxd -e",
            "xxd -e -g 2",
            "od -An",
            "od -An -c",
            "od -An -tx1",
            "od -An -tu1",
            "od -v -w32 -tx1",
            "od -Ad -tx1",
            "od -Ax -c",
            "hexdump",
            "hexdump -b",
            "hexdump -c",
            "hexdump -d",
            "hexdump -o",
            "hexdump -x",
            "hexdump -C",
            "hexdump -vC",
            "xxd",
            "xxd -b",
            "xxd -c 32",
            "xxd -g 1",
            "xxd -g 4",
            "xxd -u",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let made = Command::new(words[0]).args(&words[1..]).arg(file).stderr(Stdio::inherit()).output().unwrap();
            assert!(made.status.success(), "{line}");
            for part in [1, 7, 1024] {
                let (mut dump, mut out) = (DumpReader::default(), Vec::new());
                made.stdout.chunks(part).for_each(|part| dump.push(part, &mut out));
                dump.finish(&mut out);
                let read = String::from_utf8_lossy(&out).into_owned();
                let read = read.trim_end_matches(['\0', ' ']);
                // The last word, which is cut.
                let cut = if line.contains("-e") { text.len() % 4 } else { 0 };
                if !text.starts_with(read) || read.len() < text.trim_end().len() - cut {
                    wrong.push(format!("{line} by {part}: {read:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn other_lines_are_no_dump() {
        let text = "fn read() {\n    add(bad);\n  feed:\n17dcca1 docs: say where\n abc defg\n  \"key\": 1,\n\t10 20\n";
        let (mut dump, mut out) = (DumpReader::default(), Vec::new());
        dump.push(text.as_bytes(), &mut out);
        dump.finish(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), "");
    }
}
