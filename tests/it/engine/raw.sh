# Runs inside a bottle: TLS that the gate does not open, and bytes that are not HTTP. /tmp/ca.pem is the origin's CA.
said=$(curl -sS --cacert /tmp/ca.pem https://allowed.example.org/hello)
echo "with the origin's CA: $? $said"
curl -sS https://allowed.example.org/hello 2>/dev/null
echo "with the bottle's: $?"
python3 - <<'PYTHON'
import socket
for host, port in [("db.example.org", 5432), ("other.example.org", 5432), ("db.example.org", 5433)]:
    try:
        with socket.create_connection((host, port)) as stream:
            stream.sendall(b"abcd")
            print(f"{host} {port}: {stream.recv(100).decode() or 'nothing'}")
    except ConnectionRefusedError:
        print(f"{host} {port}: refused")
    except ConnectionResetError:
        print(f"{host} {port}: nothing")
PYTHON
