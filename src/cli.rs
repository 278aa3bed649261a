//! What can be typed: clap types and nothing else. Help, completions and man pages are generated from here.

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run a coding agent in a bottle: a container without a network, whose every way out is decided in one place
#[derive(Debug, Parser)]
#[command(name = "claude-bottle", version, disable_help_subcommand = true, infer_subcommands = false)]
#[command(after_help = EXITS)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

const EXITS: &str = "\
Exit status: 0 success, dry run or \"no\"; the agent's own code; 2 something you can mend; 101 a bug; \
125 engine, image or gate failure; 128+n ended by signal n.";

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Boot a bottle for an agent, attach its session, take everything down at the end
    Start(Start),
    /// Go on with a kept or lost session: new containers on the same home
    Resume(Resume),
    /// Attach this terminal to a detached session
    Attach(Attach),
    /// List sessions: live, detached, kept, lost
    List(List),
    /// Run a command, by default a shell, inside a live bottle
    Exec(Exec),
    /// Remove kept sessions and whatever else of this home is left on the engine
    Cleanup(Cleanup),
    /// Build the images that are missing
    Build(Build),
}

#[derive(Debug, Args)]
pub struct Start {
    /// The agent's name in claude-bottle.json
    pub agent: String,

    #[command(flatten)]
    pub launch: Launch,

    #[command(flatten)]
    pub preview: Preview,
}

#[derive(Debug, Args)]
pub struct Resume {
    /// The session, as `list` shows it
    pub identity: String,

    #[command(flatten)]
    pub launch: Launch,

    #[command(flatten)]
    pub preview: Preview,
}

#[derive(Debug, Args)]
pub struct Preview {
    /// Print the plan and do nothing: no engine call, no file
    #[arg(long)]
    pub dry_run: bool,

    /// How a dry run prints the plan
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub format: Format,
}

#[derive(Debug, Clone, Args)]
pub struct Launch {
    /// Do not ask before launching
    #[arg(short, long)]
    pub yes: bool,

    /// Without a terminal: the agent gets pipes, and answers the prompt once
    #[arg(long, requires = "prompt")]
    pub headless: bool,

    /// The first message
    #[arg(short, long, value_name = "PROMPT", allow_hyphen_values = true)]
    pub prompt: Option<String>,

    /// Let the session be driven from claude.ai
    #[arg(long)]
    pub remote_control: bool,

    /// Arguments for the agent's program
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Attach {
    /// The session, as `list` shows it
    pub identity: String,
}

#[derive(Debug, Args)]
pub struct List {
    /// How to print the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "FORMAT")]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// The session, as `list` shows it
    pub identity: String,

    /// Program and arguments; by default a shell
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Cleanup {
    /// Do not ask before removing
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct Build {
    /// Build the image of this agent's bottle, too
    pub agent: Option<String>,

    /// Build again what is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// A script for a POSIX shell
    Sh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Text,
    Json,
}
