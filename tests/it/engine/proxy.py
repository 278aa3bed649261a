"""An HTTP proxy of the tests, in a container of the test: every CONNECT leads to the origin at argv[1]; prints each head."""

import socket
import sys
import threading


def pour(source, into):
    while data := source.recv(65536):
        into.sendall(data)
    into.shutdown(socket.SHUT_WR)


def serve(client):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    print(head.decode(), flush=True)
    origin = socket.create_connection((sys.argv[1], 8443))
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    threading.Thread(target=pour, args=(client, origin), daemon=True).start()
    pour(origin, client)


server = socket.create_server(("0.0.0.0", 3128))
print("ready", flush=True)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
