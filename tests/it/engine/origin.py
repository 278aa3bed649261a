"""A TLS origin of the tests, in a container of the test: /hello, …/echo… (what arrived), /sse, /socket (a WebSocket that
says what it hears), git at /git/, and a package named tiny for three package managers."""

import base64
import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
import time
import zipfile
from http.server import BaseHTTPRequestHandler

from tls_server import serve


HOST = "https://allowed.example.org"


def tarball(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_DOT_", "."))
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def wheel():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("tiny.py", "print('tiny of the origin')\n")
        archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("tiny-1.0.dist-info/RECORD", "")
    return out.getvalue()


def packages():
    """What the package managers ask for, by path."""
    tgz = tarball(package__package_DOT_json='{"name":"tiny","version":"1.0.0"}', package__index_DOT_js="tiny of the origin\n")
    manifest = '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n'
    crate = tarball(**{"tiny-1.0.0__Cargo_DOT_toml": manifest, "tiny-1.0.0__src__lib_DOT_rs": "// tiny of the origin\n"})
    version = {
        "name": "tiny",
        "version": "1.0.0",
        "dist": {"tarball": f"{HOST}/npm/tiny/-/tiny-1.0.0.tgz", "shasum": hashlib.sha1(tgz).hexdigest()},
    }
    listed = {"name": "tiny", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    entry = {"name": "tiny", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
    entry["cksum"] = hashlib.sha256(crate).hexdigest()
    return {
        "/npm/tiny": json.dumps(listed).encode(),
        "/npm/tiny/-/tiny-1.0.0.tgz": tgz,
        "/simple/tiny/": b'<a href="tiny-1.0-py3-none-any.whl">tiny-1.0-py3-none-any.whl</a>',
        "/simple/tiny/tiny-1.0-py3-none-any.whl": wheel(),
        "/crates/config.json": json.dumps({"dl": f"{HOST}/crates/{{crate}}-{{version}}.crate"}).encode(),
        "/crates/ti/ny/tiny": json.dumps(entry).encode(),
        "/crates/tiny-1.0.0.crate": crate,
    }


PACKAGES = packages()


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def git(self, body):
        path, _, query = self.path[len("/git") :].partition("?")
        env = dict(
            os.environ,
            GIT_PROJECT_ROOT="/srv/git",
            GIT_HTTP_EXPORT_ALL="1",
            PATH_INFO=path,
            QUERY_STRING=query,
            REQUEST_METHOD=self.command,
            CONTENT_TYPE=self.headers.get("content-type", ""),
            HTTP_CONTENT_ENCODING=self.headers.get("content-encoding", ""),
            GIT_PROTOCOL=self.headers.get("git-protocol", ""),
            REMOTE_USER="anyone",
        )
        out = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE, check=True).stdout
        head, _, rest = out.partition(b"\r\n\r\n")
        status, kind = 200, "text/plain"
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            if name.lower() == "content-type":
                kind = value
        self.answer(status, kind, rest)

    def body(self):
        if self.headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def socket(self):
        """One text frame, answered by the same words."""
        key = self.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("upgrade", "websocket")
        self.send_header("connection", "upgrade")
        self.send_header("sec-websocket-accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while True:
            first, length = struct.unpack("BB", self.rfile.read(2))
            mask, body = self.rfile.read(4), self.rfile.read(length & 0x7F)
            body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))
            self.wfile.write(bytes([first, len(body)]) + body)
            self.wfile.flush()
            if first & 0xF == 8:
                return

    def do_GET(self):
        body = self.body()
        if self.path.startswith("/git/"):
            self.git(body)
        elif self.path == "/sse":
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for number in range(3):
                self.wfile.write(f"data: {number}\n\n".encode())
                self.wfile.flush()
                time.sleep(0.2)
        elif self.path == "/socket":
            self.socket()
        elif self.path in PACKAGES:
            kind = "text/html" if self.path.endswith("/") else "application/octet-stream"
            self.answer(200, "application/json" if self.path == "/npm/tiny" else kind, PACKAGES[self.path])
        elif self.path.startswith("/crates/"):
            self.answer(404, "text/plain", b"no such crate")
        elif "/echo" in self.path:
            seen = {"method": self.command, "path": self.path, "headers": dict(self.headers.items())}
            print(json.dumps(seen), flush=True)
            # The token would not come back; its beginning does.
            seen["began"] = self.headers.get("authorization", "").split("-")[0]
            self.answer(200, "application/json", json.dumps(seen).encode())
        else:
            self.answer(200, "text/plain", b"hello from the origin\n")

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET

    def log_message(self, *args):
        pass


serve(Origin)
