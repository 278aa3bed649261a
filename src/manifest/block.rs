//! One object of the manifest, read strictly: only the keys of its table, only values of the wanted types.
//!
//! Every error is one line that begins with `file:line:`, and never quotes a value that may be secret.

use super::json::{Member, Node, Value, excerpt, printable};
use super::keys::Table;
use crate::exit::UserError;
use crate::hint;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;

/// Characters of the name of an agent, a bottle or a remote.
const MAX_NAME_CHARS: usize = 40;

/// The error `file:line: what`.
pub fn error_at(file: &Path, line: u32, what: impl Display) -> UserError {
    UserError::new(format!("{}:{line}: {what}", printable(&file.display().to_string())))
}

/// An object whose keys are all known.
pub struct Block<'a> {
    pub file: &'a Path,
    pub line: u32,
    table: &'static Table,
    members: &'a [Member],
}

impl<'a> Block<'a> {
    /// Reads `node` as an object of this kind.
    ///
    /// # Errors
    /// `UserError` for another value than an object, and for a key that is not in the table.
    pub fn open(file: &'a Path, node: &'a Node, table: &'static Table) -> Result<Block<'a>, UserError> {
        let Value::Object(members) = &node.value else {
            return Err(error_at(
                file,
                node.at.line,
                format_args!("{}: wanted an object, found {}", table.subject, node.kind()),
            ));
        };
        for member in members {
            if !table.keys.contains(&member.key.as_str()) {
                return Err(unknown_key(file, member, table));
            }
        }
        Ok(Block { file, line: node.at.line, table, members })
    }

    /// The member of this key, which must be in the table.
    pub fn get(&self, key: &'static str) -> Option<&'a Member> {
        debug_assert!(self.table.keys.contains(&key), "{key} is in no table");
        self.members.iter().find(|member| member.key == key)
    }

    /// # Errors
    /// `UserError` where the key is missing.
    pub fn require(&self, key: &'static str) -> Result<&'a Member, UserError> {
        self.get(key)
            .ok_or_else(|| error_at(self.file, self.line, format_args!("{} without `{key}`", self.table.subject)))
    }

    /// The error `file:line: KEY in a route: what`, about one key.
    pub fn error(&self, member: &Member, what: impl Display) -> UserError {
        error_at(self.file, member.at.line, format_args!("`{}` in {}: {what}", member.key, self.table.subject))
    }

    /// # Errors
    /// `UserError` at the first of `keys` that is there, with the reason `why`.
    pub fn forbid(&self, keys: &[&'static str], why: impl Display) -> Result<(), UserError> {
        match keys.iter().find_map(|key| self.get(key)) {
            Some(member) => Err(self.error(member, why)),
            None => Ok(()),
        }
    }

    fn type_error(&self, member: &Member, node: &Node, wanted: &str) -> UserError {
        let what = format!("`{}` in {}: wanted {wanted}, found {}", member.key, self.table.subject, node.kind());
        error_at(self.file, node.at.line, what)
    }

    /// The object under `key`, opened with its table.
    pub fn object(&self, key: &'static str, table: &'static Table) -> Result<Option<Block<'a>>, UserError> {
        self.get(key).map(|member| Block::open(self.file, &member.node, table)).transpose()
    }

    /// The members of the object under `key`, whose keys are the user's own; empty where the key is missing.
    pub fn map(&self, key: &'static str) -> Result<&'a [Member], UserError> {
        let Some(member) = self.get(key) else { return Ok(&[]) };
        match &member.node.value {
            Value::Object(members) => Ok(members),
            _ => Err(self.type_error(member, &member.node, "an object")),
        }
    }

    /// The elements of the array under `key`; empty where the key is missing.
    pub fn array(&self, key: &'static str) -> Result<&'a [Node], UserError> {
        let Some(member) = self.get(key) else { return Ok(&[]) };
        match &member.node.value {
            Value::Array(nodes) => Ok(nodes),
            _ => Err(self.type_error(member, &member.node, "an array")),
        }
    }

    /// The value of `member` as a string that is not empty and has no NUL character.
    pub fn string(&self, member: &'a Member) -> Result<&'a str, UserError> {
        self.string_node(member, &member.node)
    }

    /// `node` as such a string; it is the value of `member`, or an element of its array.
    fn string_node(&self, member: &'a Member, node: &'a Node) -> Result<&'a str, UserError> {
        match &node.value {
            Value::String(text) if text.is_empty() => Err(self.error(member, "empty")),
            Value::String(text) if text.contains('\0') => Err(self.error(member, "no program takes a NUL character")),
            Value::String(text) => Ok(text),
            _ => Err(self.type_error(member, node, "a string")),
        }
    }

    /// The string under `key`.
    pub fn optional_string(&self, key: &'static str) -> Result<Option<&'a str>, UserError> {
        self.get(key).map(|member| self.string(member)).transpose()
    }

    /// The value of `member` as an array of strings that are not empty, each with its line.
    pub fn strings(&self, member: &'a Member) -> Result<Vec<(u32, &'a str)>, UserError> {
        let Value::Array(nodes) = &member.node.value else {
            return Err(match &member.node.value {
                Value::String(text) => {
                    self.type_error(member, &member.node, "an array of strings").hint(match hint::is_plain(text) {
                        true => hint!("write `[\"{}\"]`", excerpt(text)),
                        false => "write a list with it, as in `[\"…\"]`".into(),
                    })
                }
                _ => self.type_error(member, &member.node, "an array of strings"),
            });
        };
        nodes.iter().map(|node| Ok((node.at.line, self.string_node(member, node)?))).collect()
    }

    /// The value of `member` as a program and its arguments; only arguments may be empty strings.
    pub fn command(&self, member: &'a Member) -> Result<Vec<String>, UserError> {
        let Value::Array(nodes) = &member.node.value else {
            return Err(self
                .type_error(member, &member.node, "an array of strings")
                .hint("write program and arguments apart, as in `[\"sh\", \"-c\", \"…\"]`"));
        };
        let mut words = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            words.push(match &node.value {
                Value::String(text) if text.is_empty() && n > 0 => String::new(),
                _ => self.string_node(member, node)?.to_string(),
            });
        }
        if words.is_empty() { Err(self.error(member, "empty")) } else { Ok(words) }
    }

    /// The boolean under `key`, with its line.
    pub fn boolean(&self, key: &'static str) -> Result<Option<(u32, bool)>, UserError> {
        let Some(member) = self.get(key) else { return Ok(None) };
        match member.node.value {
            Value::Bool(flag) => Ok(Some((member.at.line, flag))),
            _ => Err(self.type_error(member, &member.node, "true or false")),
        }
    }

    /// The value of `member` as a whole number within `range`.
    pub fn integer(&self, member: &'a Member, range: RangeInclusive<u64>) -> Result<u64, UserError> {
        let Value::Number(number) = &member.node.value else {
            return Err(self.type_error(member, &member.node, "a number"));
        };
        match number.as_u64() {
            Some(n) if range.contains(&n) => Ok(n),
            _ => {
                let (least, most) = range.into_inner();
                Err(self.error(member, format_args!("wanted a whole number of {least} to {most}, found {number}")))
            }
        }
    }

    /// The meaning of the string under `key`, which is one of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>, UserError> {
        let Some(member) = self.get(key) else { return Ok(None) };
        let word = self.string(member)?;
        if let Some((_, meant)) = words.iter().find(|(name, _)| *name == word) {
            return Ok(Some(*meant));
        }
        let names = words.iter().map(|(name, _)| *name);
        let error =
            self.error(member, format_args!("wanted {}, found `{}`", list_names(names.clone(), " or "), excerpt(word)));
        Err(error.meant(word, names))
    }
}

fn unknown_key(file: &Path, member: &Member, table: &Table) -> UserError {
    let keys = || table.keys.iter().copied();
    let what = format!(
        "unknown key `{}` in {}: accepted are {}",
        excerpt(&member.key),
        table.subject,
        list_names(keys(), " and ")
    );
    error_at(file, member.at.line, what).meant(&member.key, keys())
}

/// Names in backticks, with commas between and `last` before the last one.
pub fn list_names<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, start)) => format!("{}{last}{end}", start.join(", ")),
        None => "none".into(),
    }
}

/// Is it a name for an agent, a bottle or a remote: `[a-z][a-z0-9-]*`, at most 40 characters?
pub fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME_CHARS
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The error text for a name that [`is_name`] rejects.
pub fn bad_name(name: &str) -> String {
    let name = excerpt(name);
    format!(
        "bad name `{name}`: a name is a lower-case letter, then letters, digits and `-`, at most {MAX_NAME_CHARS} in all"
    )
}

/// Is it a name for an environment variable: `[A-Za-z_][A-Za-z0-9_]*`?
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
