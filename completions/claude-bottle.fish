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
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "cleanup" -d 'Remove kept sessions and whatever else of this home is left on the engine'
complete -c claude-bottle -n "__fish_claude_bottle_needs_command" -f -a "build" -d 'Build the images that are missing'
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
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -s y -l yes -d 'Do not ask before removing'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand cleanup" -s h -l help -d 'Print help'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand build" -l force -d 'Build again what is there'
complete -c claude-bottle -n "__fish_claude_bottle_using_subcommand build" -s h -l help -d 'Print help'
