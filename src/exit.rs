//! How a run can end: the exit codes of the program, and the errors that lead to them.
//!
//! `UserError` is what the user can mend (2); `EngineError` is the engine, an image or the gate (125).
//! An agent's own non-zero code is not an error: it is an [`Exit`].

use std::fmt;

/// The process's exit code. 0; the agent's own; 1 `check` says denied; 2 refused; 101 panic; 125 engine; 128+n signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

/// A code, for people: what ` `` ` encloses is typed, or printed, like that.
pub struct Code {
    pub code: &'static str,
    /// A line.
    pub short: &'static str,
    /// What the manual adds.
    pub more: &'static str,
}

/// Every code there is: help, manual and README tell of these.
pub const CODES: [Code; 7] = [
    Code { code: "0", short: "success; also a dry run, and \"no\" to the question", more: "" },
    Code {
        code: "n",
        short: "the agent, or the command of `exec`, ended with it",
        more: "137 is a killed agent; whether it ran out of memory is said in words.",
    },
    Code { code: "1", short: "`check` says denied", more: "" },
    Code {
        code: "2",
        short: "something you can mend: usage, manifest, a name, a variable, no terminal to ask on",
        more: "",
    },
    Code { code: "101", short: "a bug in claude-bottle", more: "" },
    Code { code: "125", short: "the engine, an image or the gate failed", more: "" },
    Code {
        code: "128+n",
        short: "ended by signal n",
        more: "129 for HUP, 130 for INT, 131 for QUIT, 143 for TERM. One that was ignored when it was started, as by \
               `nohup`, stays ignored.",
    },
];

impl Exit {
    pub const OK: Exit = Exit(0);
    pub const DENIED: Exit = Exit(1);
    pub const REFUSED: Exit = Exit(2);
    pub const PANIC: Exit = Exit(101);
    pub const ENGINE: Exit = Exit(125);

    /// 128 + the signal's number.
    pub fn signal(number: i32) -> Exit {
        Exit(u8::try_from(128 + number).unwrap_or(u8::MAX))
    }
}

/// Something the user can mend: one line, lower case, no full stop; and what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    pub what: String,
    pub hint: Option<String>,
}

/// The engine, an image or the gate failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    pub what: String,
    pub hint: Option<String>,
}

macro_rules! an_error {
    ($name:ident) => {
        impl $name {
            pub fn new(what: impl Into<String>) -> Self {
                $name { what: what.into(), hint: None }
            }

            pub fn hint(mut self, hint: impl Into<String>) -> Self {
                self.hint = Some(hint.into());
                self
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.what)
            }
        }

        impl std::error::Error for $name {}
    };
}

an_error!(UserError);
an_error!(EngineError);

impl UserError {
    /// Says which of the names was meant, where one is near.
    pub fn meant<'n>(self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> UserError {
        // Names that are none may hold anything. The distance costs the product of the lengths.
        let plain = names.into_iter().filter(|name| wrong.len() <= 100 && !name.contains(char::is_control));
        match wire::nearest(wrong, plain) {
            Some(name) => self.hint(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// The exit code of an error that ended a run: anything that is neither type above counts as the engine's side.
pub fn code(error: &anyhow::Error) -> Exit {
    if error.is::<UserError>() { Exit::REFUSED } else { Exit::ENGINE }
}
