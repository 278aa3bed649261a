#compdef claude-bottle
# Completions of claude-bottle for zsh.
# {made}

_claude-bottle() {
    local at=claude-bottle flag= cur=${words[CURRENT]} word line
    local -a what offers
    integer place=0
    for word in "${(@)words[2,CURRENT-1]}"; do
        if [[ -n $flag ]]; then
            flag=
        elif [[ $word == -- ]]; then
            # What follows is another program's.
            return 1
        elif [[ $word == -* ]]; then
            _claude-bottle-what "$at $word" && flag=$word
            _claude-bottle-next "$word"
        else
            _claude-bottle-next "$word" || (( place += 1 ))
        fi
    done
    if [[ -z $flag && $cur == --*=* ]]; then
        flag=${cur%%=*}
        compset -P '*='
    fi

    what=()
    if [[ -n $flag ]]; then
        _claude-bottle-what "$at $flag" || _claude-bottle-what "$at $flag=" || return
    elif [[ $cur == -* ]] || ! _claude-bottle-what $at/$place; then
        _claude-bottle-flags
    fi
    offers=("${(@)what[2,-1]}")
    case ${what[1]-} in
        words) _describe word offers ;;
        files) _files ;;
        names)
            offers=()
            for line in "${(@f)$(command claude-bottle $what 2>/dev/null)}"; do
                [[ -z $line ]] || offers+=(${line/$'\t'/:})
            done
            _describe name offers
            ;;
    esac
}

# Where a word leads.
_claude-bottle-next() {
    case "$at $1" in
        # {next}
        *)
            return 1
            ;;
    esac
}

# The flags that are there.
_claude-bottle-flags() {
    case $at in
        # {flags}
    esac
}

# What may stand at a place, or behind a flag.
_claude-bottle-what() {
    case $1 in
        # {what}
        *)
            return 1
            ;;
    esac
}

# Loaded by the completion system, this file is the function's first call.
[[ ${funcstack[1]-} != _claude-bottle ]] || _claude-bottle "$@"
