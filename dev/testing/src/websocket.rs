//! WebSocket frames, and an origin that answers each with the same payload, or says its credential back.

use crate::gate::{Payload, full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// The origin's end: it answers each frame with the same payload, after a first message that tells its headers.
pub fn serve(request: &mut Request<Incoming>) -> Response<Payload> {
    let upgrade = hyper::upgrade::on(&mut *request);
    let asked = request.headers().contains_key("sec-websocket-extensions");
    let broken = request.uri().query() == Some("broken");
    let way = request.uri().query().unwrap_or_default().to_owned();
    let credential = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = credential.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let frames = said(&way, token.as_bytes());
    tokio::spawn(async move {
        let mut stream = TokioIo::new(upgrade.await.unwrap());
        stream.write_all(&[0x81, 1, if asked { b'y' } else { b'n' }]).await.unwrap();
        if broken {
            stream.write_all(&[0xc1, 1, b'x']).await.unwrap();
        }
        for (first, payload) in frames {
            let _ = stream.write_all(&[head(first, payload.len(), 0), payload].concat()).await;
        }
        let _ = stream.flush().await;
        while let Ok((first, payload)) = receive(&mut stream).await {
            let _ = stream.write_all(&head(first, payload.len(), 0)).await;
            let _ = stream.write_all(&payload).await;
            let _ = stream.flush().await;
        }
    });
    let response = Response::builder().status(101).header("connection", "upgrade");
    let response = response.header("sec-websocket-extensions", "permessage-deflate");
    let response = response.header("upgrade", "websocket");
    let response = match way.as_str() {
        "header" => response.header("x-echo", token),
        "protocol" => response.header("sec-websocket-protocol", token),
        "name" => response.header(format!("x-{token}"), "1"),
        "reason" => {
            let reason = format!("Switching {token}").into_bytes();
            response.extension(hyper::ext::ReasonPhrase::try_from(reason).unwrap())
        }
        _ => response,
    };
    response.body(full("")).unwrap()
}

/// The frames in which the origin says its token, in the way that the query names: first byte and payload.
fn said(way: &str, token: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let (a, b) = token.split_at(token.len() / 2);
    match way {
        "ping" => vec![(0x89, token.to_vec())],
        "pong" => vec![(0x8a, wire::encode_base64(token).into_bytes())],
        "close" => vec![(0x88, [b"\x03\xe8", token].concat())],
        // Between the parts of a message.
        "between" => vec![(0x01, b"a".to_vec()), (0x89, token.to_vec()), (0x80, b"b".to_vec())],
        "twice" => vec![(0x89, wire::encode_base64(wire::encode_base64(token).as_bytes()).into_bytes())],
        "pings" => vec![(0x89, a.to_vec()), (0x89, b.to_vec())],
        _ => Vec::new(),
    }
}

/// Of a frame, without its mask.
pub fn head(first: u8, length: usize, mask: u8) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask | length as u8],
        126..=0xffff => [&[first, mask | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [7, 0x80, 9, 0xff];
    let payload = payload.iter().enumerate().map(|(index, byte)| byte ^ mask[index % 4]);
    head(first, payload.len(), 0x80).into_iter().chain(mask).chain(payload).collect()
}

/// One frame: its first byte and payload.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<(u8, Vec<u8>)> {
    let (first, second) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = match second & 0x7f {
        126 => usize::from(stream.read_u16().await?),
        127 => usize::try_from(stream.read_u64().await?).unwrap(),
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    payload.iter_mut().enumerate().for_each(|(index, byte)| *byte ^= mask[index % 4]);
    Ok((first, payload))
}

pub const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-key", "x"),
    ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
];
