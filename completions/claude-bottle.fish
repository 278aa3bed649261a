# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_claude_bottle_global_optspecs
    string join \n h/help V/version
end

function __fish_claude_bottle_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_claude_bottle_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_claude_bottle_using_subcommand
    set -l cmd (__fish_claude_bottle_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -s V -l version -d 'Print version'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "start" -d 'Boot a bottle for an agent, attach its session, take everything down at the end'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "resume" -d 'Go on with a kept or lost session: new containers on the same home'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "attach" -d 'Attach this terminal to a detached session'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "list" -d 'List sessions: live, detached, kept, lost'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "exec" -d 'Run a command, by default a shell, inside a live bottle'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "info" -d 'Show what is known of a session, and ask the engine for the rest'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "work" -d 'Bring home what an agent made: look at it, fetch its commits, apply its changes'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "put" -d 'Put a file into a live bottle'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "get" -d 'Get a file out of a live bottle'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "cleanup" -d 'Remove kept sessions and whatever else of this home is left on the engine'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "check" -d 'Say whether a request of an agent\'s would pass, by which route, and as what'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "logs" -d 'Show what the gate of a session decided'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "build" -d 'Build the images that are missing'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -l cwd -d 'Copy the current directory into the workspace, without what git ignores; `all` brings that, too' -r -f -a "unignored\t'All but what git ignores'
all\t''"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -s p -l prompt -d 'The first message' -r
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -l format -d 'How a dry run prints the plan' -r -f -a "text\t''
json\t''
sh\t'A script for a POSIX shell'"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -s y -l yes -d 'Do not ask before launching'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -l headless -d 'Without a terminal: the agent gets pipes, and answers the prompt once'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -l remote-control -d 'Let the session be driven from claude.ai'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -l dry-run -d 'Print the plan and do nothing: no engine call, no file'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -s p -l prompt -d 'The first message' -r
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -l format -d 'How a dry run prints the plan' -r -f -a "text\t''
json\t''
sh\t'A script for a POSIX shell'"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -l here -d 'On the engine of this environment, from the transcript, where the session\'s own engine or volume is gone'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -s y -l yes -d 'Do not ask before launching'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -l headless -d 'Without a terminal: the agent gets pipes, and answers the prompt once'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -l remote-control -d 'Let the session be driven from claude.ai'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -l dry-run -d 'Print the plan and do nothing: no engine call, no file'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand attach" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand list" -l format -d 'How to print the list' -r -f -a "text\t''
json\t''"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand list" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand exec" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand info" -l format -d 'How to print it' -r -f -a "text\t''
json\t''"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand info" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and not __fish_seen_subcommand_from diff fetch apply" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and not __fish_seen_subcommand_from diff fetch apply" -f -a "diff" -d 'Show what is in the workspace and nowhere else'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and not __fish_seen_subcommand_from diff fetch apply" -f -a "fetch" -d 'Fetch the agent\'s commits into `refs/bottles/IDENTITY/` of the repository here'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and not __fish_seen_subcommand_from diff fetch apply" -f -a "apply" -d 'Apply the agent\'s uncommitted changes to the files here'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and __fish_seen_subcommand_from diff" -l stat -d 'Names and counts alone'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and __fish_seen_subcommand_from fetch" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and __fish_seen_subcommand_from apply" -l all -d 'Also files that run by themselves here (hooks, editor settings, CI, package scripts), without asking'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand work; and __fish_seen_subcommand_from apply" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand put" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand get" -l force -d 'Overwrite a file that is there'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand get" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -l older-than -d 'Only sessions kept for longer: `90m`, `12h`, `30d`' -r
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -l dry-run -d 'Show what would be removed, and remove nothing'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -s y -l yes -d 'Do not ask before removing; work that is nowhere else goes only where its session is named'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand check" -s H -l header -d 'A header of the request' -r
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand check" -l format -d 'How to print the answer' -r -f -a "text\t''
json\t''"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand check" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand logs" -l format -d 'How to print it; `json` is the lines as they are' -r -f -a "text\t''
json\t''"
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand logs" -s f -l follow -d 'Go on until the session ends'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand logs" -l denied -d 'Only what was refused, and alarms'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand logs" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand build" -l force -d 'Build again what is there'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand build" -s h -l help -d 'Print help'
