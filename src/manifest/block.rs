//! One object of the manifest, read strictly: only its table's keys, only the wanted types.
//!
//! Every error is one line that begins with `file:line:`, and never quotes a value that may be secret.

use super::json::{Member, Node, Value, clean, visible};
use super::keys::Table;
use crate::exit::UserError;
use std::fmt::Display;
use std::path::Path;

/// Names of agents and bottles: characters.
const LONGEST_NAME: usize = 40;

pub fn refuse(file: &Path, line: u32, what: impl Display) -> UserError {
    UserError::new(format!("{}:{line}: {what}", clean(&file.display().to_string())))
}

/// An object whose keys are all known.
pub struct Block<'a> {
    pub file: &'a Path,
    pub line: u32,
    table: &'static Table,
    members: &'a [Member],
}

impl<'a> Block<'a> {
    pub fn open(file: &'a Path, node: &'a Node, table: &'static Table) -> Result<Block<'a>, UserError> {
        let Value::Object(members) = &node.value else {
            return Err(refuse(
                file,
                node.at.line,
                format_args!("{}: wanted an object, found {}", table.of, node.kind()),
            ));
        };
        for member in members {
            if !table.keys.contains(&member.key.as_str()) {
                return Err(unknown(file, member, table));
            }
        }
        Ok(Block { file, line: node.at.line, table, members })
    }

    pub fn get(&self, key: &'static str) -> Option<&'a Member> {
        debug_assert!(self.table.keys.contains(&key), "{key} is in no table");
        self.members.iter().find(|member| member.key == key)
    }

    pub fn need(&self, key: &'static str) -> Result<&'a Member, UserError> {
        self.get(key).ok_or_else(|| refuse(self.file, self.line, format_args!("{} without `{key}`", self.table.of)))
    }

    /// About one key: `file:line: `key` in a route: what`.
    pub fn refuse(&self, member: &Member, what: impl Display) -> UserError {
        refuse(self.file, member.at.line, format_args!("`{}` in {}: {what}", member.key, self.table.of))
    }

    pub fn forbid(&self, keys: &[&'static str], why: impl Display) -> Result<(), UserError> {
        match keys.iter().find_map(|key| self.get(key)) {
            Some(member) => Err(self.refuse(member, why)),
            None => Ok(()),
        }
    }

    fn wrong(&self, member: &Member, node: &Node, wanted: &str) -> UserError {
        let what = format!("`{}` in {}: wanted {wanted}, found {}", member.key, self.table.of, node.kind());
        refuse(self.file, node.at.line, what)
    }

    pub fn object(&self, key: &'static str, table: &'static Table) -> Result<Option<Block<'a>>, UserError> {
        self.get(key).map(|member| Block::open(self.file, &member.node, table)).transpose()
    }

    /// The members of an object with keys of the user's own.
    pub fn map(&self, key: &'static str) -> Result<&'a [Member], UserError> {
        let Some(member) = self.get(key) else { return Ok(&[]) };
        match &member.node.value {
            Value::Object(members) => Ok(members),
            _ => Err(self.wrong(member, &member.node, "an object")),
        }
    }

    pub fn array(&self, key: &'static str) -> Result<&'a [Node], UserError> {
        let Some(member) = self.get(key) else { return Ok(&[]) };
        match &member.node.value {
            Value::Array(nodes) => Ok(nodes),
            _ => Err(self.wrong(member, &member.node, "an array")),
        }
    }

    pub fn text(&self, member: &'a Member) -> Result<&'a str, UserError> {
        self.text_of(member, &member.node)
    }

    /// Of an element of `member`'s array, too.
    fn text_of(&self, member: &'a Member, node: &'a Node) -> Result<&'a str, UserError> {
        match &node.value {
            Value::String(text) if text.is_empty() => Err(self.refuse(member, "empty")),
            Value::String(text) if text.contains('\0') => Err(self.refuse(member, "no program takes a NUL character")),
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(member, node, "a string")),
        }
    }

    pub fn word(&self, key: &'static str) -> Result<Option<&'a str>, UserError> {
        self.get(key).map(|member| self.text(member)).transpose()
    }

    /// An array of strings, with the line of each; none is empty.
    pub fn words(&self, member: &'a Member) -> Result<Vec<(u32, &'a str)>, UserError> {
        let Value::Array(nodes) = &member.node.value else {
            return Err(match &member.node.value {
                Value::String(text) => self
                    .wrong(member, &member.node, "an array of strings")
                    .hint(format!("write `[\"{}\"]`", visible(text))),
                _ => self.wrong(member, &member.node, "an array of strings"),
            });
        };
        nodes.iter().map(|node| Ok((node.at.line, self.text_of(member, node)?))).collect()
    }

    /// Program and arguments; arguments may be empty.
    pub fn command(&self, member: &'a Member) -> Result<Vec<String>, UserError> {
        let Value::Array(nodes) = &member.node.value else {
            return Err(self
                .wrong(member, &member.node, "an array of strings")
                .hint("write program and arguments apart, as in `[\"sh\", \"-c\", \"…\"]`"));
        };
        let mut words = Vec::new();
        for (n, node) in nodes.iter().enumerate() {
            words.push(match &node.value {
                Value::String(text) if text.is_empty() && n > 0 => String::new(),
                _ => self.text_of(member, node)?.to_string(),
            });
        }
        if words.is_empty() { Err(self.refuse(member, "empty")) } else { Ok(words) }
    }

    pub fn flag(&self, key: &'static str) -> Result<Option<(u32, bool)>, UserError> {
        let Some(member) = self.get(key) else { return Ok(None) };
        match member.node.value {
            Value::Bool(flag) => Ok(Some((member.at.line, flag))),
            _ => Err(self.wrong(member, &member.node, "true or false")),
        }
    }

    /// A whole number of `least..=most`.
    pub fn count(&self, member: &'a Member, least: u64, most: u64) -> Result<u64, UserError> {
        let Value::Number(number) = &member.node.value else {
            return Err(self.wrong(member, &member.node, "a number"));
        };
        match number.as_u64() {
            Some(n) if (least..=most).contains(&n) => Ok(n),
            _ => Err(self.refuse(member, format_args!("wanted a whole number of {least} to {most}, found {number}"))),
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Result<Option<T>, UserError> {
        let Some(member) = self.get(key) else { return Ok(None) };
        let word = self.text(member)?;
        if let Some((_, meant)) = words.iter().find(|(name, _)| *name == word) {
            return Ok(Some(*meant));
        }
        let names = words.iter().map(|(name, _)| *name);
        let error =
            self.refuse(member, format_args!("wanted {}, found `{}`", listed(names.clone(), " or "), visible(word)));
        Err(error.meant(word, names))
    }
}

fn unknown(file: &Path, member: &Member, table: &Table) -> UserError {
    let keys = || table.keys.iter().copied();
    let what =
        format!("unknown key `{}` in {}: accepted are {}", visible(&member.key), table.of, listed(keys(), " and "));
    refuse(file, member.at.line, what).meant(&member.key, keys())
}

/// `a`, `b` and `c`.
pub fn listed<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, start)) => format!("{}{last}{end}", start.join(", ")),
        None => "none".into(),
    }
}

/// A name of an agent, a bottle or a remote: `[a-z][a-z0-9-]*`, at most 40 characters.
pub fn is_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Why a name is none, in words.
pub fn bad_name(name: &str) -> String {
    let name = visible(name);
    format!(
        "bad name `{name}`: a name is a lower-case letter, then letters, digits and `-`, at most {LONGEST_NAME} in all"
    )
}

/// A name of an environment variable.
pub fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
