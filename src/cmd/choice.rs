//! A numbered choice on the terminal.

use crate::exit::UserError;
use crate::say;
use crate::text;
use sys::signals::Signals;
use sys::tty::{Answer, Tty};

/// What can be chosen.
pub struct Menu<'a> {
    /// `which agent?`
    pub question: &'a str,
    /// What can be typed instead of a number.
    pub names: Vec<&'a str>,
    /// What is shown of each, in the same order.
    pub rows: Vec<String>,
    /// What Enter takes.
    pub default: Option<usize>,
}

pub enum Choice {
    Of(usize),
    /// Ctrl-D: none of them.
    Nothing,
    Signal(i32),
}

impl Menu<'_> {
    /// Asks until one is named, by number or by name.
    pub fn ask(&self, tty: &mut Tty, signals: &Signals) -> Choice {
        for (number, row) in self.rows.iter().enumerate() {
            say::text(&format!("{:>3}  {}\n", number + 1, text::one_line(row)));
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
            match self.meant(typed.trim()) {
                Ok(Some(index)) => return Choice::Of(index),
                Ok(None) => {}
                Err(refused) => say::error(&refused.into()),
            }
        }
    }

    fn meant(&self, typed: &str) -> Result<Option<usize>, UserError> {
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
        assert_eq!([menu.meant("2"), menu.meant("b"), menu.meant("1")], [Ok(Some(1)), Ok(Some(1)), Ok(Some(2))]);
        assert_eq!(menu.meant(""), Ok(None));
        for wrong in ["0", "4", "-1", "c d"] {
            assert!(menu.meant(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Menu { default: Some(0), ..menu }.meant(""), Ok(Some(0)));
    }
}
