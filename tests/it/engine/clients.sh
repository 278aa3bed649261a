# Runs inside a bottle: real clients, one allowed and one refused request each.
try() {
    name=$1
    shift
    said=$("$@" 2>&1)
    echo "$name: $? $(echo "$said" | tr '\n' ' ')"
}
python='import sys, urllib.request, urllib.error
try: print(urllib.request.urlopen(sys.argv[1]).read().decode())
except urllib.error.HTTPError as e: print(e.code, e.read().decode())'
node='fetch(process.argv[1]).then(async r => console.log(r.status, await r.text()))'
for verdict in allowed refused; do
    url=https://$verdict.example.org/hello
    try "curl $verdict" curl -sS "$url"
    try "python $verdict" python3 -c "$python" "$url"
    try "node $verdict" node -e "$node" "$url"
    try "go $verdict" fetch "$url"
done
try 'git allowed' sh -c 'git clone -q https://allowed.example.org/git/repo.git /tmp/clone && cat /tmp/clone/file'
try 'git refused' git clone -q https://refused.example.org/git/repo.git /tmp/other
try 'git push refused' sh -c '! git -C /tmp/clone push -q origin HEAD:refs/heads/other'
echo "proxies: $(env | grep -i '_proxy=' || echo none)"
echo "interfaces: $(tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d ' ' | tr '\n' ' ')"
