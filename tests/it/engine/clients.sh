# Runs inside a bottle: real clients, one allowed and one refused request each, with the bottle's environment and without
# any.
try() {
    name=$1
    shift
    said=$("$@" 2>&1)
    echo "$name: $? $(echo "$said" | tr '\n' ' ')"
}

cat >/tmp/with_urllib.py <<'EOF'
import sys, urllib.request, urllib.error
try: print(urllib.request.urlopen(sys.argv[1]).read().decode())
except urllib.error.HTTPError as error: print(error.code, error.read().decode())
EOF
echo 'import sys, requests; answer = requests.get(sys.argv[1]); print(answer.status_code, answer.text)' >/tmp/with_requests.py
echo 'import sys, httpx; answer = httpx.get(sys.argv[1]); print(answer.status_code, answer.text)' >/tmp/with_httpx.py
cat >/tmp/fetch.js <<'EOF'
fetch(process.argv[2]).then(async answer => console.log(answer.status, await answer.text()))
EOF
cat >/tmp/axios.js <<'EOF'
require('axios').get(process.argv[2], { validateStatus: () => true }).then(answer => console.log(answer.status, answer.data))
EOF
cat >/tmp/fetch.rb <<'EOF'
require 'net/http'
answer = Net::HTTP.get_response(URI(ARGV[0]))
puts answer.code, answer.body
EOF
bare="env -i PATH=$PATH HOME=$HOME NODE_PATH=/usr/share/nodejs"
export NODE_PATH=/usr/share/nodejs
for verdict in allowed refused; do
    url=https://$verdict.example.org/hello
    for how in '' bare; do
        each() {
            name=$1
            shift
            # shellcheck disable=SC2086
            try "$name $verdict${how:+ bare}" ${how:+$bare} "$@" "$url"
        }
        each curl curl -sS
        each wget wget -qO- --content-on-error
        each urllib python3 /tmp/with_urllib.py
        each requests python3 /tmp/with_requests.py
        each httpx python3 /tmp/with_httpx.py
        each fetch node /tmp/fetch.js
        each axios node /tmp/axios.js
        each go fetch
        each ruby ruby /tmp/fetch.rb
        each java java -cp /usr/local/share/fetch Fetch
    done
done

# Package managers and a WebSocket, which do more than one request.
cd "$(mktemp -d)" || exit
for how in '' "$bare"; do
    way=${how:+ bare}
    rm -rf ./*
    # shellcheck disable=SC2086
    {
        try "npm$way" $how sh -c 'npm install --silent --no-audit --no-fund --registry https://allowed.example.org/npm tiny &&
            cat node_modules/tiny/index.js'
        try "pip$way" $how sh -c 'pip install --quiet --no-deps --target . --no-cache-dir --disable-pip-version-check \
            --index-url https://allowed.example.org/simple/ tiny && python3 tiny.py'
        mkdir -p crate/src crate/.cargo && true >crate/src/lib.rs
        printf '[package]\nname = "x"\nedition = "2021"\n[dependencies]\ntiny = { version = "1", registry = "origin" }\n' \
            >crate/Cargo.toml
        printf '[registries.origin]\nindex = "sparse+https://allowed.example.org/crates/"\n' >crate/.cargo/config.toml
        try "cargo$way" $how sh -c 'cd crate && cargo vendor -q >/dev/null && cat vendor/tiny/src/lib.rs'
        try "websocket$way" $how python3 -c 'import websocket
socket = websocket.create_connection("wss://allowed.example.org/socket")
socket.send("said"), print("heard", socket.recv()), socket.close()'
        try "git$way" $how sh -c 'git clone -q https://allowed.example.org/git/repo.git clone && cat clone/file'
    }
done
try 'git refused' git clone -q https://refused.example.org/git/repo.git other
try 'git push refused' sh -c '! git -C clone push -q origin HEAD:refs/heads/other'
echo "proxies: $(env | grep -i '_proxy=' || echo none)"
echo "interfaces: $(tail -n +3 /proc/net/dev | cut -d : -f 1 | tr -d ' ' | tr '\n' ' ')"
