# claude-bottle in fish; completions stand before this. In config.fish: claude-bottle shell fish | source
# CLAUDE_BOTTLE_PROMPT, set before: `left` or `right` shows what runs beside fish_prompt or fish_right_prompt.

# The short form, where nothing else has its name.
if not type -q cb
    function cb --wraps claude-bottle --description claude-bottle
        claude-bottle $argv
    end
end

# For a prompt of your own: `cb:2 !1` for two bottles that run and one question that waits; nothing where nothing does.
# Without a process. Of the file, only digits are taken.
function claude_bottle_segment
    set -l file $HOME/.claude-bottle/prompt
    test -n "$CLAUDE_BOTTLE_HOME"
    and set file $CLAUDE_BOTTLE_HOME/prompt
    test -f "$file" -a -r "$file"
    or return 0
    read -l live detached pending <$file
    string match -qr '^[0-9]{1,6},[0-9]{1,6},[0-9]{1,6}$' -- "$live,$detached,$pending"
    or return 0
    set -l words
    set -l words
    test $live -eq 0 -a $detached -eq 0
    or set words cb:(math $live + $detached)
    test $pending -eq 0
    or set -a words !(math $pending)
    echo -n "$words"
end

function __claude_bottle_before
    set -l segment (claude_bottle_segment)
    test -n "$segment"
    and echo -n "$segment "
    # The prompt behind it shows how the last command ended.
    return $argv[1]
end

if not set -q __claude_bottle_prompt
    switch "$CLAUDE_BOTTLE_PROMPT"
        case left
            set -g __claude_bottle_prompt left
            functions -c fish_prompt __claude_bottle_fish_prompt
            function fish_prompt
                __claude_bottle_before $status
                __claude_bottle_fish_prompt
            end
        case right
            set -g __claude_bottle_prompt right
            function __claude_bottle_fish_right_prompt
            end
            if functions -q fish_right_prompt
                functions -e __claude_bottle_fish_right_prompt
                functions -c fish_right_prompt __claude_bottle_fish_right_prompt
            end
            function fish_right_prompt
                __claude_bottle_before $status
                __claude_bottle_fish_right_prompt
            end
    end
end
