# Runs real programs; each says `NAME: ` and what it printed, on one line.
cd /tmp || exit
say() {
    name=$1
    shift
    echo "$name: $("$@" 2>&1 | tr '\n' ' ')"
}
postgres() {
    bin=$(echo /usr/lib/postgresql/*/bin)
    "$bin/initdb" -D /tmp/db -A trust >/tmp/initdb.log 2>&1 || cat /tmp/initdb.log
    "$bin/pg_ctl" -D /tmp/db -o '-k /tmp -c listen_addresses=127.0.0.1' -l /tmp/db.log -w start >/dev/null || cat /tmp/db.log
    psql -h 127.0.0.1 -d postgres -Atc "set max_parallel_workers_per_gather = 2; select 'hello ' || sum(n) from generate_series(1, 100000) n"
    "$bin/pg_ctl" -D /tmp/db -w -m fast stop >/dev/null
}
# Its log tells of buses that no container has.
chromium() {
    command chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
        --dump-dom 'data:text/html,<p>hello</p>' 2>/tmp/chromium.log || tail /tmp/chromium.log
}

say claude claude --version
say gdb gdb -q -batch -ex 'break main' -ex 'run getpid' -ex 'print count' -ex continue /programs/probe
say strace strace -f -o /tmp/strace.log /programs/hello-go
say java java /programs/Hello.java
say go /programs/hello-go
say node node /programs/hello.js
say rust /programs/hello-rust
say python python3 -c 'import multiprocessing as m; print("hello", m.Pool(2).map(abs, [-1, 2]))'
say postgres postgres
say chromium chromium
