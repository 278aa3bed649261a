"""Smart HTTP with a password, by git's own server; and a place that leads elsewhere."""

import base64
import http.server
import os
import subprocess

import tls_server

LOGIN = "Basic " + base64.b64encode(b"git:" + open("/srv/token", "rb").read().strip()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        path, _, query = self.path.partition("?")
        if path.startswith("/moved/"):
            self.send_response(301)
            self.send_header("location", "https://elsewhere.example.org" + self.path.removeprefix("/moved"))
            self.send_header("content-length", "0")
            return self.end_headers()
        if self.headers["authorization"] != LOGIN:
            self.send_response(401)
            self.send_header("www-authenticate", 'Basic realm="test"')
            self.send_header("content-length", "0")
            return self.end_headers()
        if self.headers["transfer-encoding"] == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
        env = os.environ | {
            "GIT_PROJECT_ROOT": "/srv/repos",
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "REMOTE_USER": "git",
            "CONTENT_TYPE": self.headers["content-type"] or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers["content-encoding"] or "",
            "GIT_PROTOCOL": self.headers["git-protocol"] or "",
        }
        said = subprocess.run(["git", "http-backend"], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        self.send_response(int(dict(fields).get("Status", "200").split(" ")[0]))
        for name, value in fields:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer

    def log_message(self, *args):
        pass


tls_server.serve(Handler)
