//! How a run can end: the exit codes of the program, and the errors that lead to them.
//!
//! A `UserError` is a mistake that the user can mend (2). An `EngineError` is a failure of the engine, an image or the
//! gate (125). An agent's own non-zero code is a value and no error: an [`Exit`].

use crate::hint;
use crate::hint::Hint;
use std::fmt;
use std::io;
use std::path::Path;

/// The exit code of the process: one of [`CODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

/// A code as it is described to users. Words between backquotes are typed, or printed, as they are.
pub struct Code {
    pub code: &'static str,
    /// One line, for the help.
    pub short: &'static str,
    /// More sentences, for the manual; may be empty.
    pub more: &'static str,
}

/// Every code that there is. Help, manual and README are written from this list.
pub const CODES: [Code; 8] = [
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
    Code { code: "75", short: "packages were approved: `resume` builds the image and goes on", more: "" },
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
    /// `EX_TEMPFAIL` of sysexits.h: to be tried again.
    pub const REBUILD: Exit = Exit(75);
    pub const PANIC: Exit = Exit(101);
    pub const ENGINE: Exit = Exit(125);

    /// 128 plus the number of the signal.
    pub fn signal(number: i32) -> Exit {
        Exit(u8::try_from(128 + number).unwrap_or(u8::MAX))
    }
}

/// A mistake that the user can mend. `what`: one line, lower case, no full stop. `hint`: what to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserError {
    pub what: String,
    pub hint: Option<Hint>,
}

/// The engine, an image or the gate failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineError {
    pub what: String,
    pub hint: Option<Hint>,
    pub kind: EngineErrorKind,
}

/// What callers decide by. It is known where the engine's own words are read, and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// There is no such container.
    Gone,
    /// Another object has the name already.
    Taken,
    /// A container uses the volume.
    InUse,
    NoImage,
    NoVolume,
    /// No engine answers, or not in time.
    Unreachable,
    #[default]
    Other,
}

impl UserError {
    pub fn new(what: impl Into<String>) -> UserError {
        UserError { what: what.into(), hint: None }
    }

    /// The error for a file or a folder that cannot be read.
    pub fn unreadable(path: &Path, error: &io::Error) -> UserError {
        UserError::new(format!("cannot read `{}`: {error}", path.display()))
    }
}

impl EngineError {
    pub fn new(what: impl Into<String>) -> EngineError {
        EngineError { what: what.into(), hint: None, kind: EngineErrorKind::Other }
    }

    pub fn kind(self, kind: EngineErrorKind) -> EngineError {
        EngineError { kind, ..self }
    }
}

macro_rules! error_with_hint {
    ($name:ident) => {
        impl $name {
            pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
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

error_with_hint!(UserError);
error_with_hint!(EngineError);

impl UserError {
    /// Hints at the name that was probably meant, where one of `names` is near.
    pub fn meant<'n>(self, wrong: &str, names: impl IntoIterator<Item = &'n str>) -> UserError {
        // Names may come from file names, and hold anything. The distance costs the product of the lengths.
        let plain = names.into_iter().filter(|name| wrong.len() <= 100 && !name.contains(char::is_control));
        match wire::nearest(wrong, plain) {
            Some(name) => self.hint(hint!("did you mean `{}`?", name)),
            None => self,
        }
    }
}

/// The exit code of an error that ended a run: 2 for a `UserError`, 125 for every other.
pub fn code(error: &anyhow::Error) -> Exit {
    if error.is::<UserError>() { Exit::REFUSED } else { Exit::ENGINE }
}
