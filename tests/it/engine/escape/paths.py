"""Runs beside real web servers: sends each path of stdin (in hex, one a line) to each server as it is, and prints those
that a server answers with the secret."""

import os
import socket
import subprocess
import sys
import time

MARKER = b"the-secret-of-the-servers"
PORTS = {"nginx": 8001, "Apache": 8002, "lighttpd": 8003, "Node": 8004, "Python": 8005, "Go": 8006}
FILES = {
    "/srv/www/allowed/file": b"open",
    "/srv/www/allowed/a/b/file": b"open",
    "/srv/www/secret/file": MARKER,
    "/srv/www/secret/index.html": MARKER,
    "/etc/nginx/nginx.conf": b"events {}\nhttp { server { listen 8001; root /srv/www; } }\n",
    "/etc/apache2/ports.conf": b"Listen 8002\n",
    "/etc/apache2/sites-enabled/000-default.conf": b"<VirtualHost *:8002>\nDocumentRoot /srv/www\n<Directory /srv/www>\nRequire all granted\n</Directory>\n</VirtualHost>\n",
    "/etc/lighttpd/lighttpd.conf": b'server.document-root = "/srv/www"\nserver.port = 8003\nindex-file.names = ("index.html")\n',
    # As many write it: decoded once, joined, read.
    "/srv/node.js": b"""
const http = require('http'), fs = require('fs'), path = require('path');
http.createServer((request, response) => {
    let name;
    try { name = decodeURIComponent(request.url.split('?')[0]); } catch (e) { response.writeHead(400); return response.end(); }
    fs.readFile(path.join('/srv/www', name), (error, data) => { response.writeHead(error ? 404 : 200); response.end(data); });
}).listen(8004);
""",
    "/srv/serve.go": b"""
package main

import "net/http"

func main() {
	http.ListenAndServe(":8006", http.FileServer(http.Dir("/srv/www")))
}
""",
}


def main():
    for path, content in FILES.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    subprocess.run(["go", "build", "-o", "/srv/serve", "/srv/serve.go"], check=True, env={**os.environ, "HOME": "/root"})
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    for command in (
        ["nginx"],
        ["apachectl", "start"],
        ["lighttpd", "-f", "/etc/lighttpd/lighttpd.conf"],
        ["node", "/srv/node.js"],
        ["python3", "-m", "http.server", "--directory", "/srv/www", "--protocol", "HTTP/1.1", "8005"],
        ["/srv/serve"],
    ):
        subprocess.Popen(command, **quiet)
    for name, port in PORTS.items():
        deadline = time.monotonic() + 120
        while MARKER not in asked(port, b"/secret/file"):
            if time.monotonic() > deadline:
                raise SystemExit(f"{name} does not serve its file")
            time.sleep(0.1)
    print("ready", flush=True)
    for line in sys.stdin:
        path = bytes.fromhex(line)
        for name, port in PORTS.items():
            if MARKER in asked(port, path):
                print(f"{name} {path!r}", flush=True)
    print("done", flush=True)


def asked(port, path):
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as end:
            end.sendall(b"GET " + path + b" HTTP/1.1\r\nhost: allowed.example.org\r\nconnection: close\r\n\r\n")
            while chunk := end.recv(65536):
                answer += chunk
    except OSError:
        pass
    return answer


main()
