# Completions of claude-bottle for bash.
# {made}

_claude_bottle() {
    local at=claude-bottle place=0 flag='' before='' cur=${COMP_WORDS[COMP_CWORD]-}
    local word name i what=() offers=()
    COMPREPLY=()
    # `--flag=value` is three words, unless the user says otherwise in COMP_WORDBREAKS.
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $word == = ]]; then
            flag=${COMP_WORDS[i - 1]}
        elif [[ $flag ]]; then
            flag=
        elif [[ $word == -- ]]; then
            # What follows is another program's.
            return 0
        elif [[ $word == -* ]]; then
            ! _claude_bottle_what "$at $word" || flag=$word
            _claude_bottle_next "$word" || :
        elif ! _claude_bottle_next "$word"; then
            place=$((place + 1))
        fi
    done
    if [[ $cur == = ]]; then
        flag=${COMP_WORDS[COMP_CWORD - 1]} cur=
    elif [[ $cur == --*=* && ! $flag ]]; then
        flag=${cur%%=*} before=${cur%%=*}= cur=${cur#*=}
    fi

    if [[ $flag ]]; then
        _claude_bottle_what "$at $flag" || _claude_bottle_what "$at $flag=" || return 0
    elif [[ $cur == -* ]] || ! _claude_bottle_what "$at/$place"; then
        _claude_bottle_flags
    fi
    case ${what[0]-} in
        words)
            offers=("${what[@]:1}")
            ;;
        names)
            while IFS=$'\t' read -r name _; do
                offers+=("$name")
            done < <(command claude-bottle "${what[@]}" 2>/dev/null)
            ;;
        files)
            # The shell's own completion knows quotes, `~` and variables; of a word with a flag in it, it knows no file.
            if [[ ! $before ]]; then
                compopt -o default 2>/dev/null
                return 0
            fi
            compopt -o filenames 2>/dev/null
            while IFS= read -r name; do
                offers+=("$name")
            done < <(compgen -f -- "$cur")
            ;;
    esac
    for word in ${offers[@]+"${offers[@]}"}; do
        [[ $word != "$cur"* ]] || COMPREPLY+=("$before$word")
    done
}

# Where a word leads.
_claude_bottle_next() {
    case "$at $1" in
        # {next}
        *)
            return 1
            ;;
    esac
}

# The flags that are there.
_claude_bottle_flags() {
    case $at in
        # {flags}
    esac
}

# What may stand at a place, or behind a flag.
_claude_bottle_what() {
    case $1 in
        # {what}
        *)
            return 1
            ;;
    esac
}

complete -F _claude_bottle claude-bottle
