# Completions of claude-bottle for fish.
# Made of shell/complete.fish and the clap definition by `UPDATE=1 cargo test --test it docs`.

function __claude_bottle
    set -l what (__claude_bottle_wanted)
    set -l before $what[1]
    switch "$what[2]"
        case words
            string replace -r '^' -- "$before" $what[3..]
        case names
            command claude-bottle $what[2..] 2>/dev/null
    end
    return 0
end

function __claude_bottle_wants_files
    set -l what (__claude_bottle_wanted)
    test "$what[2]" = files
end

# What stands before it in the same word, and what is wanted there; a line each.
function __claude_bottle_wanted
    set -l words (commandline -opc)
    set -l cur (commandline -ct)
    # Variables for this one command.
    while string match -qr '^\w+=' -- $words[1]
        set -e words[1]
    end
    set -l at claude-bottle
    set -l place 0
    set -l flag
    for word in $words[2..]
        if set -q flag[1]
            set flag
        else if test "$word" = --
            # What follows is another program's.
            return
        else
            set -l next (__claude_bottle_next "$at $word")
            if string match -q -- '-*' $word
                __claude_bottle_what "$at $word" >/dev/null
                and set flag $word
            else if not set -q next[1]
                set place (math $place + 1)
            end
            set -q next[1]
            and set at $next
        end
    end
    set -l before
    if not set -q flag[1]; and string match -q -- '--*=*' $cur
        set flag (string split -m 1 = -- $cur)[1]
        set before "$flag="
        set cur (string split -m 1 = -- $cur)[2]
    end

    set -l what
    if set -q flag[1]
        set what (__claude_bottle_what "$at $flag"; or __claude_bottle_what "$at $flag=")
    else if string match -q -- '-*' $cur; or not set what (__claude_bottle_what $at/$place)
        set what (__claude_bottle_flags $at)
    end
    printf '%s\n' "$before" $what
end

# Where a word leads.
function __claude_bottle_next
    switch $argv[1]
        case 'claude-bottle approve'
            echo approve
        case 'claude-bottle attach'
            echo attach
        case 'claude-bottle build'
            echo build
        case 'claude-bottle check'
            echo check
        case 'claude-bottle cleanup'
            echo cleanup
        case 'claude-bottle dashboard'
            echo dashboard
        case 'claude-bottle detach'
            echo detach
        case 'claude-bottle doctor'
            echo doctor
        case 'claude-bottle edit'
            echo edit
        case 'claude-bottle exec'
            echo exec
        case 'claude-bottle forward'
            echo forward
        case 'claude-bottle get'
            echo get
        case 'claude-bottle git'
            echo git
        case 'git allow'
            echo 'git allow'
        case 'claude-bottle help'
            echo help
        case 'claude-bottle info'
            echo info
        case 'claude-bottle init'
            echo init
        case 'claude-bottle list'
            echo list
        case 'claude-bottle logs'
            echo logs
        case 'logs --follow' 'logs -f'
            echo 'logs --follow'
        case 'claude-bottle proposals'
            echo proposals
        case 'claude-bottle put'
            echo put
        case 'claude-bottle reject'
            echo reject
        case 'claude-bottle resume'
            echo resume
        case 'claude-bottle routes'
            echo routes
        case 'routes add'
            echo 'routes add'
        case 'routes edit'
            echo 'routes edit'
        case 'routes list'
            echo 'routes list'
        case 'routes remove'
            echo 'routes remove'
        case 'claude-bottle shell'
            echo shell
        case 'claude-bottle start'
            echo start
        case 'claude-bottle stop'
            echo stop
        case 'claude-bottle suggest'
            echo suggest
        case 'claude-bottle work'
            echo work
        case 'work apply'
            echo 'work apply'
        case 'work diff'
            echo 'work diff'
        case 'work fetch'
            echo 'work fetch'
        case 'work pull'
            echo 'work pull'
    end
end

# The flags that are there.
function __claude_bottle_flags
    switch $argv[1]
        case approve
            printf '%s\n' words --edit\t'Edit the route first; only there can a token be given' --once\t'Allow one request, within 60 seconds' --session\t'Allow until the session is removed, also after a resume (the default)' --save\t'Allow for this session, and add the route to the manifest in your home' --widen\t'Allow more: files in the same folder, everything below that folder, or reading from the whole host' --yes\t'Do not ask for confirmation' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case attach
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case build
            printf '%s\n' words --force\t'Rebuild images that exist' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case check
            printf '%s\n' words --force\t'Test a forced push, like a ref with a leading `+`' --delete\t'Test a push that deletes the refs, like a ref with a leading `:`' --header\t'A header of the request' --replay\t'Test the recorded requests of a session or an audit file: what would change?' --body\t'Also search this body for secrets: a file, or `-` for stdin' --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case claude-bottle
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help' --version\t'Print version'
        case cleanup
            printf '%s\n' words --dry-run\t'Show what would be removed, and remove nothing' --format\t'Output format of a dry run' --older-than\t'Only sessions kept for longer: `90m`, `12h`, `30d`' --yes\t'Do not ask; sessions with changes not copied back are removed only if they are named' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case dashboard
            printf '%s\n' words --once\t'Print one screen as text, and exit' --format\t'Output format; `json` prints once and exits' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case detach
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case doctor
            printf '%s\n' words --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case edit
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case exec
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case forward
            printf '%s\n' words --address\t'Listen on this address instead of localhost; everyone who can reach it can use the agent\'s server' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case get
            printf '%s\n' words --force\t'Overwrite an existing file' --yes\t'Copy more than 1 GiB without asking' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case git
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'git allow'
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case help
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case info
            printf '%s\n' words --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case init
            printf '%s\n' words --schema\t'Print the JSON Schema of the manifest, and write nothing' --yes\t'Do not ask: use what is found, and defaults' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case list
            printf '%s\n' words --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case logs
            printf '%s\n' words --follow\t'Keep printing until the session ends' --denied\t'Only blocked requests and alarms' --format\t'Output format; `json` prints the recorded lines unchanged' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'logs --follow'
            printf '%s\n' words --follow\t'Keep printing until the session ends' --denied\t'Only blocked requests and alarms' --format\t'Output format; `json` prints the recorded lines unchanged' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case proposals
            printf '%s\n' words --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case put
            printf '%s\n' words --yes\t'Copy more than 1 GiB without asking' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case reject
            printf '%s\n' words --reason\t'The reason; the agent reads it' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case resume
            printf '%s\n' words --here\t'Use the current engine and the saved transcript, if the session\'s engine or volume is gone' --yes\t'Do not ask for confirmation' --headless\t'Run without a terminal: the agent answers the prompt once, on stdout' --prompt\t'The first message to the agent' --remote-control\t'Allow the session to be controlled from claude.ai' --dry-run\t'Print the plan and exit: no engine call, no file written' --format\t'Output format of a dry run' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case routes
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'routes add'
            printf '%s\n' words --yes\t'Do not ask for confirmation' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'routes edit'
            printf '%s\n' words --yes\t'Do not ask for confirmation' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'routes list'
            printf '%s\n' words --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'routes remove'
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case shell
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case start
            printf '%s\n' words --cwd\t'Copy the current directory into the workspace, except what git ignores; `all` copies everything' --allow\t'Also allow these requests in this session; can be repeated' --yes\t'Do not ask for confirmation' --headless\t'Run without a terminal: the agent answers the prompt once, on stdout' --prompt\t'The first message to the agent' --remote-control\t'Allow the session to be controlled from claude.ai' --dry-run\t'Print the plan and exit: no engine call, no file written' --format\t'Output format of a dry run' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case stop
            printf '%s\n' words --all\t'All sessions that run, after a question' --yes\t'Do not ask before stopping all' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case suggest
            printf '%s\n' words --since\t'What was blocked in this time, in all sessions or in this agent\'s: `90m`, `12h`, `7d`' --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case work
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'work apply'
            printf '%s\n' words --all\t'Also copy files that tools run automatically (hidden, build, CI, agent and editor files, programs, links)' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'work diff'
            printf '%s\n' words --stat\t'Only names and counts' --commits\t'Also what each commit and stash changes' --format\t'Output format' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'work fetch'
            printf '%s\n' words --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
        case 'work pull'
            printf '%s\n' words --all\t'Also copy files that tools run automatically (hidden, build, CI, agent and editor files, programs, links)' --yes\t'Do not ask before merging' --quiet\t'Print only errors, prompts and requested output' --verbose\t'Print each engine command before it runs, ready to paste' --timings\t'Print how long each step took' --color\t'When to use colour in messages' --help\t'Print help'
    end
end

# What may stand at a place, or behind a flag.
function __claude_bottle_what
    switch $argv[1]
        case 'check --body' 'check --replay' get/2 put/1
            printf '%s\n' files
        case approve/0 'check --header' 'check -H' 'cleanup --older-than' 'forward --address' get/1 put/2 'reject --reason' reject/0 'resume --prompt' 'resume -p' 'routes add/1' 'routes remove/1' 'start --allow' 'start --prompt' 'start -p' 'suggest --since' 'work apply/1' 'work diff/1' 'work fetch/1' 'work pull/1'
            printf '%s\n' free
        case build/0 check/0 edit/0 start/0
            printf '%s\n' names agents
        case attach/0
            printf '%s\n' names detached
        case detach/0
            printf '%s\n' names live
        case resume/0
            printf '%s\n' names resting
        case exec/0 forward/0 get/0 'git allow/0' 'logs --follow/0' put/0
            printf '%s\n' names running
        case logs/0 proposals/0 'routes add/0' 'routes edit/0' 'routes list/0' 'routes remove/0' 'work apply/0' 'work diff/0' 'work fetch/0' 'work pull/0'
            printf '%s\n' names sessions
        case info/0 suggest/0
            printf '%s\n' names sessions agents
        case git/0
            printf '%s\n' words allow\t'Allow the next push of these commits, despite what was found in them'
        case shell/0
            printf '%s\n' words bash zsh fish
        case work/0
            printf '%s\n' words diff\t'Show changes that are not copied back yet' fetch\t'Fetch the agent\'s commits into `refs/bottles/IDENTITY/` of the repository here' apply\t'Apply the agent\'s uncommitted changes to the files here' pull\t'Fetch the agent\'s commits, merge them into the branch here, and apply its uncommitted changes'
        case 'approve --widen'
            printf '%s\n' words folder tree host
        case routes/0
            printf '%s\n' words list\t'Show the routes that were added to a session, and the bottle\'s own' add\t'Add a route to a session' remove\t'Remove an added route' edit\t'Edit the added routes'
        case claude-bottle/0 help/0
            printf '%s\n' words start\t'Run an agent in a new sandbox, in this terminal' resume\t'Continue a session that ended or crashed' attach\t'Attach this terminal to a detached session' detach\t'Detach a session from the terminal that it is attached to' stop\t'Stop sessions that run, and keep them' list\t'List sessions: live, detached, kept, lost' exec\t'Run a command, or a shell, in a running session' info\t'Show the details of a session or an agent' work\t'Review and copy back the agent\'s changes' put\t'Copy a file into a running session' get\t'Copy a file out of a running session' git\t'Allow commits that were refused in a push' dashboard\t'Show all sessions on one screen, and answer what agents ask for' proposals\t'List what agents ask for, and what was blocked' approve\t'Allow what an agent asked for, or what was blocked' reject\t'Reject what an agent asked for' routes\t'Show or change the routes that were added to a session' cleanup\t'Remove kept sessions, and leftovers on the engine' check\t'Test whether a request would be allowed, and by which rule' logs\t'Show a session\'s allowed and blocked requests' suggest\t'Print the routes that would allow what was blocked' build\t'Build missing images' forward\t'Forward a port inside to localhost' init\t'Create a manifest' edit\t'Edit the manifest, and check it' doctor\t'Check this machine and the manifest, and print how to fix problems' shell\t'Print shell integration: completions, a prompt, a short form' help\t'Show the manual page of a command'
        case 'check --format' 'cleanup --format' 'dashboard --format' 'doctor --format' 'info --format' 'list --format' 'logs --follow --format' 'logs --format' 'proposals --format' 'routes list --format' 'suggest --format' 'work diff --format'
            printf '%s\n' words text json
        case 'resume --format' 'start --format'
            printf '%s\n' words text json sh\t'A script for a POSIX shell'
        case 'start --cwd='
            printf '%s\n' words unignored\t'All but what git ignores' all
        case 'check/*' 'claude-bottle/*' 'exec/*' 'forward/*' 'git allow/*' 'git/*' 'help/*' 'routes/*' 'work/*'
            printf '%s\n' free
        case 'cleanup/*'
            printf '%s\n' names resting
        case 'stop/*'
            printf '%s\n' names running
        case '* --color'
            printf '%s\n' words auto\t'On a terminal, without NO_COLOR' always never
        case '*'
            return 1
    end
    return 0
end

# Once, whoever has it twice.
complete -c claude-bottle -e
complete -c claude-bottle -f -a '(__claude_bottle)'
# The shell's own completion knows quotes, `~` and variables.
complete -c claude-bottle -n __claude_bottle_wants_files -F
