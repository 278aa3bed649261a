# Completions of claude-bottle for bash.
# Made of shell/complete.bash and the clap definition by `UPDATE=1 cargo test --test it docs`.

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
        'claude-bottle approve')
            at='approve'
            ;;
        'claude-bottle attach')
            at='attach'
            ;;
        'claude-bottle build')
            at='build'
            ;;
        'claude-bottle check')
            at='check'
            ;;
        'claude-bottle cleanup')
            at='cleanup'
            ;;
        'claude-bottle dashboard')
            at='dashboard'
            ;;
        'claude-bottle detach')
            at='detach'
            ;;
        'claude-bottle doctor')
            at='doctor'
            ;;
        'claude-bottle edit')
            at='edit'
            ;;
        'claude-bottle exec')
            at='exec'
            ;;
        'claude-bottle forward')
            at='forward'
            ;;
        'claude-bottle get')
            at='get'
            ;;
        'claude-bottle git')
            at='git'
            ;;
        'git allow')
            at='git allow'
            ;;
        'claude-bottle help')
            at='help'
            ;;
        'claude-bottle info')
            at='info'
            ;;
        'claude-bottle init')
            at='init'
            ;;
        'claude-bottle list')
            at='list'
            ;;
        'claude-bottle logs')
            at='logs'
            ;;
        'logs --follow' | 'logs -f')
            at='logs --follow'
            ;;
        'claude-bottle proposals')
            at='proposals'
            ;;
        'claude-bottle put')
            at='put'
            ;;
        'claude-bottle reject')
            at='reject'
            ;;
        'claude-bottle resume')
            at='resume'
            ;;
        'claude-bottle routes')
            at='routes'
            ;;
        'routes add')
            at='routes add'
            ;;
        'routes edit')
            at='routes edit'
            ;;
        'routes list')
            at='routes list'
            ;;
        'routes remove')
            at='routes remove'
            ;;
        'claude-bottle shell')
            at='shell'
            ;;
        'claude-bottle start')
            at='start'
            ;;
        'claude-bottle stop')
            at='stop'
            ;;
        'claude-bottle suggest')
            at='suggest'
            ;;
        'claude-bottle work')
            at='work'
            ;;
        'work apply')
            at='work apply'
            ;;
        'work diff')
            at='work diff'
            ;;
        'work fetch')
            at='work fetch'
            ;;
        'work pull')
            at='work pull'
            ;;
        *)
            return 1
            ;;
    esac
}

# The flags that are there.
_claude_bottle_flags() {
    case $at in
        approve)
            what=(words --edit --once --session --save --widen --yes --quiet --verbose --timings --color --help)
            ;;
        attach)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        build)
            what=(words --force --quiet --verbose --timings --color --help)
            ;;
        check)
            what=(words --force --delete --header --replay --body --format --quiet --verbose --timings --color --help)
            ;;
        claude-bottle)
            what=(words --quiet --verbose --timings --color --help --version)
            ;;
        cleanup)
            what=(words --dry-run --format --older-than --yes --quiet --verbose --timings --color --help)
            ;;
        dashboard)
            what=(words --once --format --quiet --verbose --timings --color --help)
            ;;
        detach)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        doctor)
            what=(words --format --quiet --verbose --timings --color --help)
            ;;
        edit)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        exec)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        forward)
            what=(words --address --quiet --verbose --timings --color --help)
            ;;
        get)
            what=(words --force --yes --quiet --verbose --timings --color --help)
            ;;
        git)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        'git allow')
            what=(words --quiet --verbose --timings --color --help)
            ;;
        help)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        info)
            what=(words --format --quiet --verbose --timings --color --help)
            ;;
        init)
            what=(words --schema --yes --quiet --verbose --timings --color --help)
            ;;
        list)
            what=(words --format --quiet --verbose --timings --color --help)
            ;;
        logs)
            what=(words --follow --denied --format --quiet --verbose --timings --color --help)
            ;;
        'logs --follow')
            what=(words --follow --denied --format --quiet --verbose --timings --color --help)
            ;;
        proposals)
            what=(words --format --quiet --verbose --timings --color --help)
            ;;
        put)
            what=(words --yes --quiet --verbose --timings --color --help)
            ;;
        reject)
            what=(words --reason --quiet --verbose --timings --color --help)
            ;;
        resume)
            what=(words --here --yes --headless --prompt --remote-control --dry-run --format --quiet --verbose --timings --color --help)
            ;;
        routes)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        'routes add')
            what=(words --yes --quiet --verbose --timings --color --help)
            ;;
        'routes edit')
            what=(words --yes --quiet --verbose --timings --color --help)
            ;;
        'routes list')
            what=(words --format --quiet --verbose --timings --color --help)
            ;;
        'routes remove')
            what=(words --quiet --verbose --timings --color --help)
            ;;
        shell)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        start)
            what=(words --cwd --allow --yes --headless --prompt --remote-control --dry-run --format --quiet --verbose --timings --color --help)
            ;;
        stop)
            what=(words --all --yes --quiet --verbose --timings --color --help)
            ;;
        suggest)
            what=(words --since --format --quiet --verbose --timings --color --help)
            ;;
        work)
            what=(words --quiet --verbose --timings --color --help)
            ;;
        'work apply')
            what=(words --all --quiet --verbose --timings --color --help)
            ;;
        'work diff')
            what=(words --stat --commits --format --quiet --verbose --timings --color --help)
            ;;
        'work fetch')
            what=(words --quiet --verbose --timings --color --help)
            ;;
        'work pull')
            what=(words --all --yes --quiet --verbose --timings --color --help)
            ;;
    esac
}

# What may stand at a place, or behind a flag.
_claude_bottle_what() {
    case $1 in
        'check --body' | 'check --replay' | get/2 | put/1)
            what=(files)
            ;;
        approve/0 | 'check --header' | 'check -H' | 'cleanup --older-than' | 'forward --address' | get/1 | put/2 | 'reject --reason' | reject/0 | 'resume --prompt' | 'resume -p' | 'routes add/1' | 'routes remove/1' | 'start --allow' | 'start --prompt' | 'start -p' | 'suggest --since' | 'work apply/1' | 'work diff/1' | 'work fetch/1' | 'work pull/1')
            what=(free)
            ;;
        build/0 | check/0 | edit/0 | start/0)
            what=(names agents)
            ;;
        attach/0)
            what=(names detached)
            ;;
        detach/0)
            what=(names live)
            ;;
        resume/0)
            what=(names resting)
            ;;
        exec/0 | forward/0 | get/0 | 'git allow/0' | 'logs --follow/0' | put/0)
            what=(names running)
            ;;
        logs/0 | proposals/0 | 'routes add/0' | 'routes edit/0' | 'routes list/0' | 'routes remove/0' | 'work apply/0' | 'work diff/0' | 'work fetch/0' | 'work pull/0')
            what=(names sessions)
            ;;
        info/0 | suggest/0)
            what=(names sessions agents)
            ;;
        git/0)
            what=(words allow)
            ;;
        shell/0)
            what=(words bash zsh fish)
            ;;
        work/0)
            what=(words diff fetch apply pull)
            ;;
        'approve --widen')
            what=(words folder tree host)
            ;;
        routes/0)
            what=(words list add remove edit)
            ;;
        claude-bottle/0 | help/0)
            what=(words start resume attach detach stop list exec info work put get git dashboard proposals approve reject routes cleanup check logs suggest build forward init edit doctor shell help)
            ;;
        'check --format' | 'cleanup --format' | 'dashboard --format' | 'doctor --format' | 'info --format' | 'list --format' | 'logs --follow --format' | 'logs --format' | 'proposals --format' | 'routes list --format' | 'suggest --format' | 'work diff --format')
            what=(words text json)
            ;;
        'resume --format' | 'start --format')
            what=(words text json sh)
            ;;
        'start --cwd=')
            what=(words unignored all)
            ;;
        check/* | claude-bottle/* | exec/* | forward/* | 'git allow/'* | git/* | help/* | routes/* | work/*)
            what=(free)
            ;;
        cleanup/*)
            what=(names resting)
            ;;
        stop/*)
            what=(names running)
            ;;
        *' --color')
            what=(words auto always never)
            ;;
        *)
            return 1
            ;;
    esac
}

complete -F _claude_bottle claude-bottle
