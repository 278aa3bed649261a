//! The server of a control socket. It knows no verb of its own: each service adds its verbs, and a socket serves the
//! verbs that it is given.

use crate::control::{MAX_REQUEST_BYTES, Request};
use crate::sessions::Sessions;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// Pause after an `accept` that failed, most likely for want of a descriptor.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// What a verb answers. The error is for the operator, and quotes no secret.
pub type Answer = Result<Value, String>;

/// Answers a request by its body.
type PlainHandler = dyn Fn(&Value) -> Answer + Send + Sync;
/// Answers a request by its name and its body.
type NamedHandler = dyn Fn(&str, &Value) -> Answer + Send + Sync;

/// Answers a request by as many lines as it sends. It ends when the client is gone.
type StreamHandler = dyn Fn(mpsc::Sender<Value>) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

enum Handler {
    Plain(Box<PlainHandler>),
    Named(Box<NamedHandler>),
    Stream(Box<StreamHandler>),
}

/// The verbs of one control socket.
#[derive(Default)]
pub struct Verbs(BTreeMap<&'static str, Handler>);

impl Verbs {
    /// Adds a verb that takes the body of the request.
    pub fn add(&mut self, verb: &'static str, handler: impl Fn(&Value) -> Answer + Send + Sync + 'static) {
        self.0.insert(verb, Handler::Plain(Box::new(handler)));
    }

    /// Adds a verb that takes a name and the body of the request.
    pub fn add_named(&mut self, verb: &'static str, handler: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) {
        self.0.insert(verb, Handler::Named(Box::new(handler)));
    }

    /// Adds a verb that takes nothing, and whose answer lasts as long as its client.
    pub fn add_stream<F>(
        &mut self,
        verb: &'static str,
        handler: impl Fn(mpsc::Sender<Value>) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.insert(verb, Handler::Stream(Box::new(move |lines| Box::pin(handler(lines)))));
    }

    fn answer(&self, request: &Request) -> Answer {
        match (self.0.get(request.verb.as_str()), &request.name) {
            (Some(Handler::Plain(handler)), None) => handler(&request.body),
            (Some(Handler::Named(handler)), Some(name)) => handler(name, &request.body),
            _ => Err("unknown verb".to_owned()),
        }
    }
}

/// Serves these verbs until it is dropped.
pub async fn serve(listener: UnixListener, verbs: Verbs, sessions: Arc<Sessions>) {
    let verbs = Arc::new(verbs);
    loop {
        match listener.accept().await {
            // A child of the gate's is no operator.
            Ok((stream, _)) if sessions.holds_peer(&stream) => {}
            Ok((stream, _)) => {
                let verbs = verbs.clone();
                tokio::spawn(async move {
                    let _ = serve_client(stream, &verbs).await;
                });
            }
            Err(_) => tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await,
        }
    }
}

async fn serve_client(stream: UnixStream, verbs: &Verbs) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        (&mut read).take(MAX_REQUEST_BYTES).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let answer = match serde_json::from_slice::<Request>(&line) {
            Ok(Request { verb, name: None, .. }) if let Some(Handler::Stream(handler)) = verbs.0.get(verb.as_str()) => {
                return serve_stream(handler, read, write).await;
            }
            Ok(request) => verbs.answer(&request).unwrap_or_else(|why| json!({ "error": why })),
            Err(_) => json!({ "error": "a request is a JSON object with a `verb`" }),
        };
        write.write_all(format!("{answer}\n").as_bytes()).await?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}

/// Writes what the verb sends, until it or the client ends. What the client still sends is dropped.
async fn serve_stream(
    handler: &StreamHandler,
    mut read: BufReader<OwnedReadHalf>,
    mut write: OwnedWriteHalf,
) -> std::io::Result<()> {
    let (sender, mut lines) = mpsc::channel(1);
    let mut sent = handler(sender);
    let mut dropped = [0; 64];
    loop {
        tokio::select! {
            Some(line) = lines.recv() => write.write_all(format!("{line}\n").as_bytes()).await?,
            read = read.read(&mut dropped) => if read? == 0 { return Ok(()) },
            () = &mut sent => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_known_with_its_name_or_without_one() {
        let mut verbs = Verbs::default();
        verbs.add("echo", |body| Ok(body.clone()));
        verbs.add_named("greet", |name, _| Ok(json!(name)));
        let ask = |verb: &str, name: Option<&str>| {
            verbs.answer(&Request { verb: verb.to_owned(), name: name.map(str::to_owned), body: json!(1) })
        };
        assert_eq!(ask("echo", None), Ok(json!(1)));
        assert_eq!(ask("greet", Some("a")), Ok(json!("a")));
        for (verb, name) in [("echo", Some("a")), ("greet", None), ("other", None)] {
            assert_eq!(ask(verb, name), Err("unknown verb".to_owned()), "{verb}");
        }
    }
}
