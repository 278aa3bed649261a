# What git can do in a bottle with remotes. Prints a line for each thing that was tried.
git config --global init.defaultBranch main
git config --global advice.detachedHead false
git config --global --add safe.directory '*'
git config --global user.name agent
git config --global user.email agent@example.org
cd ~
say() { printf '%s: %s %s\n' "$1" "$2" "$(printf %s "$3" | tr '\n\t' '| ' | cut -c1-700)"; }
try() { name=$1; shift; said=$("$@" 2>&1); say "$name" $? "$said"; }
commit() { git add -A && git commit -qm "$1"; }

try clone git clone -q "ssh://git@$HOST/srv/repos/app.git" app
cd app || exit 9
say commits 0 "$(git rev-list --count HEAD) $(git branch -r --list 'origin/hidden/*')"
try spelled git ls-remote "git@$HOST:/srv/repos/app" refs/heads/main
echo one >new; commit one
try push git push origin main
git checkout -qb topic; echo topic >topic; commit topic; git tag -am 'a tag' v1
try branch git push origin topic v1
git checkout -q main; git merge -q --no-ff -m 'merge topic' topic
try merge git push origin main

try web git clone -q "https://$HOST:8443/app.git" ../web
cd ../web; say seen 0 "$(git log --format=%s -1)"
echo two >two; commit two
try webpush git push origin HEAD:main
cd ../app
try fetched git pull -q origin main
say pulled 0 "$(git log --format=%s -1)"

try shallow git clone -q --depth 1 "ssh://git@$HOST/srv/repos/app.git" ../shallow
say depth 0 "$(git -C ../shallow rev-list --count HEAD)"
try deepen git -C ../shallow fetch -q --deepen 3
say deeper 0 "$(git -C ../shallow rev-list --count HEAD)"
try partial git clone -q --filter=blob:none "ssh://git@$HOST/srv/repos/app.git" ../partial
say content 0 "$(cat ../partial/file7)"
try old git -c protocol.version=0 ls-remote origin refs/heads/main

secret() { printf 'ghp_'; tr -dc A-Za-z0-9 </dev/urandom | head -c 36; }
# A push of a new branch with what the command before it commits must be refused, and never say the secret.
refused() {
    name=$1; token=$(secret); git checkout -q -B "bad-$name" main; "bad_$name" "$token"
    said=$(git push origin "bad-$name" 2>&1); status=$?
    case $said in *"$token"*) status="$status SAYS THE SECRET" ;; esac
    say "refused $name" "$status" "$said"; git checkout -qf main
}
bad_tree() { echo "token = \"$1\"" >config.py; commit config; }
bad_middle() { echo "token = \"$1\"" >config.py; commit config; git rm -q config.py; commit 'remove it'; }
bad_message() { echo x >x; git add x; git commit -qm "use $1 for it"; }
bad_author() { echo x >x; git add x; git -c user.name="$1" commit -qm x; }
bad_name() { echo x >"$1"; commit x; }
bad_merge() { git checkout -q -b side; echo s >side; commit side; git checkout -q -; git merge -q --no-commit --no-ff side; echo "k=$1" >merged; commit merge; git branch -qD side; }
bad_binary() { { head -c 3000 /dev/zero; printf %s "$1"; head -c 3000 /dev/zero; } >data.bin; commit data; }
bad_compressed() { echo "token $1" | gzip >data.gz; commit data; }
bad_allowed() { echo "token = \"$1\" # gitleaks:allow" >config.py; printf '[allowlist]\npaths = [".*"]\n' >.gitleaks.toml; echo '* binary -diff' >.gitattributes; commit config; }
bad_tag() { git tag -f -am "token $1" "bad-tag"; echo x >x; commit x; git tag -f -am "token $1" "bad-$name" >/dev/null; }
for name in tree middle message author name merge binary compressed allowed; do refused "$name"; done
token=$(secret); git tag -am "token $token" v2; try 'refused tag' git push origin v2
# A value that the bottle knows.
git checkout -q -B known main; echo "password: $SEEN" >known; commit known
try 'refused known' git push origin known; git checkout -qf main

git checkout -q -B good main; echo good >good; commit good
git checkout -q -B bad main; echo "token = \"$(secret)\"" >bad; commit bad
try 'refused together' git push origin good bad
say together 0 "$(git ls-remote origin good bad)"
git checkout -q main
try 'refused force' git push -f origin HEAD~1:refs/heads/main
try 'refused delete' git push origin :topic
try 'refused protected' git push origin HEAD:refs/heads/release
try 'refused ref' git push origin HEAD:refs/notes/x
try 'refused upstream' git push origin HEAD:refs/heads/blocked
try 'refused name' git ls-remote git://git.bottle/nope
try 'refused moved' git ls-remote "https://$HOST:8443/moved/app.git"
try 'refused archive' git archive --remote=git://git.bottle/app main
try 'refused host' git ls-remote git://other.example.org/x
try 'good after all' git push origin good
# Nothing of the keys is here.
say 'the key' 0 "$(printf '%s\n' "$KEY_PART" | grep -rlsF -f - /home /run /tmp /var /etc /proc/[0-9]*/environ /proc/[0-9]*/cmdline | head -3)"
say 'the repositories' 0 "$(ls /var/lib/claude-bottle 2>&1)"
try gate curl -s http://gate.bottle/
echo end
