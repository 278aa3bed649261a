# Completions of claude-bottle for fish.
# Made of shell/complete.fish and the clap definition by `UPDATE=1 cargo test --test it docs`.

function __claude_bottle
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
    switch "$what[1]"
        case words
            string replace -r '^' -- "$before" $what[2..]
        case names
            command claude-bottle $what 2>/dev/null
        case files
            string replace -r '^' -- "$before" (__fish_complete_path $cur)
    end
    return 0
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
            printf '%s\n' words --edit\t'Change the route in your editor first; a token can be given only there' --once\t'For one request, within a minute' --session\t'Until the session is removed, resumes included; what is done without `--once` and `--save`' --save\t'For the session, and write the route into the manifest at home' --widen\t'A step wider: the names beside the path\'s last one, all beneath its folder, or all that can be read of the host' --yes\t'Do not ask' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case attach
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case build
            printf '%s\n' words --force\t'Build again what is there' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case check
            printf '%s\n' words --force\t'Judge a push that takes commits away, like a ref with `+` before it' --delete\t'Judge a push that deletes the refs, like a ref with `:` before it' --header\t'A header of the request' --replay\t'Judge the recorded requests of a session, or of a file of audit lines: what would change?' --body\t'Search the request with this body, a file or `-` for stdin, for what must not leave' --format\t'How to print the answer' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case claude-bottle
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help' --version\t'Print version'
        case cleanup
            printf '%s\n' words --dry-run\t'Show what would be removed, and remove nothing' --format\t'How a dry run prints what would go' --older-than\t'Only sessions kept for longer: `90m`, `12h`, `30d`' --yes\t'Do not ask before removing; work that is nowhere else goes only where its session is named' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case dashboard
            printf '%s\n' words --once\t'Print it once as text, whole, and end' --format\t'How to print it; `json` prints it once' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case detach
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case doctor
            printf '%s\n' words --format\t'How to print what was found' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case edit
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case exec
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case forward
            printf '%s\n' words --address\t'Listen on this address instead of loopback\'s: whoever reaches it reaches the agent\'s server' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case get
            printf '%s\n' words --force\t'Overwrite a file that is there' --yes\t'Copy more than 1 GiB without asking' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case git
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'git allow'
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case help
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case info
            printf '%s\n' words --format\t'How to print it' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case init
            printf '%s\n' words --schema\t'Print the JSON Schema of the manifest, and write nothing' --yes\t'Do not ask: what is found and the defaults are the answers' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case list
            printf '%s\n' words --format\t'How to print the list' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case logs
            printf '%s\n' words --follow\t'Go on until the session ends' --denied\t'Only what was refused, and alarms' --format\t'How to print it; `json` is the lines as they are' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'logs --follow'
            printf '%s\n' words --follow\t'Go on until the session ends' --denied\t'Only what was refused, and alarms' --format\t'How to print it; `json` is the lines as they are' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case proposals
            printf '%s\n' words --format\t'How to print them' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case put
            printf '%s\n' words --yes\t'Copy more than 1 GiB without asking' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case reject
            printf '%s\n' words --reason\t'Why, in words for the agent' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case resume
            printf '%s\n' words --here\t'On the engine of this environment, from the transcript, where the session\'s own engine or volume is gone' --yes\t'Do not ask before launching' --headless\t'Without a terminal: the agent gets pipes, and answers the prompt once' --prompt\t'The first message' --remote-control\t'Let the session be driven from claude.ai' --dry-run\t'Print the plan and do nothing: no engine call, no file' --format\t'How a dry run prints the plan' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case routes
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'routes add'
            printf '%s\n' words --yes\t'Do not ask' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'routes edit'
            printf '%s\n' words --yes\t'Do not ask' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'routes list'
            printf '%s\n' words --format\t'How to print them' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'routes remove'
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case shell
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case start
            printf '%s\n' words --cwd\t'Copy the current directory into the workspace, without what git ignores; `all` brings that, too' --allow\t'Let these requests pass in this session, beside what its bottle allows; may be given more than once' --yes\t'Do not ask before launching' --headless\t'Without a terminal: the agent gets pipes, and answers the prompt once' --prompt\t'The first message' --remote-control\t'Let the session be driven from claude.ai' --dry-run\t'Print the plan and do nothing: no engine call, no file' --format\t'How a dry run prints the plan' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case stop
            printf '%s\n' words --all\t'All sessions that run, after a question' --yes\t'Do not ask before stopping all' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case suggest
            printf '%s\n' words --since\t'What was refused in this time, in all sessions on disk or in this agent\'s: `90m`, `12h`, `7d`' --format\t'How to print them' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case work
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'work apply'
            printf '%s\n' words --all\t'Also files that run by themselves here (hidden, build, CI, agent and editor files, programs, links), without asking' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'work diff'
            printf '%s\n' words --stat\t'Names and counts alone' --commits\t'Also what each commit and stash changes' --format\t'How to print the counts' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'work fetch'
            printf '%s\n' words --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
        case 'work pull'
            printf '%s\n' words --all\t'Also files that run by themselves here (hidden, build, CI, agent and editor files, programs, links), without asking' --yes\t'Do not ask before merging' --quiet\t'Say nothing but errors, questions and what was asked for' --verbose\t'Show each engine call before it is made, as it can be typed' --timings\t'Say at the end what took how long' --color\t'When messages have colour' --help\t'Print help'
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
            printf '%s\n' words allow\t'Let the next push bring these commits, although something was found in them'
        case shell/0
            printf '%s\n' words bash zsh fish
        case work/0
            printf '%s\n' words diff\t'Show what is in the workspace and nowhere else' fetch\t'Fetch the agent\'s commits into `refs/bottles/IDENTITY/` of the repository here' apply\t'Apply the agent\'s uncommitted changes to the files here' pull\t'Fetch the agent\'s commits, merge them into the branch here, and apply its uncommitted changes'
        case 'approve --widen'
            printf '%s\n' words folder tree host
        case routes/0
            printf '%s\n' words list\t'Show the routes that were added to a session, and the bottle\'s own' add\t'Add a route to a session' remove\t'Take a route back that was added' edit\t'Change the added routes in your editor'
        case claude-bottle/0 help/0
            printf '%s\n' words start\t'Boot a bottle for an agent, attach its session, take everything down at the end' resume\t'Go on with a kept or lost session: new containers on the same home' attach\t'Attach this terminal to a detached session' detach\t'Detach a session from the terminal that it is attached to' stop\t'Stop sessions that run, and keep them' list\t'List sessions: live, detached, kept, lost' exec\t'Run a command, by default a shell, inside a live bottle' info\t'Show what is known of a session, and ask the engine for the rest' work\t'Bring home what an agent made: look at it, fetch its commits, apply its changes' put\t'Put a file into a live bottle' get\t'Get a file out of a live bottle' git\t'Let commits pass that a push was refused for' dashboard\t'Show all bottles on one screen, and decide what their agents ask for' proposals\t'Show what agents ask for, and what was refused' approve\t'Let pass what an agent asks for, or what was refused' reject\t'Tell an agent that it does not get what it asks for' routes\t'Show and change the routes that were added to a session' cleanup\t'Remove kept sessions and whatever else of this home is left on the engine' check\t'Say whether a request of an agent\'s would pass, by which route, and as what' logs\t'Show what the gate of a session decided' suggest\t'Print the routes that would have let pass what was refused' build\t'Build the images that are missing' forward\t'Bring a server of an agent\'s to this machine\'s loopback' init\t'Write a manifest to begin with' edit\t'Open the manifest in your editor, and check it on close' doctor\t'Look whether everything that is needed is there, and say what to type' shell\t'Print what a shell needs: completions, a prompt, a short form' help\t'Open the manual of a command'
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
