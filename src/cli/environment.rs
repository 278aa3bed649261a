//! The environment variables that the program reads: one definition for the manual and the README. A test holds that
//! every variable that is read is here, and no other.

/// Environment variables that are documented together. Text in backticks is shown as it is typed.
pub struct Variable {
    pub names: &'static [&'static str],
    /// One or two lines, for README and manual.
    pub short: &'static str,
    /// What only the manual says.
    pub more: &'static str,
}

pub const VARIABLES: [Variable; 23] = [
    Variable {
        names: &["CLAUDE_BOTTLE_HOME"],
        short: "The folder of manifest and state, by default `~/.claude-bottle`.",
        more: "",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_DRY_RUN"],
        short: "Set to anything but 0: `start` and `resume` only print their plan, as with `--dry-run`.",
        more: "",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_DOCKER"],
        short: "The engine's program, by default `docker`.",
        more: "`podman` works, too (4.3 was tried): a route's `host-gateway` needs podman 4.7, and an end for want of \
               memory may be called killed.",
    },
    Variable { names: &["CLAUDE_BOTTLE_BACKEND"], short: "The kind of engine; there is one: `docker`.", more: "" },
    Variable {
        names: &["CLAUDE_BOTTLE_BASE_IMAGE"],
        short: "What the images of agent and gate are built from, by default `debian:trixie-slim`.",
        more: "",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_GATE"],
        short: "The static gate program that goes into the images, by default \
                `../libexec/claude-bottle/claude-bottle-gate-ARCHITECTURE` beside this one.",
        more: "",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_UPSTREAM_CA"],
        short: "A PEM file of the roots that the gate trusts for upstreams and that image builds trust, by default the \
                host's own bundle.",
        more: "",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_UPSTREAM_PROXY"],
        short: "`http://[user:password@]host:port` of a proxy that traffic from the gate takes, but for routes that are \
                `private` or say `\"proxy\": false`; also `https://` and `socks5h://`.",
        more: "A proxy for HTTP takes CONNECT, and plain HTTP by absolute addresses; many connect to no port but 443. No other \
               proxy variable is looked at. Behind a proxy the check that a name does not lead to a private address is the \
               proxy's.",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_NO_PROXY"],
        short: "Upstreams that are reached past that proxy, with commas between: names and all names below them, \
                `.suffixes`, addresses, networks as `10.0.0.0/8`, each also with a port, or `*`.",
        more: "As the routes have them: no name is resolved for it. The gate checks where these names lead.",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_DETACH_KEYS"],
        short: "The keys that detach the terminal from the agent, by default `ctrl-],d`.",
        more: "Characters and `ctrl-` with a character, with commas between, as for the engine's own program. Terminals send \
               for Ctrl-5 what they send for Ctrl-], so that both detach, on every keyboard.",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_READER_TIMEOUT"],
        short: "Seconds for one answer about a session's home (`work`, `info`, `cleanup`), by default 300.",
        more: "What is waited for the reader counts, and each 64 KiB of its answer is worth a second more. Then its \
               container is removed.",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_PROMPT"],
        short: "`left` or `right`: where a shell that evaluates `claude-bottle shell` shows what runs.",
        more: "See claude-bottle-shell(1).",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_NOTIFY"],
        short: "What tells you that an agent asks for something: `bell`, `osc9`, `osc777`, or a command.",
        more: "The command runs once for each proposal while a terminal is attached, and ends with the session. `bell`, and the \
               notifications `osc9` and `osc777` of terminals that know them, are written to the terminal that the agent \
               draws on, and to that of a dashboard that is open.",
    },
    Variable {
        names: &["CLAUDE_BOTTLE_IDENTITY", "CLAUDE_BOTTLE_KIND", "CLAUDE_BOTTLE_ID"],
        short: "Set for that command: the session, what is asked for (`egress`, `packages` or `git`), and its id.",
        more: "",
    },
    Variable {
        names: &["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"],
        short: "Which engine, as for the engine's own program.",
        more: "The engine is recorded with a session; later verbs on it use that engine, whatever these say.",
    },
    Variable {
        names: &["DOCKER_DEFAULT_PLATFORM"],
        short: "As for the engine's own program; `doctor` says where it is not the engine's.",
        more: "",
    },
    Variable {
        names: &["CONTAINER_HOST", "CONTAINER_CONNECTION"],
        short: "The same where `CLAUDE_BOTTLE_DOCKER` names podman.",
        more: "",
    },
    Variable {
        names: &["TERM", "COLORTERM", "TZ"],
        short: "Passed to the agent.",
        more: "Its locale is always C.UTF-8, the one that the image has.",
    },
    Variable {
        names: &["VISUAL", "EDITOR"],
        short: "What `edit`, `approve --edit` and `routes edit` open, by default `vi`.",
        more: "",
    },
    Variable {
        names: &["PATH", "SHELL", "ZDOTDIR", "PASSWORD_STORE_DIR"],
        short: "Where `init` and `doctor` look for programs, the shell's own file, and entries of `pass`.",
        more: "",
    },
    Variable {
        names: &["SSH_CONNECTION"],
        short: "Written down with a decision about a session: where the person who decided came from.",
        more: "",
    },
    Variable { names: &["SUDO_UID"], short: "Whose repositories root uses, as for git.", more: "" },
    Variable {
        names: &["NO_COLOR"],
        short: "Set and not empty: no colour, unless `--color` says otherwise.",
        more: "",
    },
];
