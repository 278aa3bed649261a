# Runs inside a bottle: the door, pushed.
echo "hosts: $(getent hosts allowed.example.org | tr -s ' ')"
echo "pointer: $(getent hosts 127.64.0.1 | tr -s ' ')"
echo "localhost: $(python3 -c 'import socket; print(socket.gethostbyname("localhost"))')"
python3 - <<'PYTHON'
import socket
answered = failed = 1
addresses = set()
answered, failed = 1, 0  # the first name was asked for above
for number in range(1999):
    try:
        addresses.add(socket.gethostbyname(f"name-{number}.example.org"))
        answered += 1
    except socket.gaierror:
        failed += 1
assert len(addresses) == answered - 1 and "127.64.0.1" not in addresses
print(f"names: {answered} answered, {failed} failed, first again {socket.gethostbyname('allowed.example.org')}")
PYTHON
python3 - <<'PYTHON'
import ssl, threading, socket
barrier, good = threading.Barrier(200), []
def one():
    with socket.create_connection(("allowed.example.org", 443)) as plain:
        with ssl.create_default_context().wrap_socket(plain, server_hostname="allowed.example.org") as tls:
            barrier.wait()  # all 200 are open now
            tls.sendall(b"GET /hello HTTP/1.1\r\nhost: allowed.example.org\r\nconnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
            good.append(1) if b"hello from the origin" in answer else print(answer)
threads = [threading.Thread(target=one) for _ in range(200)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("parallel:", len(good))
PYTHON
mkdir /tmp/site
echo "index of the agent's own" >/tmp/site/index.html
python3 -m http.server --bind 127.0.0.1 --directory /tmp/site 80 >/dev/null 2>&1 &
for _ in $(seq 100); do curl -s http://127.0.0.1/ >/dev/null && break; sleep 0.05; done
echo "own server: $(curl -sS http://localhost/)"
echo "explained: $(curl -sS http://gate.bottle/ | tr '\n' ' ')"
echo "allowed again: $(curl -sS https://allowed.example.org/hello)"
curl -sS -m 5 https://192.0.2.1/ >/dev/null 2>&1
[ $? = 7 ] && echo 'literal: refused at once'
python3 - <<'PYTHON'
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))
except OSError:
    print("udp: nothing gets out")
PYTHON
exit 0
