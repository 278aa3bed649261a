//! Every question, in its order, with the exact words of its denial.

use super::super::decide::tests::policy;
use super::super::{Authority, DialTo, HeaderFields, NoProxy};
use super::*;

fn matrix() -> Policy {
    policy(
        r#"[{"host":"a.test","paths":["/closed/**"],"deny":true},
            {"host":"a.test","paths":["/team/*/x","/open/**"]},
            {"host":"a.test","paths":["/git/**"],"git":"fetch"},
            {"host":"a.test","methods":["POST","GET"],"paths":["/post/*"]},
            {"host":"b.test","connect_to":"168.63.129.16:443"},
            {"host":"*.c.test"},
            {"host":"db.test","port":5432,"protocol":"tcp"},
            {"host":"pinned.test","intercept":false},
            {"host":"plain.test","port":80},
            {"host":"model.test","role":"claude"},
            {"host":"near.test","connect_to":"db.localhost:443"}]"#,
    )
}

/// The steps up to the end, and how it ends: the route and path of what passes, or the denial.
fn steps(seen: Seen, via: Via) -> (Vec<String>, Result<Pass, Denial>) {
    let policy = matrix();
    let (mut judge, mut steps) = (Judge::new(&policy, seen, via), Vec::new());
    loop {
        match judge.advance() {
            Ok(Step::InspectName { route }) => steps.push(format!("inspect name of {route}")),
            Ok(Step::Locate { route, destination }) => steps.push(match destination.to {
                DialTo::Name(name) => format!("resolve {name} of {route}"),
                DialTo::ThroughProxy(name) => format!("ask the proxy for {name} of {route}"),
                DialTo::Address(address) => format!("dial {address} of {route}"),
            }),
            Ok(Step::Pass(pass)) => return (steps, Ok(pass)),
            Err(denial) => return (steps, Err(denial)),
        }
    }
}

fn end(seen: Seen) -> Result<(usize, String), String> {
    let (_, end) = steps(seen, Via::Direct);
    end.map(|pass| (pass.route, pass.path)).map_err(|denial| format!("{}: {}", denial.reason, denial.text))
}

/// `GET a.test[:port] /path?query`
fn request<'a>(line: &'a str, headers: HeaderFields<'a>) -> Request<'a> {
    let [method, authority, target] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let has_body = super::super::announces_body(headers);
    Request { host, port: port.parse().unwrap(), method, path, query, has_body, headers }
}

#[test]
fn a_request_is_allowed_or_denied_in_these_words() {
    const WEBSOCKET: HeaderFields = &[("connection", b"upgrade"), ("upgrade", b"websocket")];
    type Case<'a> = (&'a str, HeaderFields<'a>, Result<(usize, &'a str), &'a str>);
    let cases: [Case; _] = [
        ("GET a.test /open/x", &[], Ok((1, "/open/x"))),
        ("GET a.test /open/%78?q=1", &[], Ok((1, "/open/x"))),
        ("GET a.test /other", &[], Err("path: path `/other` of `a.test` is not on the allowlist")),
        ("POST a.test /open/x", &[], Err("path: path `/open/x` of `a.test` is not on the allowlist")),
        ("POST a.test /post/x", &[], Ok((3, "/post/x"))),
        ("POST a.test /post/x/y", &[], Err("path: path `/post/x/y` of `a.test` is not on the allowlist")),
        ("PUT a.test /post/x", &[], Err("method: method `PUT` is not allowed on `a.test`")),
        ("TRACE a.test /open/x", &[], Err("method: method `TRACE` is never allowed")),
        ("CONNECT a.test /open/x", &[], Err("method: method `CONNECT` is never allowed")),
        ("GET a.test /closed/x", &[], Err("rule: `GET /closed/x` of `a.test` is denied")),
        ("GET a.test /CLOSED/x", &[], Err("rule: `GET /CLOSED/x` of `a.test` is denied")),
        ("GET a.test /open/%2e%2e/closed", &[], Err("path: the path has dot segments")),
        ("GET a.test /open/../closed", &[], Err("path: the path has dot segments")),
        ("GET a.test //open/x", &[], Err("path: the path starts with `//`")),
        ("GET a.test open/x", &[], Err("path: the path does not start with `/`")),
        (
            "GET a.test /team/a%2fb/x",
            &[],
            Err(
                "path: path `/team/a/b/x` of `a.test` is not on the allowlist; servers read `%2F` in two ways: write `/team/a/b/x`, too",
            ),
        ),
        ("GET a.test /team/a;b/x", &[], Ok((1, "/team/a;b/x"))),
        ("GET a.test /team/..;/x", &[], Err("path: the path has dot segments")),
        ("GET a.test /open/x?a\"b", &[], Err("query: the query has a character that must be percent-encoded")),
        ("GET a.test /git/r/info/refs?service=git-upload-pack", &[], Ok((2, "/git/r/info/refs"))),
        ("POST a.test /git/r/git-upload-pack", &[], Ok((2, "/git/r/git-upload-pack"))),
        ("GET a.test /git/r/info/refs?service=git-receive-pack", &[], Err("git: git push over https is never allowed")),
        ("POST a.test /git/r/git-receive-pack", &[], Err("git: git push over https is never allowed")),
        (
            "GET a.test /open/r/info/refs?service=git-upload-pack",
            &[],
            Err("git: git access to `/open/r/info/refs` of `a.test` is not on the allowlist"),
        ),
        (
            "GET a.test /open/x",
            &[("x-original-url", b"/closed/x")],
            Err("method: header `x-original-url` is never allowed: it names another method, path or resource"),
        ),
        (
            "GET a.test /open/x",
            &[("x_http_method", b"PUT")],
            Err("method: header `x_http_method` is never allowed: it names another method, path or resource"),
        ),
        (
            "TRACE a.test /open/x",
            &[("x_http_method", b"PUT")],
            Err("method: header `x_http_method` is never allowed: it names another method, path or resource"),
        ),
        ("GET a.test /open/x", &[("x-forwarded-user", b"root")], Ok((1, "/open/x"))),
        (
            "POST a.test /post/x?_method=delete",
            &[],
            Err("method: a parameter asks for method `DELETE` instead, which the allowlist does not take"),
        ),
        ("POST a.test /post/x?_method=get", &[], Ok((3, "/post/x"))),
        (
            "GET a.test /post/x",
            &[("content-length", b"2")],
            Err(
                "method: `GET` with a body: a server that does not read it takes it for the next request; it passes only on \
                 a route with `bodies`",
            ),
        ),
        ("GET a.test /post/x", &[("content-length", b"0")], Ok((3, "/post/x"))),
        ("POST a.test /post/x", &[("content-length", b"2")], Ok((3, "/post/x"))),
        ("GET a.test /open/x", &[("authorization", b"Bearer mine")], Ok((1, "/open/x"))),
        (
            "GET a.test /open/x",
            WEBSOCKET,
            Err("method: a WebSocket to `a.test` could send anything, which its route does not allow"),
        ),
        (
            "GET model.test /v1/models",
            WEBSOCKET,
            Err("method: a WebSocket to `model.test` could send anything, which its route does not allow"),
        ),
        ("GET a.test /post/x", WEBSOCKET, Ok((3, "/post/x"))),
        ("GET a.test /open/x", &[("upgrade", b"websocket")], Ok((1, "/open/x"))),
        ("GET b.test /x", &[], Err("address: `b.test` leads to a metadata address, which is not allowed")),
        ("TRACE near.test /x", &[], Err("address: `near.test` leads to a loopback address, which is not allowed")),
        ("GET c.test /x", &[], Err("host: host `c.test` is not on the allowlist")),
        ("GET x.c.test /x", &[], Ok((5, "/x"))),
        (
            "GET da39a3ee5e6b4b0d3255bfef95601890afd80709.c.test /x",
            &[],
            Err("host: host `da39a3ee5e6b4b0d3255bfef95601890afd80709.c.test`: a label looks like encoded data"),
        ),
        ("GET evil.test /x", &[], Err("host: host `evil.test` is not on the allowlist")),
        ("GET a.test:8443 /x", &[], Err("port: port 8443 of `a.test` is not on the allowlist, port 443 is")),
        (
            "GET a.test /open/x",
            &[("host", b"b.test")],
            Err("name: the host header says `b.test`, the connection is for `a.test`"),
        ),
        (
            "GET b.test /x",
            &[("host", b"a.test"), ("x-http-method", b"PUT")],
            Err("name: the host header says `a.test`, the connection is for `b.test`"),
        ),
    ];
    for (line, headers, wanted) in cases {
        let wanted = wanted.map(|(route, path)| (route, path.to_owned())).map_err(str::to_owned);
        let request = request(line, headers);
        assert_eq!(end(Seen::Http { request, names: Names::default() }), wanted, "{line} {headers:?}");
        // What would be said of the same request before it is sent.
        assert_eq!(end(Seen::Typed { request, scheme: UrlScheme::Https }), wanted, "typed {line} {headers:?}");
    }
}

#[test]
fn a_denial_names_the_nearest_route() {
    let route = |line: &str, headers| {
        let names = Names::default();
        steps(Seen::Http { request: request(line, headers), names }, Via::Direct).1.unwrap_err().route
    };
    assert_eq!(route("GET evil.test /x", &[]), None);
    assert_eq!(route("GET a.test:8443 /x", &[]), Some(1));
    assert_eq!(route("GET a.test /open/x", &[("host", b"b.test")]), Some(1));
    assert_eq!(route("GET b.test /x", &[]), Some(4));
    assert_eq!(route("GET a.test /open/x", &[("x-http-method", b"PUT")]), Some(1));
    assert_eq!(route("GET a.test /closed/x", &[]), Some(0));
    assert_eq!(route("PUT a.test /post/x", &[]), Some(0));
}

/// No name server and no proxy hears a name that its route does not let in, nor one that was not looked at.
#[test]
fn each_question_waits_for_the_one_before() {
    let http = |line, headers, via| steps(Seen::Http { request: request(line, headers), names: Names::default() }, via);
    assert_eq!(http("GET evil.test /x", &[], Via::Direct).0, [""; 0]);
    assert_eq!(http("GET x.c.test /x", &[("host", b"y.c.test")], Via::Direct).0, [""; 0]);
    assert_eq!(http("GET x.c.test /x", &[], Via::Direct).0, ["inspect name of 5", "resolve x.c.test of 5"]);
    let all = NoProxy::default();
    assert_eq!(
        http("GET x.c.test /x", &[], Via::Proxy(&all)).0,
        ["inspect name of 5", "ask the proxy for x.c.test of 5"]
    );
    assert_eq!(http("GET b.test /x", &[], Via::Direct).0, [""; 0]);
    assert_eq!(http("TRACE a.test /x", &[], Via::Direct).0, ["resolve a.test of 1"]);
    let bytes = steps(Seen::Bytes { host: "db.test", port: 5432 }, Via::Direct);
    assert_eq!(bytes, (vec!["resolve db.test of 6".to_owned()], Ok(Pass { route: 6, path: String::new() })));
    let tls = |server_name| steps(Seen::Tls { host: "pinned.test", port: 443, server_name }, Via::Direct);
    let passed = Ok(Pass { route: 7, path: String::new() });
    assert_eq!(tls(Some("pinned.test")), (vec!["resolve pinned.test of 7".to_owned()], passed));
    let (asked, end) = tls(None);
    assert_eq!((asked.len(), end.unwrap_err().route), (0, Some(7)));
}

#[test]
fn names_are_those_of_the_connection() {
    let names = Names {
        server_name: Some("a.test"),
        scheme: Some("https"),
        authority: Some(Authority { host: "b.test", port: None, has_forbidden_userinfo: false }),
        needs_host_header: true,
    };
    let request = request("GET a.test /open/x", &[("host", b"c.test")]);
    let said = |names| end(Seen::Http { request, names }).unwrap_err();
    assert_eq!(said(names), "name: the request line says `b.test`, the connection is for `a.test`");
    let names = Names { authority: None, ..names };
    assert_eq!(said(names), "name: the host header says `c.test`, the connection is for `a.test`");
    let names = Names { server_name: Some("d.test"), ..names };
    assert_eq!(said(names), "name: TLS says `d.test`, the connection is for `a.test`");
}

#[test]
fn what_was_typed_is_read_as_its_route_has_it() {
    for (line, scheme, wanted) in [
        ("GET db.test:5432 /any", UrlScheme::Tcp, Ok((6, ""))),
        ("GET db.test:5432 /any", UrlScheme::Https, Ok((6, ""))),
        ("TRACE pinned.test /any", UrlScheme::Https, Ok((7, ""))),
        ("GET pinned.test /any", UrlScheme::Http, Err("malformed: port 443 wants TLS: these bytes would not be")),
        ("GET a.test /open/x", UrlScheme::Tcp, Err("malformed: port 443 of `a.test` wants HTTP, not any bytes")),
        ("GET plain.test:80 /x", UrlScheme::Http, Ok((8, "/x"))),
        ("GET plain.test:80 /x", UrlScheme::Https, Err("malformed: port 80 is plain HTTP: these bytes would be TLS")),
        ("GET a.test /post/x", UrlScheme::SecureWebSocket, Ok((3, "/post/x"))),
        (
            "GET a.test /open/x",
            UrlScheme::SecureWebSocket,
            Err("method: a WebSocket to `a.test` could send anything, which its route does not allow"),
        ),
    ] {
        let wanted = wanted.map(|(route, path): (usize, &str)| (route, path.to_owned())).map_err(str::to_owned);
        assert_eq!(end(Seen::Typed { request: request(line, &[]), scheme }), wanted, "{line} {scheme:?}");
    }
}
