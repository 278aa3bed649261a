//! A numbered choice on the terminal.

use crate::exit::UserError;
use crate::say;
use crate::text;
use sys::signals::Signals;
use sys::tty::{Answer, Tty};

/// A question with numbered answers.
pub struct Menu<'a> {
    /// `which agent?`
    pub question: &'a str,
    /// The name of each answer, which can be typed instead of its number.
    pub names: Vec<&'a str>,
    /// The text that is shown of each answer, in the order of `names`; what is not ours in it is on one line.
    pub rows: Vec<String>,
    /// Index of the answer that Enter gives.
    pub default: Option<usize>,
}

/// How the question ended.
pub enum Choice {
    /// The index of the answer.
    Answer(usize),
    /// Ctrl-D: no answer.
    Nothing,
    /// The number of a signal.
    Signal(i32),
}

impl Menu<'_> {
    /// Asks until an answer is given, by its number or its name.
    pub fn ask(&self, tty: &mut Tty, signals: &Signals) -> Choice {
        for (number, row) in self.rows.iter().enumerate() {
            say::text(&format!("{:>3}  {}\n", number + 1, text::unbroken(row)));
        }
        let range = if self.rows.len() == 1 { "1".to_owned() } else { format!("1-{}", self.rows.len()) };
        let enter = self.default.map_or_else(String::new, |default| format!(", Enter takes {}", default + 1));
        let question = format!("{} [{range} or a name{enter}] ", self.question);
        loop {
            let typed = match tty.ask(&question, signals) {
                Answer::Line(line) => line,
                Answer::Nothing => return Choice::Nothing,
                Answer::Signal(number) => return Choice::Signal(number),
            };
            match self.index_of(typed.trim()) {
                Ok(Some(index)) => return Choice::Answer(index),
                Ok(None) => {}
                Err(error) => say::error(&error.into()),
            }
        }
    }

    /// `None` for an empty line without a default.
    ///
    /// # Errors
    /// `UserError` for an answer that is not among them.
    fn index_of(&self, typed: &str) -> Result<Option<usize>, UserError> {
        if typed.is_empty() {
            return Ok(self.default);
        }
        let number =
            typed.parse().ok().filter(|number| (1..=self.rows.len()).contains(number)).map(|number| number - 1);
        match self.names.iter().position(|name| *name == typed).or(number) {
            Some(index) => Ok(Some(index)),
            None => {
                Err(UserError::new(format!("`{}` is none of them", text::one_line(typed)))
                    .meant(typed, self.names.clone()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_before_a_number() {
        let rows = vec![String::new(); 3];
        let menu = Menu { question: "", names: vec!["a", "b", "1"], rows, default: None };
        assert_eq!(
            [menu.index_of("2"), menu.index_of("b"), menu.index_of("1")],
            [Ok(Some(1)), Ok(Some(1)), Ok(Some(2))]
        );
        assert_eq!(menu.index_of(""), Ok(None));
        for wrong in ["0", "4", "-1", "c d"] {
            assert!(menu.index_of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Menu { default: Some(0), ..menu }.index_of(""), Ok(Some(0)));
    }
}
