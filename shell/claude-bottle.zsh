# claude-bottle in zsh; completions stand before this. In ~/.zshrc: eval "$(claude-bottle shell zsh)"
# CLAUDE_BOTTLE_PROMPT, set before: `left` or `right` shows what runs in PROMPT or RPROMPT.

# For a prompt of your own: `cb:2 !1` for two bottles that run and one question that waits; nothing where nothing does.
claude_bottle_segment() {
    local REPLY
    __claude_bottle_read
    print -rn -- "$REPLY"
}

# The same into REPLY, without a process. Of the file, only digits are taken.
__claude_bottle_read() {
    emulate -L zsh
    local file=${CLAUDE_BOTTLE_HOME:-${HOME-}/.claude-bottle}/prompt live= detached= pending=
    REPLY=
    [[ -f $file && -r $file ]] || return 0
    IFS=' ' read -r live detached pending <$file || return 0
    [[ -n $live && -n $detached && -n $pending ]] || return 0
    # Ranges mean more than ten digits in some locales.
    [[ $live$detached$pending != *[^0123456789]* ]] || return 0
    (( $#live < 7 && $#detached < 7 && $#pending < 7 )) || return 0
    live=$(( 10#$live + 10#$detached )) pending=$(( 10#$pending ))
    (( live == 0 )) || REPLY=cb:$live
    (( pending == 0 )) || REPLY+="${REPLY:+ }!$pending"
}

# Before each prompt. `%77v` is an element of psvar that nobody uses: nothing in it is expanded, with PROMPT_SUBST or
# without. Whatever made the prompt anew is added to again.
__claude_bottle_hook() {
    emulate -L zsh
    local REPLY
    __claude_bottle_read
    psvar[77]=$REPLY
    case ${CLAUDE_BOTTLE_PROMPT-},${PROMPT-},${RPROMPT-} in
        (left,*%77v*,*|right,*,*%77v*) ;;
        (left,*) PROMPT='%(77V.%77v .)'${PROMPT-} ;;
        (right,*) RPROMPT='%(77V.%77v .)'${RPROMPT-} ;;
    esac
}

# Once the completion system is there, which may be set up after this, or never.
__claude_bottle_complete() {
    emulate -L zsh
    (( $+functions[compdef] )) || return 0
    compdef _claude-bottle claude-bottle
    # With COMPLETE_ALIASES, an alias has completions of its own.
    [[ ${aliases[cb]-} != claude-bottle ]] || compdef _claude-bottle cb
    precmd_functions=(${precmd_functions:#__claude_bottle_complete})
}

() {
    emulate -L zsh
    # The short form, where nothing else has its name.
    (( $+commands[cb] || $+functions[cb] || $+aliases[cb] || $+builtins[cb] )) || alias cb=claude-bottle
    typeset -ga precmd_functions
    precmd_functions=(${precmd_functions:#__claude_bottle_*} __claude_bottle_complete)
    [[ ${CLAUDE_BOTTLE_PROMPT-} != (left|right) ]] || precmd_functions+=(__claude_bottle_hook)
}
