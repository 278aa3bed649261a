//! The command line: what every verb says, without an engine that does anything.

mod check;
mod check_body;
mod edit;
mod help;
mod hints;
mod init;
mod install;
mod manifest;
mod output;
mod plan;
pub mod replay;
pub mod shell;
mod suggest;
mod supply;
mod upstream;
mod workspace;
