//! A model that says what a script tells it to, so that real Claude Code runs without a network: the Messages API (both
//! streaming and whole), a control port for tests, and plain origin pages, over HTTP and over TLS with a CA of its own.
//!
//! `scripted-model [--script FILE] [--listen ADDR] [--tls ADDR] [--control ADDR] [--name HOST]…`
//! Stdout is JSON lines: first where it listens and its CA, then one line a request.

#![allow(clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

mod control;
mod messages;
mod origin;
mod record;
mod reply;
mod script;
mod tls;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use record::Recorder;
use reply::Reply;
use script::Script;
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// What all connections share.
pub struct Model {
    pub script: Arc<Script>,
    pub recorder: Recorder,
}

/// One request, read whole.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

struct Options {
    script: String,
    listen: SocketAddr,
    tls: SocketAddr,
    control: SocketAddr,
    names: Vec<String>,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let options = options()?;
    let model =
        Arc::new(Model { script: Arc::new(Script::parse(options.script.as_bytes())?), recorder: Recorder::default() });
    let plain = TcpListener::bind(options.listen).await?;
    let secure = TcpListener::bind(options.tls).await?;
    let control = TcpListener::bind(options.control).await?;
    let (acceptor, ca) = tls::acceptor(&options.names)?;
    record::say(&json!({
        "listen": plain.local_addr()?, "tls": secure.local_addr()?, "control": control.local_addr()?, "ca": ca,
    }));
    loop {
        let model = model.clone();
        tokio::select! {
            Ok((stream, _)) = plain.accept() => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, model, answer));
            }
            Ok((stream, _)) = control.accept() => {
                tokio::spawn(serve(stream, model, control::answer));
            }
            Ok((stream, _)) = secure.accept() => {
                let _ = stream.set_nodelay(true);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, model, answer).await;
                    }
                });
            }
        }
    }
}

fn options() -> Result<Options, Error> {
    let mut options = Options {
        script: "[]".into(),
        listen: "0.0.0.0:80".parse()?,
        tls: "0.0.0.0:443".parse()?,
        control: "0.0.0.0:8081".parse()?,
        names: Vec::new(),
    };
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let value = args.next().ok_or(format!("`{option}` needs a value"))?;
        match option.as_str() {
            "--script" => options.script = std::fs::read_to_string(value)?,
            "--listen" => options.listen = value.parse()?,
            "--tls" => options.tls = value.parse()?,
            "--control" => options.control = value.parse()?,
            "--name" => options.names.push(value),
            _ => return Err(format!("unknown option `{option}`").into()),
        }
    }
    if options.names.is_empty() {
        options.names = vec!["api.anthropic.com".into(), "localhost".into()];
    }
    Ok(options)
}

async fn serve<S, F, R>(stream: S, model: Arc<Model>, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Arc<Model>, Asked) -> R + Copy,
    R: Future<Output = Reply>,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let model = model.clone();
        async move {
            let reply = match read(request).await {
                Ok(asked) => answer(model, asked).await,
                Err(e) => reply::error(400, "invalid_request_error", &e.to_string()),
            };
            Ok::<_, Infallible>(reply)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: Request<Incoming>) -> Result<Asked, hyper::Error> {
    let (parts, body) = request.into_parts();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Asked {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: body.collect().await?.to_bytes(),
    })
}

async fn answer(model: Arc<Model>, asked: Asked) -> Reply {
    model.recorder.add(&asked);
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/v1/messages") => messages::answer(&model.script, &asked.body).await,
        ("POST", "/v1/messages/count_tokens") => reply::json(200, &json!({ "input_tokens": asked.body.len() / 4 })),
        _ => origin::answer(&asked),
    }
}
