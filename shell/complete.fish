# Completions of claude-bottle for fish.
# {made}

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
        # {next}
    end
end

# The flags that are there.
function __claude_bottle_flags
    switch $argv[1]
        # {flags}
    end
end

# What may stand at a place, or behind a flag.
function __claude_bottle_what
    switch $argv[1]
        # {what}
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
