//! What servers believe beside the request line: headers and parameters that name another request are refused, and claims
//! about who asks are removed, before they reach an upstream.

use super::*;

/// A gate with a route that restricts methods and paths.
async fn restricted() -> (Origin, Gate) {
    let origin = Origin::start(&["a.test"]).await;
    let routes = json!([route(&origin, "a.test", json!({ "paths": ["/allowed/**"], "methods": ["GET", "POST"] }))]);
    let gate = Gate::start(&origin, routes).await;
    (origin, gate)
}

#[tokio::test]
async fn an_override_is_refused_whatever_its_spelling() {
    let (_origin, mut gate) = restricted().await;
    let mut sender = gate.https("a.test").await;
    for name in "destination x-original-uri x-original-url x-rewrite-url x-forwarded-uri x-forwarded-path \
        x-forwarded-prefix x-forwarded-method x-script-name x-http-method x-http-method-override x-method-override \
        x-amz-copy-source x-ms-copy-source x-copy-from x-accel-redirect x-sendfile base-url x_original_url \
        x.original.url X-Original_URL x-request-uri path-info"
        .split_whitespace()
    {
        let response = sender.send_request(ask("GET a.test /allowed/x", &[(name, "/secret")])).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=method"), "{name}");
        assert!(text(response).await.contains("names another method, path or resource"), "{name}");
        gate.refused("is never allowed").await;
    }
    let response = sender.send_request(ask("POST a.test /allowed/x?_method=DELETE", &[])).await.unwrap();
    assert_eq!(mark(&response), "denied; reason=method");
    gate.refused("a parameter asks for method `DELETE`").await;
    let response = sender.send_request(ask("POST a.test /allowed/x?_method=GET", &[])).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_claim_of_identity_or_place_does_not_arrive() {
    let (_origin, gate) = restricted().await;
    let names = "forwarded via proxy x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto \
        x-forwarded-server x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-client-cert x-real-ip \
        x-client-ip true-client-ip cf-connecting-ip x-host x-original-host remote-user remote_user x-remote-user \
        x-auth-request-user x-authenticated-user x-webauth-user x-ssl-client-cert ssl-client-cert ssl_client_verify \
        client-cert x-ms-client-principal x-consumer-username x-envoy-external-address x.real.ip";
    let kept = "accept range x-request-id traceparent x-amz-date x-goog-user-project git-protocol mcp-method grpc-timeout \
        tus-resumable x-user-id x-stainless-helper-method";
    let mut headers: Vec<(&str, &str)> = names.split_whitespace().map(|name| (name, "claimed")).collect();
    // Of a header that is there twice, neither arrives.
    headers.push(("x-real-ip", "claimed twice"));
    headers.extend(kept.split_whitespace().map(|name| (name, "kept")));
    let mut sender = gate.https("a.test").await;
    let told = told(sender.send_request(ask("GET a.test /allowed/x", &headers)).await.unwrap()).await;
    assert!(!told.to_string().contains("claimed"), "{told}");
    for name in kept.split_whitespace() {
        assert_eq!(told["headers"][name], "kept", "{name}: {told}");
    }
}

#[tokio::test]
async fn a_form_changes_no_method_into_one_that_does_not_pass() {
    let (_origin, mut gate) = restricted().await;
    let mut sender = gate.https("a.test").await;
    let urlencoded = ("content-type", "application/x-www-form-urlencoded");
    let multipart = ("content-type", "multipart/form-data; boundary=b");
    let part = |name: &str, value: &str| {
        format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n--b--\r\n")
    };
    for (kind, form, passes) in [
        (urlencoded, "a=1&_method=DELETE".to_owned(), false),
        (urlencoded, format!("a={}&_method=DELETE", "x".repeat(100_000)), false),
        (urlencoded, "a=1&_method=GET&b=".to_owned(), true),
        (urlencoded, "[_method]=DELETE".to_owned(), false),
        (("content-type", "text/plain, application/x-www-form-urlencoded"), "_method=DELETE".to_owned(), false),
        (("content-type", "\"application/x-www-form-urlencoded\""), "_method=DELETE".to_owned(), false),
        (urlencoded, "method=DELETE".to_owned(), true),
        (multipart, part("_method", "DELETE"), false),
        (multipart, part("a", "_method"), true),
        (("content-type", "application/json"), "a=1&_method=DELETE".to_owned(), true),
    ] {
        let mut request = ask("POST a.test /allowed/x", &[kind]);
        *request.body_mut() = full(form.clone());
        let response = sender.send_request(request).await.unwrap();
        let wanted = if passes { (200, "") } else { (403, "denied; reason=method") };
        assert_eq!((response.status().as_u16(), mark(&response)), wanted, "{form:.50}");
        text(response).await;
        match passes {
            true => gate.allowed().await,
            false => drop(gate.refused("a parameter asks for method `DELETE`").await),
        }
    }
    for (name, value) in [("content-encoding", "gzip"), ("content-encoding", "rot13"), ("content-type", "text/plain")] {
        let mut request = ask("POST a.test /allowed/x", &[urlencoded, (name, value)]);
        *request.body_mut() = full("a=1");
        let response = gate.https("a.test").await.send_request(request).await.unwrap();
        assert_eq!((response.status().as_u16(), mark(&response)), (403, "denied; reason=malformed"), "{name}: {value}");
        gate.audit().await;
    }
}

/// A path that servers read in many ways takes long to judge.
#[tokio::test]
async fn a_form_that_asks_for_a_method_often_holds_up_no_other() {
    let (_origin, gate) = restricted().await;
    let path = format!("/allowed/a;b%2Fc.//d/{}", "x/".repeat(3500));
    let mut request = ask(&format!("POST a.test {path}"), &[("content-type", "application/x-www-form-urlencoded")]);
    *request.body_mut() = full("_method=GET&".repeat(20_000));
    let mut sender = gate.https("a.test").await;
    let response = within("the answer to the form", sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
}
