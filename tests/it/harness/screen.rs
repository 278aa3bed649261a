//! A terminal's screen, drawn by a VT parser from what a program writes. What it does not know of is kept, so that a test can
//! say that nothing else was done to the terminal.

use unicode_width::UnicodeWidthChar;
use vte::{Params, Parser, Perform};

/// The main screen and the alternate one, one of which is shown.
pub struct Screen {
    parser: Parser,
    drawn: Drawn,
}

struct Drawn {
    columns: usize,
    cells: Vec<Vec<String>>,
    /// The main screen, while the alternate one is shown.
    main: Option<Vec<Vec<String>>>,
    at: [usize; 2],
    has_cursor: bool,
    colours: Vec<u16>,
    bells: usize,
    commands: Vec<String>,
    unknown: Vec<String>,
}

impl Screen {
    pub fn new(columns: usize, rows: usize) -> Screen {
        let drawn = Drawn {
            columns,
            cells: vec![vec![" ".to_owned(); columns]; rows],
            main: None,
            at: [0, 0],
            has_cursor: true,
            colours: Vec::new(),
            bells: 0,
            commands: Vec::new(),
            unknown: Vec::new(),
        };
        Screen { parser: Parser::new(), drawn }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.drawn, bytes);
    }

    /// Another size; what was shown is gone, as on some terminals.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.drawn.columns = columns;
        self.drawn.cells = vec![vec!["?".to_owned(); columns]; rows];
    }

    /// The rows without blanks at their ends.
    pub fn text(&self) -> String {
        self.drawn.cells.iter().map(|row| row.concat().trim_end().to_owned() + "\n").collect()
    }

    pub fn is_alternate(&self) -> bool {
        self.drawn.main.is_some()
    }

    pub fn has_cursor(&self) -> bool {
        self.drawn.has_cursor
    }

    /// Every parameter of SGR that names a colour.
    pub fn colours(&self) -> &[u16] {
        &self.drawn.colours
    }

    pub fn bells(&self) -> usize {
        self.drawn.bells
    }

    /// Commands to the operating system (OSC), as a title or a notification.
    pub fn commands(&self) -> &[String] {
        &self.drawn.commands
    }

    /// What no dashboard writes.
    pub fn unknown(&self) -> &[String] {
        &self.drawn.unknown
    }
}

impl Drawn {
    fn erase(&mut self, row: usize) {
        if let Some(cells) = self.cells.get_mut(row) {
            *cells = vec![" ".to_owned(); self.columns];
        }
    }

    fn set_mode(&mut self, mode: u16, is_on: bool) {
        match mode {
            1049 if is_on => {
                let empty = vec![vec![" ".to_owned(); self.columns]; self.cells.len()];
                let shown = std::mem::replace(&mut self.cells, empty);
                self.main.get_or_insert(shown);
            }
            1049 => self.cells = self.main.take().unwrap_or_else(|| std::mem::take(&mut self.cells)),
            25 => self.has_cursor = is_on,
            7 | 2004 | 2026 => {}
            other => self.unknown.push(format!("mode {other}")),
        }
    }
}

impl Perform for Drawn {
    fn print(&mut self, c: char) {
        let [row, column] = self.at;
        let Some(cells) = self.cells.get_mut(row) else { return };
        match c.width().unwrap_or(1) {
            0 if column > 0 && column <= cells.len() => {
                let last = (0..column).rev().find(|at| !cells[*at].is_empty()).unwrap_or(0);
                cells[last].push(c);
            }
            0 => {}
            width if column + width <= cells.len() => {
                cells[column] = c.to_string();
                cells[column + 1..column + width].iter_mut().for_each(String::clear);
                self.at[1] += width;
            }
            // At the end of a line the cursor stays, or the text goes on below; the dashboard does neither.
            _ => self.unknown.push(format!("`{c}` beyond the end of row {row}")),
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' if self.at[0] + 1 < self.cells.len() => self.at[0] += 1,
            b'\n' => {
                self.cells.remove(0);
                self.cells.push(vec![" ".to_owned(); self.columns]);
            }
            b'\r' => self.at[1] = 0,
            7 => self.bells += 1,
            other => self.unknown.push(format!("control {other}")),
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        let numbers: Vec<u16> = params.iter().map(|part| part[0]).collect();
        match (action, intermediates, numbers.as_slice()) {
            ('H', [], [row, column]) => self.at = [row, column].map(|at| usize::from(at.saturating_sub(1))),
            ('G', [], [column]) => self.at[1] = usize::from(column.saturating_sub(1)),
            ('K', [], [2]) => self.erase(self.at[0]),
            ('J', [], [2]) => (0..self.cells.len()).for_each(|row| self.erase(row)),
            ('m', [], _) => self.colours.extend(numbers.iter().filter(|number| **number >= 30)),
            ('h' | 'l', b"?", modes) => modes.iter().for_each(|mode| self.set_mode(*mode, action == 'h')),
            other => self.unknown.push(format!("{other:?}")),
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _ignore: bool, byte: u8) {
        self.unknown.push(format!("escape {intermediates:?} {byte}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _bell: bool) {
        let words: Vec<_> = params.iter().map(|word| String::from_utf8_lossy(word)).collect();
        self.commands.push(words.join(";"));
    }

    fn hook(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        self.unknown.push(format!("device {params:?} {intermediates:?} {action}"));
    }
}
