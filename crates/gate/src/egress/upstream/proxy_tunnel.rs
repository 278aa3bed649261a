//! What is said to the upstream proxy before bytes for an upstream pass.

use crate::egress::limits::MAX_PROXY_ANSWER_BYTES;
use crate::egress::live::proxy::{ProxyProtocol, UpstreamProxy};
use crate::egress::peer::authority;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::tls_failure;
use crate::egress::upstream::upstream_stream::UpstreamStream;
use hyper::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_socks::tcp::Socks5Stream;

/// A proxy that reads plain HTTP: it is sent absolute URIs, and its own credentials with each request.
pub struct HttpProxy {
    /// Value of the header `proxy-authorization`.
    pub credentials: Option<HeaderValue>,
}

impl HttpProxy {
    /// `None`: it passes bytes on and reads none.
    pub fn of(proxy: &UpstreamProxy) -> Option<HttpProxy> {
        match &proxy.protocol {
            ProxyProtocol::Http { credentials, .. } => Some(HttpProxy { credentials: credentials.clone() }),
            ProxyProtocol::Socks { .. } => None,
        }
    }
}

pub fn failed_proxy(text: String) -> ServeError {
    ServeError::Failed("proxy", text)
}

/// Has the proxy at the other end of `stream` connect to this upstream, and pass bytes from then on.
pub async fn open(
    stream: TcpStream,
    proxy: &UpstreamProxy,
    host: &str,
    port: u16,
) -> Result<UpstreamStream, ServeError> {
    match &proxy.protocol {
        ProxyProtocol::Socks { credentials } => {
            let opened = match credentials {
                Some((user, password)) => {
                    Socks5Stream::connect_with_password_and_socket(stream, (host, port), user, password).await
                }
                None => Socks5Stream::connect_with_socket(stream, (host, port)).await,
            };
            let opened = opened.map_err(|error| failed_proxy(refused(&format!("answered: {error}"), port)))?;
            Ok(UpstreamStream::Tcp(opened.into_inner()))
        }
        ProxyProtocol::Http { credentials, .. } => {
            let mut stream = secured(stream, proxy).await?;
            match request_tunnel(&mut stream, credentials.as_ref(), &authority(host, port)).await {
                Ok(200..=299) => Ok(stream),
                Ok(407) => Err(failed_proxy(format!("the upstream proxy answered 407: {WRONG_CREDENTIALS}"))),
                Ok(status) => Err(failed_proxy(refused(&format!("answered {status}"), port))),
                Err(error) => Err(failed_proxy(format!("the upstream proxy failed: {error}"))),
            }
        }
    }
}

const WRONG_CREDENTIALS: &str = "it takes no connection without its user and password, or not with these";

/// That the proxy does not connect to an upstream. Many proxies connect to no port but that of HTTPS.
fn refused(answer: &str, port: u16) -> String {
    let hint = match port {
        443 => String::new(),
        port => format!(" when it was asked for port {port}; many proxies connect to port 443 only"),
    };
    format!("the upstream proxy {answer}{hint}")
}

/// A connection to the proxy, inside TLS where the proxy wants it.
pub async fn secured(stream: TcpStream, proxy: &UpstreamProxy) -> Result<UpstreamStream, ServeError> {
    let ProxyProtocol::Http { tls: Some(config), .. } = &proxy.protocol else {
        return Ok(UpstreamStream::Tcp(stream));
    };
    let failed = |why: &str| failed_proxy(format!("TLS with the upstream proxy: {why}"));
    let name = ServerName::try_from(proxy.host.clone()).map_err(|_| failed("its address has no name of a server"))?;
    let secured = TlsConnector::from(config.clone()).connect(name, stream).await;
    let secured = secured.map_err(|error| failed(&tls_failure::explain(&error)))?;
    Ok(UpstreamStream::InProxyTls(Box::new(secured)))
}

/// The status of the proxy's answer to CONNECT. Reads not one byte beyond its head.
async fn request_tunnel(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&HeaderValue>,
    authority: &str,
) -> std::io::Result<u16> {
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
    if let Some(credentials) = credentials {
        head.extend_from_slice(b"proxy-authorization: ");
        head.extend_from_slice(credentials.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    stream.write_all(&head).await?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_PROXY_ANSWER_BYTES {
            return Err(std::io::Error::other("its answer is too long"));
        }
        answer.push(stream.read_u8().await?);
    }
    let status = answer
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| std::io::Error::other("its answer is not HTTP"))
}
