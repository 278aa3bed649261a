"""A TLS server for an origin of the tests, with the certificate that lies beside it."""

import ssl
from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    request_queue_size = 512


def serve(handler):
    """Says that it is ready, and serves until it is killed."""
    server = Server(("0.0.0.0", 8443), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/srv/cert.pem", "/srv/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()
