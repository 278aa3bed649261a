# claude-bottle in bash; completions stand before this. In ~/.bashrc: eval "$(claude-bottle shell bash)"
# CLAUDE_BOTTLE_PROMPT, set before: `left` or `right` (bash has no right prompt: the same) show what runs.

# The short form, where nothing else has its name.
type cb >/dev/null 2>&1 || alias cb=claude-bottle
[[ ${BASH_ALIASES[cb]-} != claude-bottle ]] || complete -F _claude_bottle cb

# For a prompt of your own: `cb:2 !1` for two bottles that run and one question that waits; nothing where nothing does.
claude_bottle_segment() {
    local REPLY
    __claude_bottle_read
    printf '%s' "$REPLY"
}

# The same into REPLY, without a process. Of the file, only digits are taken.
__claude_bottle_read() {
    local file=${CLAUDE_BOTTLE_HOME:-${HOME-}/.claude-bottle}/prompt live='' detached='' pending=''
    REPLY=
    [[ -f $file && -r $file ]] || return 0
    IFS=' ' read -r live detached pending <"$file" || return 0
    [[ -n $live && -n $detached && -n $pending ]] || return 0
    # Ranges mean more than ten digits in some locales.
    [[ $live$detached$pending != *[!0123456789]* ]] || return 0
    ((${#live} < 7 && ${#detached} < 7 && ${#pending} < 7)) || return 0
    live=$((10#$live + 10#$detached)) pending=$((10#$pending))
    ((live == 0)) || REPLY=cb:$live
    ((pending == 0)) || REPLY+=${REPLY:+ }!$pending
}

# Before each prompt. Whatever made PS1 anew is added to again; what it says is looked up when it is shown.
__claude_bottle_hook() {
    local last=$? REPLY
    __claude_bottle_read
    __claude_bottle_shown=${REPLY:+$REPLY }
    # shellcheck disable=SC2016 # not now
    if shopt -q promptvars && [[ ${PS1-} != *'${__claude_bottle_shown-}'* ]]; then
        PS1='${__claude_bottle_shown-}'${PS1-}
    fi
    return "$last"
}

case ${CLAUDE_BOTTLE_PROMPT-},${PROMPT_COMMAND[*]-} in
    *,*__claude_bottle_hook*) ;;
    left,* | right,*)
        if ((BASH_VERSINFO[0] > 5 || (BASH_VERSINFO[0] == 5 && BASH_VERSINFO[1] > 0))); then
            PROMPT_COMMAND+=(__claude_bottle_hook)
        else
            # No array yet. A line of its own: what stands there may end with a semicolon.
            # shellcheck disable=SC2128,SC2178
            PROMPT_COMMAND=${PROMPT_COMMAND:+$PROMPT_COMMAND$'\n'}__claude_bottle_hook
        fi
        ;;
esac
