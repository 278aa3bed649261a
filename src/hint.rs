//! Hints: what a message tells a person to type or to do next. Whatever is typed after one is safe at a shell.
//!
//! A hint is the program's own text, in which every word from elsewhere (a name, a path, an argument) is quoted for a
//! shell. The type takes no other text, so that a name from a bottle or a cloned directory cannot become a command.

use crate::text::{one_line, shell_quoted};
use std::fmt;
use std::ops::Deref;

/// Text of a hint. It is made of the program's own text by `From`, and with words from elsewhere by [`hint!`](crate::hint!).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Hint(String);

impl Hint {
    /// A template of the program with quoted words in it; [`hint!`](crate::hint!) makes both.
    #[doc(hidden)]
    pub fn from_quoted(text: String) -> Hint {
        Hint(text)
    }

    /// A command of these words, each of them quoted.
    pub fn command<'w>(words: impl IntoIterator<Item = &'w str>) -> Hint {
        Hint(words.into_iter().map(quoted).collect::<Vec<_>>().join(" "))
    }

    /// Each on a line of its own.
    pub fn lines(hints: &[Hint]) -> String {
        hints.iter().map(|hint| &**hint).collect::<Vec<_>>().join("\n")
    }

    /// Words of which one is right.
    pub fn one_of<'w>(words: impl IntoIterator<Item = &'w str>) -> Hint {
        let words: Vec<String> = words.into_iter().map(|word| format!("`{}`", quoted(word))).collect();
        Hint(format!("one of {}", words.join(", ")))
    }
}

impl From<&'static str> for Hint {
    fn from(text: &'static str) -> Hint {
        Hint(text.to_owned())
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Deref for Hint {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// One word as it is typed in sh, bash, zsh and fish. Line feeds and what hides on a terminal are written as `\u{…}`: such
/// a word is seen, and names nothing.
pub fn quoted(word: impl fmt::Display) -> String {
    shell_quoted(&one_line(&word.to_string()))
}

/// Is this word typed as it is?
pub fn is_plain(word: &str) -> bool {
    quoted(word) == word
}

/// A [`Hint`](crate::hint::Hint) of a literal template, in which each `{}` becomes one quoted word.
#[macro_export]
macro_rules! hint {
    // `concat!` makes a name within the braces, which would not be quoted, an error of the compiler.
    ($template:literal $(, $word:expr)+ $(,)?) => {
        $crate::hint::Hint::from_quoted(format!(concat!($template), $($crate::hint::quoted(&$word)),+))
    };
}
