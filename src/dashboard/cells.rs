//! A screen as a grid of cells, and the characters that turn one screen into the next.
//!
//! Whatever a text holds, it takes no column but those that it is given, and nothing of it acts on the terminal: what would
//! is drawn as U+FFFD. Texts are made visible before; this is the last bolt.

use super::width::columns;
use crate::text::needs_escape;
use std::fmt::Write;

/// Marks on one character that are drawn. More would grow over the rows above.
const MAX_MARKS: usize = 2;

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

/// How a text is drawn. Colours add to what is said in words; none is needed to read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    #[default]
    Plain,
    Bold,
    Soft,
    Good,
    Bad,
    Warn,
    /// The row under the cursor.
    Cursor,
    Bar,
}

/// Whether colours are drawn. Bold, dim and reversed texts are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    Sixteen,
    None,
}

impl Style {
    /// SGR parameters (ECMA-48, 8.3.117).
    fn parameters(self, colours: Colours) -> &'static str {
        match (self, colours) {
            (Style::Plain, _) => "0",
            (Style::Bold, _) => "0;1",
            (Style::Soft, _) => "0;2",
            (Style::Good, Colours::Sixteen) => "0;32",
            (Style::Bad, Colours::Sixteen) => "0;1;31",
            (Style::Warn, Colours::Sixteen) => "0;33",
            (Style::Good, Colours::None) => "0",
            (Style::Bad | Style::Warn, Colours::None) => "0;1",
            (Style::Cursor | Style::Bar, _) => "0;7",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cell {
    /// NUL: the second column of a wide character.
    character: char,
    marks: Option<Box<str>>,
    style: Style,
}

const BLANK: Cell = Cell { character: ' ', marks: None, style: Style::Plain };

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screen {
    pub size: Size,
    cells: Vec<Cell>,
}

/// A place on a screen, from 0, and the columns that a text may take there.
#[derive(Debug, Clone, Copy)]
pub struct CellSpan {
    pub row: usize,
    pub column: usize,
    pub width: usize,
}

impl Screen {
    pub fn new(size: Size) -> Screen {
        Screen { size, cells: vec![BLANK; size.columns * size.rows] }
    }

    /// Writes a text, cut with `…` where it has not the room.
    pub fn put(&mut self, span: CellSpan, text: &str, style: Style) {
        let CellSpan { row, column, width } = span;
        let width = width.min(self.size.columns.saturating_sub(column));
        if row >= self.size.rows || width == 0 {
            return;
        }
        let is_cut = text.len() > width && text.chars().map(drawn).map(columns).sum::<usize>() > width;
        let room = if is_cut { width - 1 } else { width };
        let cells = &mut self.cells[row * self.size.columns + column..][..width];
        let mut at = 0;
        for c in text.chars().map(drawn) {
            match columns(c) {
                0 => add_mark(&mut cells[..at], c),
                wide if at + wide > room => break,
                wide => {
                    cells[at] = Cell { character: c, marks: None, style };
                    if wide == 2 {
                        cells[at + 1] = Cell { character: '\0', marks: None, style };
                    }
                    at += wide;
                }
            }
        }
        if is_cut {
            cells[at] = Cell { character: '…', marks: None, style };
        }
    }

    /// Draws a whole row in this style, whatever stands in it.
    pub fn paint(&mut self, row: usize, style: Style) {
        let columns = self.size.columns;
        if let Some(cells) = self.cells.get_mut(row * columns..(row + 1) * columns) {
            cells.iter_mut().for_each(|cell| cell.style = style);
        }
    }

    /// The rows as text, without blanks at their ends.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in 0..self.size.rows {
            let mut line = String::new();
            self.row(row).iter().for_each(|cell| push(&mut line, cell));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The characters that make a terminal that shows `before` show this screen. `None`: nothing is known of what it shows.
    pub fn change_from(&self, before: Option<&Screen>, colours: Colours) -> String {
        let before = before.filter(|before| before.size == self.size);
        let mut out = String::new();
        for row in 0..self.size.rows {
            let now = self.row(row);
            match before.map(|before| before.row(row)) {
                Some(old) if old == now => {}
                Some(old) if is_ascii(old) && is_ascii(now) => {
                    write_runs(&mut out, Row { number: row, cells: now, colours }, old)
                }
                _ => write_row(&mut out, Row { number: row, cells: now, colours }),
            }
        }
        if out.is_empty() {
            return out;
        }
        // The terminal shows the frame at its end; one that does not know the mode ignores it. No line wraps.
        format!("\x1b[?2026h\x1b[?7l{out}\x1b[0m\x1b[?7h\x1b[?2026l")
    }

    fn row(&self, row: usize) -> &[Cell] {
        &self.cells[row * self.size.columns..(row + 1) * self.size.columns]
    }
}

struct Row<'a> {
    number: usize,
    cells: &'a [Cell],
    colours: Colours,
}

/// Writes a whole row. A character that a terminal may draw wider or narrower is followed by the cursor's right place.
fn write_row(out: &mut String, Row { number, cells, colours }: Row) {
    let end = cells.iter().rposition(|cell| *cell != BLANK).map_or(0, |last| last + 1);
    let _ = write!(out, "\x1b[{};1H\x1b[0m\x1b[2K", number + 1);
    let mut style = Style::Plain;
    let mut is_sure = true;
    for (column, cell) in cells[..end].iter().enumerate() {
        if cell.character == '\0' {
            continue;
        }
        if !is_sure {
            let _ = write!(out, "\x1b[{}G", column + 1);
        }
        if cell.style != style {
            style = cell.style;
            let _ = write!(out, "\x1b[{}m", style.parameters(colours));
        }
        push(out, cell);
        is_sure = cell.character.is_ascii() && cell.marks.is_none();
    }
}

/// Writes the cells that differ, of two rows in ASCII.
fn write_runs(out: &mut String, Row { number, cells, colours }: Row, old: &[Cell]) {
    let mut style = None;
    let mut next = None;
    for (column, (cell, old)) in cells.iter().zip(old).enumerate() {
        if cell == old {
            continue;
        }
        if next != Some(column) {
            let _ = write!(out, "\x1b[{};{}H", number + 1, column + 1);
        }
        if style != Some(cell.style) {
            style = Some(cell.style);
            let _ = write!(out, "\x1b[{}m", cell.style.parameters(colours));
        }
        push(out, cell);
        next = Some(column + 1);
    }
}

fn push(out: &mut String, cell: &Cell) {
    if cell.character != '\0' {
        out.push(cell.character);
        out.push_str(cell.marks.as_deref().unwrap_or_default());
    }
}

fn is_ascii(cells: &[Cell]) -> bool {
    cells.iter().all(|cell| cell.character.is_ascii() && cell.character != '\0' && cell.marks.is_none())
}

/// What is drawn of a character.
fn drawn(c: char) -> char {
    if needs_escape(c) || c == '\n' || c == '\t' { '\u{fffd}' } else { c }
}

/// Puts a mark on the last character. One without a character before it is not drawn.
fn add_mark(cells: &mut [Cell], mark: char) {
    let Some(cell) = cells.iter_mut().rev().find(|cell| cell.character != '\0') else { return };
    let mut marks = cell.marks.take().map(String::from).unwrap_or_default();
    if marks.chars().count() < MAX_MARKS {
        marks.push(mark);
    }
    cell.marks = Some(marks.into_boxed_str());
}
