"""A TLS origin of the tests that reads a request in every way that a server is known to: below /allowed it is open, and
whatever can be read as /secret is answered with the secret."""

import json
import re
import urllib.parse
from http.server import BaseHTTPRequestHandler

from tls_server import serve

SECRET = "the-secret-of-the-origin"


def readings(target):
    """The paths that a server could make of a request's target."""
    path = re.sub(r"^[a-z+]+://[^/]*", "", target)
    found = {path}
    for _ in range(2):
        found |= {urllib.parse.unquote(one) for one in found}
    for one in list(found):
        found |= {one.split("?")[0], one.split("#")[0], re.sub(r";[^/]*", "", one), one.replace("\\", "/"), one.split("\0")[0]}
    for one in list(found):
        parts = []
        for part in one.split("?")[0].split("/"):
            if part == "..":
                parts[-1:] = []
            elif part not in ("", "."):
                parts.append(part.strip())
        found.add("/" + "/".join(parts))
    return found


class Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_any(self):
        # As the server of Python's own library does: a body of a GET is not read, and so is the next request.
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if self.command in ("POST", "PUT") else b""
        targets = [self.path] + [value for name, value in self.headers.items() if "/secret" in value]
        secret = any(path.lower().startswith("/secret") for target in targets for path in readings(target))
        seen = {"method": self.command, "target": self.path, "headers": dict(self.headers.items()), "body": body[:200].decode("latin-1")}
        print(json.dumps(seen), flush=True)
        if self.path.startswith("/allowed/say"):
            answer = self.headers.get("authorization", "none").removeprefix("Bearer ")
            spelled = self.path.partition("?")[2]
            if spelled:
                spell = {"entities": lambda t: "".join(f"&#x{ord(c):02X};" for c in t), "hex": lambda t: t.encode().hex(), "base64": lambda t: __import__("base64").b64encode(t.encode()).decode(), "bytes": lambda t: json.dumps(list(t.encode())), "wide": lambda t: t.encode("utf-16-le").decode("latin-1"), "quoted": lambda t: t.replace("-", "=2D"), "json": lambda t: t.replace("-", "\\u002d")}
                answer = spell[spelled](answer)
            answer = f"said {answer}".encode("latin-1")
            part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
            if part:
                answer = answer[int(part[1]) : int(part[2]) + 1]
                self.send_response(206)
            else:
                self.send_response(200)
        else:
            answer = SECRET.encode() if secret else b"open"
            self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_any

    def log_message(self, *args):
        pass


serve(Origin)
