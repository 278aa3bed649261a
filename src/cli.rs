//! What can be typed: clap types and nothing else. Help, completions and man pages are generated from here.

mod environment;

pub use environment::VARIABLES;

use crate::exit;
use clap::builder::Styles;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::path::PathBuf;

/// Run a coding agent in a bottle: a container without a network, with one guarded way out
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
  start      Boot a bottle for an agent, attach its session, take everything down at the end
  resume     Go on with a kept or lost session: new containers on the same home
  attach     Attach this terminal to a detached session
  detach     Detach a session from the terminal that it is attached to
  stop       Stop sessions that run, and keep them
  exec       Run a command, by default a shell, inside a live bottle
  forward    Bring a server of an agent's to this machine's loopback
  cleanup    Remove kept sessions and whatever else of this home is left on the engine

Work:
  work       Bring home what an agent made: look at it, fetch its commits, apply its changes
  put        Put a file into a live bottle
  get        Get a file out of a live bottle
  git        Let commits pass that a push was refused for

Deciding:
  dashboard  Show all bottles on one screen, and decide what their agents ask for
  proposals  Show what agents ask for, and what was refused
  approve    Let pass what an agent asks for, or what was refused
  reject     Tell an agent that it does not get what it asks for
  routes     Show and change the routes that were added to a session

Looking:
  list       List sessions: live, detached, kept, lost
  info       Show what is known of a session, and ask the engine for the rest
  logs       Show what the gate of a session decided
  suggest    Print the routes that would have let pass what was refused
  check      Say whether a request of an agent's would pass, by which route, and as what

Setting up:
  init       Write a manifest to begin with
  edit       Open the manifest in your editor, and check it on close
  build      Build the images that are missing
  doctor     Look whether everything that is needed is there, and say what to type
  shell      Print what a shell needs: completions, a prompt, a short form
  help       Open the manual of a command

Global options:
{options}{after-help}
";

/// How everything is said, whatever the verb.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Say nothing but errors, questions and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Show each engine call before it is made, as it can be typed
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Say at the end what took how long
    #[arg(long, global = true)]
    pub timings: bool,

    /// When messages have colour
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
    /// Boot a bottle for an agent, attach its session, take everything down at the end
    Start(StartArgs),
    /// Go on with a kept or lost session: new containers on the same home
    Resume(ResumeArgs),
    /// Attach this terminal to a detached session
    Attach(AttachArgs),
    /// Detach a session from the terminal that it is attached to
    Detach(DetachArgs),
    /// Stop sessions that run, and keep them
    Stop(StopArgs),
    /// List sessions: live, detached, kept, lost
    List(ListArgs),
    /// Run a command, by default a shell, inside a live bottle
    Exec(ExecArgs),
    /// Show what is known of a session, and ask the engine for the rest
    Info(InfoArgs),
    /// Bring home what an agent made: look at it, fetch its commits, apply its changes
    Work(WorkArgs),
    /// Put a file into a live bottle
    Put(PutArgs),
    /// Get a file out of a live bottle
    Get(GetArgs),
    /// Let commits pass that a push was refused for
    Git(GitArgs),
    /// Show all bottles on one screen, and decide what their agents ask for
    Dashboard(DashboardArgs),
    /// Show what agents ask for, and what was refused
    Proposals(ProposalsArgs),
    /// Let pass what an agent asks for, or what was refused
    Approve(ApproveArgs),
    /// Tell an agent that it does not get what it asks for
    Reject(RejectArgs),
    /// Show and change the routes that were added to a session
    Routes(RoutesArgs),
    /// Remove kept sessions and whatever else of this home is left on the engine
    Cleanup(CleanupArgs),
    /// Say whether a request of an agent's would pass, by which route, and as what
    Check(CheckArgs),
    /// Show what the gate of a session decided
    Logs(LogsArgs),
    /// Print the routes that would have let pass what was refused
    Suggest(SuggestArgs),
    /// Build the images that are missing
    Build(BuildArgs),
    /// Bring a server of an agent's to this machine's loopback
    Forward(ForwardArgs),
    /// Write a manifest to begin with
    Init(InitArgs),
    /// Open the manifest in your editor, and check it on close
    Edit(EditArgs),
    /// Look whether everything that is needed is there, and say what to type
    Doctor(DoctorArgs),
    /// Print what a shell needs: completions, a prompt, a short form
    Shell(ShellArgs),
    /// Open the manual of a command
    Help(HelpArgs),
    /// Names for completions, one a line with what it is after a tab
    #[command(hide = true)]
    Names(NamesArgs),
}

#[derive(Debug, Args)]
pub struct StartArgs {
    /// The agent's name in claude-bottle.json; without it, a choice is offered
    pub agent: Option<String>,

    /// Copy the current directory into the workspace, without what git ignores; `all` brings that, too
    #[arg(long, value_enum, value_name = "all", num_args = 0..=1, require_equals = true, hide_possible_values = true, default_missing_value = "unignored")]
    pub cwd: Option<Cwd>,

    /// Let these requests pass in this session, beside what its bottle allows; may be given more than once
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

    /// On the engine of this environment, from the transcript, where the session's own engine or volume is gone
    #[arg(long)]
    pub here: bool,

    #[command(flatten)]
    pub launch: LaunchArgs,

    #[command(flatten)]
    pub preview: PreviewArgs,
}

#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// Print the plan and do nothing: no engine call, no file
    #[arg(long)]
    pub dry_run: bool,

    /// How a dry run prints the plan
    #[arg(long, value_enum, default_value_t = Format::Text, value_name = "text|json|sh", hide_possible_values = true)]
    pub format: Format,
}

#[derive(Debug, Clone, Args)]
pub struct LaunchArgs {
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
pub struct AttachArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,
}

#[derive(Debug, Args)]
pub struct DetachArgs {
    /// The session, as `list` shows it
    pub identity: String,
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
    /// How to print the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Taken as the engine's `exec` takes them; where there is a terminal, it is used without them
    #[arg(short, hide = true)]
    pub interactive: bool,

    #[arg(short, hide = true)]
    pub tty: bool,

    /// Program and arguments; by default a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct InfoArgs {
    /// A session, as `list` shows it, or an agent of claude-bottle.json
    #[arg(value_name = "IDENTITY|AGENT")]
    pub name: String,

    /// How to print it
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
    /// Show what is in the workspace and nowhere else
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

    /// Only this repository, by its path in the workspace
    pub repository: Option<String>,

    /// Names and counts alone
    #[arg(long)]
    pub stat: bool,

    /// Also what each commit and stash changes
    #[arg(long, conflicts_with = "stat")]
    pub commits: bool,

    /// How to print the counts
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true, requires = "stat")]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct WorkFetchArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Which repository, by its path in the workspace; needed where there are several
    pub repository: Option<String>,
}

#[derive(Debug, Args)]
pub struct WorkApplyArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Which repository, by its path in the workspace; needed where there are several
    pub repository: Option<String>,

    /// Also files that run by themselves here (hidden, build, CI, agent and editor files, programs, links), without asking
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
pub struct WorkPullArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Which repository, by its path in the workspace; needed where there are several
    pub repository: Option<String>,

    /// Also files that run by themselves here (hidden, build, CI, agent and editor files, programs, links), without asking
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
    /// Let the next push bring these commits, although something was found in them
    Allow(GitAllowArgs),
}

#[derive(Debug, Args)]
pub struct GitAllowArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// Ids of commits, as the refusal named them
    #[arg(required = true)]
    pub commits: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ProposalsArgs {
    /// Only of this session, as `list` shows it
    pub identity: Option<String>,

    /// How to print them
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// What is approved, as `proposals` shows it: `IDENTITY/ID`, or an id that only one session has
    #[arg(value_name = "ID")]
    pub id: String,

    /// Change the route in your editor first; a token can be given only there
    #[arg(long, conflicts_with = "widen")]
    pub edit: bool,

    /// For one request, within a minute
    #[arg(long, conflicts_with_all = ["session", "save"])]
    pub once: bool,

    /// Until the session is removed, resumes included; what is done without `--once` and `--save`
    #[arg(long, conflicts_with = "save")]
    pub session: bool,

    /// For the session, and write the route into the manifest at home
    #[arg(long)]
    pub save: bool,

    /// A step wider: the names beside the path's last one, all beneath its folder, or all that can be read of the host
    #[arg(long, value_enum, value_name = "folder|tree|host", hide_possible_values = true)]
    pub widen: Option<Widen>,

    /// Do not ask
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

    /// Why, in words for the agent
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
    /// Take a route back that was added
    Remove(RoutesRemoveArgs),
    /// Change the added routes in your editor
    Edit(RoutesEditArgs),
}

#[derive(Debug, Args)]
pub struct RoutesListArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// How to print them
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct RoutesAddArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// The route, as it stands in a manifest: `{ "host": "api.example.org", "paths": ["/x"] }`
    pub route: String,

    /// Do not ask
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

    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct PutArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// A file of this machine; `-` is stdin
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Where to, relative to the workspace; by default `~/inbox/` and the file's name
    pub path: Option<PathBuf>,

    /// Copy more than 1 GiB without asking
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct GetArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// A file in the bottle, relative to the workspace
    pub path: PathBuf,

    /// Where to; `-` is stdout; by default the file's own name in the current directory
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Overwrite a file that is there
    #[arg(long)]
    pub force: bool,

    /// Copy more than 1 GiB without asking
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct CleanupArgs {
    /// Only these sessions; by default every kept one
    pub identities: Vec<String>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How a dry run prints what would go
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true, requires = "dry_run")]
    pub format: ListFormat,

    /// Only sessions kept for longer: `90m`, `12h`, `30d`
    #[arg(long, value_name = "AGE")]
    pub older_than: Option<String>,

    /// Do not ask before removing; work that is nowhere else goes only where its session is named
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

    /// The HTTP method and whom it asks for what: `https://…`, `http://…`, `wss://…`, or `tcp://HOST:PORT`; or what git does
    #[arg(required_unless_present = "replay", value_name = "REQUEST")]
    pub request: Vec<String>,

    /// Judge a push that takes commits away, like a ref with `+` before it
    #[arg(short, long)]
    pub force: bool,

    /// Judge a push that deletes the refs, like a ref with `:` before it
    #[arg(short, long)]
    pub delete: bool,

    /// A header of the request
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,

    /// Judge the recorded requests of a session, or of a file of audit lines: what would change?
    #[arg(long, value_name = "FILE|IDENTITY", value_hint = ValueHint::FilePath, conflicts_with_all = ["request", "headers", "body", "force", "delete"])]
    pub replay: Option<PathBuf>,

    /// Search the request with this body, a file or `-` for stdin, for what must not leave
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub body: Option<PathBuf>,

    /// How to print the answer
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct DashboardArgs {
    /// Print it once as text, whole, and end
    #[arg(long)]
    pub once: bool,

    /// How to print it; `json` prints it once
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// A session, as `list` shows it; with `--since` an agent of claude-bottle.json
    #[arg(value_name = "IDENTITY|AGENT")]
    pub name: Option<String>,

    /// What was refused in this time, in all sessions on disk or in this agent's: `90m`, `12h`, `7d`
    #[arg(long, value_name = "AGE")]
    pub since: Option<String>,

    /// How to print them
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The session, as `list` shows it; by default the newest of this directory
    pub identity: Option<String>,

    /// Go on until the session ends
    #[arg(short, long)]
    pub follow: bool,

    /// Only what was refused, and alarms
    #[arg(long)]
    pub denied: bool,

    /// How to print it; `json` is the lines as they are
    #[arg(long, value_enum, default_value_t = ListFormat::Text, value_name = "text|json", hide_possible_values = true)]
    pub format: ListFormat,
}

#[derive(Debug, Args)]
pub struct BuildArgs {
    /// Build the image of this agent's bottle, too
    pub agent: Option<String>,

    /// Build again what is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct ForwardArgs {
    /// The session, as `list` shows it
    pub identity: String,

    /// The server's port inside, or another one for here and then the one inside
    #[arg(required = true, value_name = "PORT[:PORT]")]
    pub ports: Vec<String>,

    /// Listen on this address instead of loopback's: whoever reaches it reaches the agent's server
    #[arg(long, value_name = "ADDRESS")]
    pub address: Option<std::net::IpAddr>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Print the JSON Schema of the manifest, and write nothing
    #[arg(long)]
    pub schema: bool,

    /// Do not ask: what is found and the defaults are the answers
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct EditArgs {
    /// The manifest that defines this agent, at its line; by default the one at home
    pub agent: Option<String>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print what was found
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
    /// Of this command, or `manifest`, `audit`, `gate`, `security`; by default of the program
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
