"""A dev server as an agent would start it: a page that a WebSocket tells to reload, and something large."""

import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html><title>version %d</title><script>
const socket = new WebSocket(`ws://${location.host}/socket`);
socket.onopen = async () => {
    const large = await (await fetch("/large")).arrayBuffer();
    socket.send(`version %d, ${large.byteLength} bytes`);
};
socket.onmessage = message => message.data === "reload" && location.reload();
</script>"""
LARGE = bytes(20_000_000)


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    version = 0

    def do_GET(self):
        if self.path == "/socket":
            self.socket()
        elif self.path == "/large":
            self.answer(LARGE)
        elif self.path == "/":
            Server.version += 1
            self.answer((PAGE % (Server.version, Server.version)).encode())
        else:
            self.send_error(404)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def socket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        # One short frame, masked as all that a browser sends.
        length = self.rfile.read(2)[1] & 127
        mask = self.rfile.read(4)
        text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
        print("heard " + text.decode(), flush=True)
        self.wfile.write(b"\x81\x06reload" if Server.version == 1 else b"\x81\x04stay")
        self.close_connection = True

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 5173), Server)
print("LISTENING", flush=True)
server.serve_forever()
