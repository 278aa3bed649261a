//! What can be typed: clap types and nothing else. Help, completions and man pages are generated from here.

mod environment;

pub use environment::VARIABLES;

use crate::exit;
use clap::builder::Styles;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Run a coding agent in a sandbox that has no network, only a gate that you control
#[derive(Debug, Parser)]
#[command(name = "claude-bottle", version = VERSION, infer_subcommands = false)]
#[command(disable_help_subcommand = true, disable_help_flag = true, disable_version_flag = true)]
#[command(help_template = HELP, after_help = exit_status_help(), styles = Styles::plain())]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,

    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version, help_heading = "Global options")]
    version: Option<bool>,

    #[command(subcommand)]
    pub verb: Verb,
}

/// The program's help: clap has one list of commands, and these are four kinds. A test holds it to the verbs.
const HELP: &str = "\
{about}

{usage-heading} {usage}

Sessions:
  start      Run an agent in a new sandbox, in this terminal
  resume     Continue a session that ended or crashed
  attach     Attach this terminal to a detached session
  detach     Detach a session from the terminal that it is attached to
  stop       Stop sessions that run, and keep them
  exec       Run a command, or a shell, in a running session
  forward    Forward a port inside to localhost
  cleanup    Remove kept sessions, and leftovers on the engine

Work:
  work       Review and copy back the agent's changes
  put        Copy a file into a running session
  get        Copy a file out of a running session
  git        Allow commits that were refused in a push

Deciding:
  dashboard  Show all sessions on one screen, and answer what agents ask for
  proposals  List what agents ask for, and what was blocked
  approve    Allow what an agent asked for, or what was blocked
  reject     Reject what an agent asked for
  routes     Show or change the routes that were added to a session

Looking:
  list       List sessions: live, detached, kept, lost
  info       Show the details of a session or an agent
  logs       Show a session's allowed and blocked requests
  suggest    Print the routes that would allow what was blocked
  check      Test whether a request would be allowed, and by which rule

Setting up:
  init       Create a manifest
  edit       Edit the manifest, and check it
  build      Build missing images
  doctor     Check this machine and the manifest, and print how to fix problems
  shell      Print shell integration: completions, a prompt, a short form
  help       Show the manual page of a command

Global options:
{options}{after-help}
";

/// How everything is said, whatever the verb.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Print only errors, prompts and requested output
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print each engine command before it runs, ready to paste
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Print how long each step took
    #[arg(long, global = true)]
    pub timings: bool,

    /// When to use colour in messages
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto, value_name = "auto|always|never", hide_possible_values = true)]
    pub color: Colour,

    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, without NO_COLOR
    Auto,
    Always,
    Never,
}

/// The version, and the commit that it was built from where `make build` knew one.
const VERSION: &str = match option_env!("BUILD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

fn exit_status_help() -> String {
    let width = exit::CODES.iter().map(|code| code.code.len()).max().unwrap_or(0);
    let row = |code: &exit::Code| format!("\n  {:<width$}  {}", code.code, code.short.replace('`', ""));
    format!("Exit status:{}", exit::CODES.iter().map(row).collect::<String>())
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run an agent in a new sandbox, in this terminal
    Start(StartArgs),
    /// Continue a session that ended or crashed
    Resume(ResumeArgs),
    /// Attach this terminal to a detached session
    Attach(AttachArgs),
    /// Detach a session from the terminal that it is attached to
    Detach(DetachArgs),
    /// Stop sessions that run, and keep them
    Stop(StopArgs),
    /// List sessions: live, detached, kept, lost
    List(ListArgs),
    /// Run a command, or a shell, in a running session
    Exec(ExecArgs),
    /// Show the details of a session or an agent
    Info(InfoArgs),
    /// Review and copy back the agent's changes
    Work(WorkArgs),
    /// Copy a file into a running session
    Put(PutArgs),
    /// Copy a file out of a running session
    Get(GetArgs),
    /// Allow commits that were refused in a push
    Git(GitArgs),
    /// Show all sessions on one screen, and answer what agents ask for
    Dashboard(DashboardArgs),
    /// List what agents ask for, and what was blocked
    Proposals(ProposalsArgs),
    /// Allow what an agent asked for, or what was blocked
    Approve(ApproveArgs),
    /// Reject what an agent asked for
    Reject(RejectArgs),
    /// Show or change the routes that were added to a session
    Routes(RoutesArgs),
    /// Remove kept sessions, and leftovers on the engine
    Cleanup(CleanupArgs),
    /// Test whether a request would be allowed, and by which rule
    Check(CheckArgs),
    /// Show a session's allowed and blocked requests
    Logs(LogsArgs),
    /// Print the routes that would allow what was blocked
    Suggest(SuggestArgs),
    /// Build missing images
    Build(BuildArgs),
    /// Forward a port inside to localhost
    Forward(ForwardArgs),
    /// Create a manifest
    Init(InitArgs),
    /// Edit the manifest, and check it
    Edit(EditArgs),
    /// Check this machine and the manifest, and print how to fix problems
    Doctor(DoctorArgs),
    /// Print shell integration: completions, a prompt, a short form
    Shell(ShellArgs),
    /// Show the manual page of a command
    Help(HelpArgs),
    /// Names for completions, one a line with what it is after a tab
    #[command(hide = true)]
    Names(NamesArgs),
}

#[derive(Debug, Args)]
pub struct StartArgs {
    /// The agent's name in claude-bottle.json; you are asked if it is left out
    pub agent: Option<String>,

    /// Copy the current directory into the workspace, except what git ignores; `all` copies everything
    #[arg(long, value_enum, value_name = "all", num_args = 0..=1, require_equals = true, hide_possible_values = true, default_missing_value = "unignored")]
    pub cwd: Option<Cwd>,

    /// Also allow these requests in this session; can be repeated
    #[arg(long, value_name = "HOST[:PORT][/PATH][=METHODS]")]
    pub allow: Vec<String>,

    #[command(flatten)]
    pub launch: LaunchArgs,

    #[command(flatten)]
    pub preview: PreviewArgs,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Use the current engine and the saved transcript, if the session's engine or volume is gone
    #[arg(long)]
    pub here: bool,

    #[command(flatten)]
    pub launch: LaunchArgs,

    #[command(flatten)]
    pub preview: PreviewArgs,
}

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Print the plan and exit: no engine call, no file written
    #[arg(long)]
    pub dry_run: bool,

    /// Output format of a dry run
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "text|json|sh", hide_possible_values = true)]
    pub format: Format,
}

#[derive(Debug, Clone, Args)]
pub struct LaunchArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,

    /// Run without a terminal: the agent answers the prompt once, on stdout
    #[arg(long, requires = "prompt")]
    pub headless: bool,

    /// The first message to the agent
    #[arg(short, long, value_name = "PROMPT", allow_hyphen_values = true)]
    pub prompt: Option<String>,

    /// Allow the session to be controlled from claude.ai
    #[arg(long)]
    pub remote_control: bool,

    /// Arguments for the agent's program
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The session, as `list` shows it; by default the newest running one of this directory
    pub identity: Option<String>,
}

#[derive(Debug, Args)]
pub struct DetachArgs {
    /// The session, as `list` shows it; by default the newest running one of this directory
    pub identity: Option<String>,
}

#[derive(Debug, Args)]
pub struct StopArgs {
    /// The sessions, as `list` shows them
    #[arg(required_unless_present = "all")]
    pub identities: Vec<String>,

    /// All sessions that run, after a question
    #[arg(long, conflicts_with = "identities")]
    pub all: bool,

    /// Do not ask before stopping all
    #[arg(short, long, requires = "all")]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The session, as `list` shows it; by default the newest running one of this directory
    pub identity: Option<String>,

    /// Taken as the engine's `exec` takes them; where there is a terminal, it is used without them
    #[arg(short, hide = true)]
    pub interactive: bool,

    #[arg(short, hide = true)]
    pub tty: bool,

    /// Command and arguments; a shell if left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A session, as `list` shows it, or an agent of claude-bottle.json; by default the newest session of this directory
    #[arg(value_name = "IDENTITY|AGENT")]
    pub name: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct WorkArgs {
    #[command(subcommand)]
    pub verb: WorkVerb,
}

#[derive(Debug, Subcommand)]
pub enum WorkVerb {
    /// Show changes that are not copied back yet
    Diff(WorkDiffArgs),
    /// Fetch the agent's commits into `refs/bottles/IDENTITY/` of the repository here
    Fetch(WorkFetchArgs),
    /// Apply the agent's uncommitted changes to the files here
    Apply(WorkApplyArgs),
    /// Fetch the agent's commits, merge them into the branch here, and apply its uncommitted changes
    Pull(WorkPullArgs),
}

#[derive(Debug, Args)]
pub struct WorkDiffArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Only this repository, by its path in the workspace; all of them if left out
    pub repository: Option<String>,

    /// Only names and counts
    #[arg(long)]
    pub stat: bool,

    /// Also what each commit and stash changes
    #[arg(long, conflicts_with = "stat")]
    pub commits: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true, requires = "stat")]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct WorkFetchArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Only this repository, by its path in the workspace; all of them if left out
    pub repository: Option<String>,
}

#[derive(Debug, Args)]
pub struct WorkApplyArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Only this repository, by its path in the workspace; all of them if left out
    pub repository: Option<String>,

    /// Also copy files that tools run automatically (hidden, build, CI, agent and editor files, programs, links)
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct WorkPullArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Only this repository, by its path in the workspace; all of them if left out
    pub repository: Option<String>,

    /// Also copy files that tools run automatically (hidden, build, CI, agent and editor files, programs, links)
    #[arg(long)]
    pub all: bool,

    /// Do not ask before merging
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct GitArgs {
    #[command(subcommand)]
    pub verb: GitVerb,
}

#[derive(Debug, Subcommand)]
pub enum GitVerb {
    /// Allow the next push of these commits, despite what was found in them
    Allow(GitAllowArgs),
}

#[derive(Debug, Args)]
pub struct GitAllowArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// Commit ids, as the refusal printed them
    #[arg(required = true)]
    pub commits: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ProposalsArgs {
    /// Only of this session, as `list` shows it
    pub identity: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// What is approved, as `proposals` shows it: `IDENTITY/ID`, or an id that only one session has
    #[arg(value_name = "ID")]
    pub id: String,

    /// Edit the route first; only there can a token be given
    #[arg(long, conflicts_with = "widen")]
    pub edit: bool,

    /// Allow one request, within 60 seconds
    #[arg(long, conflicts_with_all = ["session", "save"])]
    pub once: bool,

    /// Allow until the session is removed, also after a resume (the default)
    #[arg(long, conflicts_with = "save")]
    pub session: bool,

    /// Allow for this session, and add the route to the manifest in your home
    #[arg(long)]
    pub save: bool,

    /// Allow more: files in the same folder, everything below that folder, or reading from the whole host
    #[arg(long, value_enum, value_name = "folder|tree|host", hide_possible_values = true)]
    pub widen: Option<Widen>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Widen {
    Folder,
    Tree,
    Host,
}

#[derive(Debug, Args)]
pub struct RejectArgs {
    /// What is rejected, as `proposals` shows it: `IDENTITY/ID`, or an id that only one session has
    #[arg(value_name = "ID")]
    pub id: String,

    /// The reason; the agent reads it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct RoutesArgs {
    #[command(subcommand)]
    pub verb: RoutesVerb,
}

#[derive(Debug, Subcommand)]
pub enum RoutesVerb {
    /// Show the routes that were added to a session, and the bottle's own
    List(RoutesListArgs),
    /// Add a route to a session
    Add(RoutesAddArgs),
    /// Remove an added route
    Remove(RoutesRemoveArgs),
    /// Edit the added routes
    Edit(RoutesEditArgs),
}

#[derive(Debug, Args)]
pub struct RoutesListArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct RoutesAddArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// The route, as it stands in a manifest: `{ "host": "api.example.org", "paths": ["/x"] }`
    pub route: String,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct RoutesRemoveArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// The route's id, as `routes list` shows it
    pub id: String,
}

#[derive(Debug, Args)]
pub struct RoutesEditArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// Do not ask for confirmation
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "claude-bottle put [OPTIONS] FILE\n       claude-bottle put [OPTIONS] IDENTITY FILE [PATH]")]
pub struct PutArgs {
    /// The session, as `list` shows it; before a FILE alone, the newest running one of this directory
    pub identity: String,

    /// A file on this machine; `-` is stdin
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Destination, relative to the workspace; `~/inbox/` and the file's name if left out
    pub path: Option<PathBuf>,

    /// Copy more than 1 GiB without asking
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "claude-bottle get [OPTIONS] PATH\n       claude-bottle get [OPTIONS] IDENTITY PATH [FILE]")]
pub struct GetArgs {
    /// The session, as `list` shows it; before a PATH alone, the newest running one of this directory
    pub identity: String,

    /// A file in the bottle, relative to the workspace
    pub path: Option<PathBuf>,

    /// Destination; `-` is stdout; the same name in the current directory if left out
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,

    /// Copy more than 1 GiB without asking
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Only these sessions; all kept ones if left out
    pub identities: Vec<String>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Output format of a dry run
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true, requires = "dry_run")]
    pub format: ListFormat,

    /// Only sessions kept for longer: `90m`, `12h`, `30d`
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,

    /// Do not ask; sessions with changes not copied back are removed only if they are named
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "claude-bottle check [OPTIONS] AGENT [METHOD] URL\n       claude-bottle check [OPTIONS] AGENT git fetch REMOTE\n       claude-bottle check [OPTIONS] AGENT git push REMOTE REF...\n       claude-bottle check [OPTIONS] AGENT --replay FILE|IDENTITY"
)]
pub struct CheckArgs {
    /// The agent's name in claude-bottle.json
    pub agent: String,

    /// An HTTP method and a URL (`https://…`, `http://…`, `wss://…`), or `tcp://HOST:PORT`, or a git operation
    #[arg(required_unless_present = "replay", value_name = "REQUEST")]
    pub request: Vec<String>,

    /// Test a forced push, like a ref with a leading `+`
    #[arg(short, long)]
    pub force: bool,

    /// Test a push that deletes the refs, like a ref with a leading `:`
    #[arg(short, long)]
    pub delete: bool,

    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,

    /// Test the recorded requests of a session or an audit file: what would change?
    #[arg(long, value_name = "FILE|IDENTITY", value_hint = ValueHint::FilePath, conflicts_with_all = ["request", "headers", "body", "force", "delete"])]
    pub replay: Option<PathBuf>,

    /// Also search this body for secrets: a file, or `-` for stdin
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct DashboardArgs {
    /// Print one screen as text, and exit
    #[arg(long)]
    pub once: bool,

    /// Output format; `json` prints once and exits
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// A session, as `list` shows it; with `--since` an agent of claude-bottle.json
    #[arg(value_name = "IDENTITY|AGENT")]
    pub name: Option<String>,

    /// What was blocked in this time, in all sessions or in this agent's: `90m`, `12h`, `7d`
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,

    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Keep printing until the session ends
    #[arg(short, long)]
    pub follow: bool,

    /// Only blocked requests and alarms
    #[arg(long)]
    pub denied: bool,

    /// Output format; `json` prints the recorded lines unchanged
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Also build the image of this agent
    pub agent: Option<String>,

    /// Rebuild images that exist
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(override_usage = "claude-bottle forward [OPTIONS] [IDENTITY] PORT[:PORT]...")]
pub struct ForwardArgs {
    /// The session, as `list` shows it; before ports alone, the newest running one of this directory
    pub identity: String,

    /// The port inside, or LOCAL:INSIDE
    #[arg(value_name = "PORT[:PORT]")]
    pub ports: Vec<String>,

    /// Listen on this address instead of localhost; everyone who can reach it can use the agent's server
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<std::net::IpAddr>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Print the JSON Schema of the manifest, and write nothing
    #[arg(long)]
    pub schema: bool,

    /// Do not ask: use what is found, and defaults
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    /// The agent whose definition is opened; the manifest in your home if left out
    pub agent: Option<String>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct ShellArgs {
    /// The shell that evaluates it
    #[arg(value_enum)]
    pub shell: ShellKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellKind {
    Bash,
    Zsh,
    Fish,
}

#[derive(Debug, Args)]
pub struct HelpArgs {
    /// A command, or `manifest`, `audit`, `gate`, `security`, `trust`; the program if left out
    pub topic: Vec<String>,
}

#[derive(Debug, Args)]
pub struct NamesArgs {
    #[arg(value_enum, required = true)]
    pub of: Vec<NameKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NameKind {
    /// Of the home and of the current directory
    Agents,
    /// Every session
    Sessions,
    /// Sessions that run, attached or not
    Running,
    /// Sessions that run, and whose process is there
    Live,
    Detached,
    /// Sessions at rest, kept or lost: they can be resumed, or removed
    Resting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// A script for a POSIX shell
    Sh,
}

/// Which files of the current directory are copied in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cwd {
    /// All but what git ignores
    Unignored,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Text,
    Json,
}
