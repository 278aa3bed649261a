//! Every bound on what the agent and its upstreams can make the gate hold or wait for: number, unit and reason.
//!
//! The gate's container has 1 GiB of memory. HTTP/1 on all connections, with both sides stalled, holds at most
//! [`MAX_CONNECTIONS`] × 772 KiB = 772 MiB (hyper's four buffers, a head, and what TLS holds on both sides; half a MiB was
//! measured). HTTP/2 holds at most 1 MiB of windows per pair of connections, 128 MiB for the wide ones, 64 KiB or 256 KiB
//! for each request and direction, and 354 KiB for each extra HTTP/1 upstream. All of it stalled at once would be more
//! than the container has: then the kernel ends the gate, and nothing leaves the bottle any more.

use scan::codec::PART;
use std::time::Duration;

// Connections of the agent.

/// Connections of the agent at once, where the descriptor limit allows: each may have a second one to its upstream. More
/// wait in the socket's queue.
pub const MAX_CONNECTIONS: u64 = 1024;
/// Connections that are served even where the descriptor limit is very low.
pub const MIN_CONNECTIONS: u64 = 8;
/// Descriptors of the process that are not connections: files, sockets it listens on, pipes, the resolver's.
pub const RESERVED_DESCRIPTORS: u64 = 64;
/// Wait after `accept` has failed, mostly for want of descriptors: connections that end give theirs back.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Bytes of a first line that names a server: `CONNECT `, a name of 253 bytes, a port.
pub const MAX_FIRST_LINE_BYTES: usize = 300;
/// Time for each step before the first request: the first line, the TLS hello, the rest of the handshake. Also for
/// answering a first line, and for an idle HTTP/2 connection to take leave.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(10);

// Requests.

/// Requests in flight at once on all connections. Each may hold some buffers while its reader is stalled.
pub const MAX_REQUESTS: usize = 4096;
/// Requests in flight at once on one HTTP/2 connection of the agent.
pub const HTTP2_MAX_STREAMS: u32 = 100;
/// Bytes of a request's or an answer's head: room for large cookies and tokens.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Empty lines before a request over HTTP/1. Some old clients send one behind a body.
pub const MAX_EMPTY_LINES: usize = 8;
/// Bytes of one chunk's extension, and of all trailers of a request.
pub const MAX_TRAILER_BYTES: usize = 8 * 1024;
/// Time for the head of a request, counted from the end of the request before: an idle connection ends then, too.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a form's field that are looked at: far more than a field has that names a method.
pub const MAX_FORM_FIELD_BYTES: usize = 1024;
/// Time for the answer to a request after the agent has closed its side. Most clients that do so are gone.
pub const HALF_CLOSE_GRACE: Duration = Duration::from_secs(2);
/// Bytes of a denied request's body that are read and dropped, so that its connection stays usable.
pub const MAX_DISCARDED_BYTES: u64 = 1024 * 1024;
/// Time for reading them.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read before its head is passed on, where what they hold may still deny it.
pub const PREREAD_BYTES: usize = 64 * 1024;
/// Time for reading them: a slow answer goes on as it comes.
pub const PREREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Time in which a connection to an upstream that is done is still read, for bytes that nobody asked for.
pub const UNASKED_TIMEOUT: Duration = Duration::from_secs(1);

// Buffers and windows.

/// Bytes of each of hyper's HTTP/1 buffers: one for each direction, on the agent's side and on the upstream's.
pub const HTTP1_BUFFER_BYTES: usize = 128 * 1024;
/// Bytes of one read from an HTTP/1 connection of the agent. The buffer is the thread's.
pub const HTTP1_READ_BYTES: usize = 16 * 1024;
/// Bytes of one read beneath TLS: two whole records. The buffer is the thread's.
pub const BULK_READ_BYTES: usize = 34 * 1024;
/// Bytes that the agent may send ahead over HTTP/2.
pub const AGENT_WINDOW: Http2Window = Http2Window { stream: 256 * 1024, connection: 512 * 1024 };
/// Bytes of one answer that wait for the agent to read them, over HTTP/2.
pub const AGENT_SEND_BYTES: usize = 64 * 1024;
/// Bytes that an upstream may send ahead over HTTP/2: enough for 100 Mbit/s over a line of 300 ms.
pub const WIDE_WINDOW: Http2Window = Http2Window { stream: 4 * 1024 * 1024, connection: 4 * 1024 * 1024 };
/// Connections to upstreams that get [`WIDE_WINDOW`].
pub const MAX_WIDE_WINDOWS: usize = 32;
/// The window of all other connections to upstreams: where the agent reads none of them, all fill up.
pub const NARROW_WINDOW: Http2Window = Http2Window { stream: 256 * 1024, connection: 512 * 1024 };
/// Bytes of one request's body that wait for an upstream to read them, over HTTP/2.
pub const UPSTREAM_SEND_BYTES: usize = 256 * 1024;
/// Streams of the agent that may wait to be reset before they were accepted; more is an attack, and ends the connection.
pub const MAX_PENDING_RESETS: usize = 20;
/// Streams that the gate may reset for errors of the agent's; more ends the connection.
pub const MAX_ERROR_RESETS: usize = 64;

/// Bytes that a peer may send before any of them are read.
pub struct Http2Window {
    pub stream: u32,
    pub connection: u32,
}

// Upstreams.

/// HTTP/1 connections to the upstream at once, for one connection of the agent.
pub const MAX_POOLED: usize = 16;
/// Connections to upstreams beside the first one of each connection of the agent.
pub const MAX_EXTRA_UPSTREAMS: usize = 1024;
/// How often one request is given to a connection; the last one is always new.
pub const MAX_SEND_ATTEMPTS: usize = 3;
/// Time to wait for a pooled connection that is about to be free, before another is made.
pub const POOL_WAIT: Duration = Duration::from_millis(100);
/// Answers of status 1xx to one request, over HTTP/1: a server that says `102 Processing` every 20 seconds has over an hour.
pub const MAX_INTERIM_ANSWERS: usize = 256;
/// Time for the TLS handshake with an upstream.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one question to the name servers, tries included.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one try with one name server.
pub const RESOLVE_TRY_TIMEOUT: Duration = Duration::from_secs(3);
/// Tries with one name server.
pub const RESOLVE_TRIES: usize = 2;
/// Names whose addresses are remembered, as long as their records live.
pub const RESOLVE_CACHE_ENTRIES: u64 = 512;
/// Addresses of one name that are tried.
pub const MAX_ADDRESSES: usize = 6;
/// Time before the next address is tried beside those under way (RFC 8305).
pub const ADDRESS_STAGGER: Duration = Duration::from_millis(250);
/// Time for one address to connect.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the upstream proxy to answer CONNECT: it resolves and connects meanwhile.
pub const PROXY_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of the head of that answer.
pub const MAX_PROXY_ANSWER_BYTES: usize = 8 * 1024;
/// Silence after which an upstream is probed. A stream may be silent for hours; a dead peer is found all the same.
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two probes.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

// Inspection and WebSockets.

/// Bytes that are inspected before others have their turn: a millisecond's work where they are slow to read.
pub const INSPECT_BYTES: usize = 16 * 1024;
/// Bytes of an encoded answer that are decoded at once: what they decode to is held in memory.
pub const DECODE_BYTES: usize = 8 * PART;
/// Bytes of an encoded answer that are decoded first, and after others that expanded a lot.
pub const MIN_DECODE_BYTES: usize = 16;
/// Bytes of decoded output after which less is decoded at once, and others have their turn.
pub const LARGE_OUTPUT_BYTES: usize = 32 * 1024;
/// Memory that the open compressed files in all bodies may hold. Each body has a bound of its own.
pub const MAX_UNPACKED_HELD_BYTES: usize = 256 * 1024 * 1024;
/// How long nothing must follow before a tail that a search holds back is let go: longer than the parts of one message lie
/// apart, and much shorter than a person waits.
pub const HELD_PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a request that are let go so, of which at most ten may be a credential's own.
pub const MAX_RELEASED_BYTES: usize = 20;
/// Bytes of one read from either side of a WebSocket.
pub const WEBSOCKET_READ_BYTES: usize = 16 * 1024;
/// Time that one direction of a WebSocket may go on after the other has ended, and for the last frame to the agent.
pub const WEBSOCKET_CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

// Connections that pass untouched.

/// Bytes under way in each direction.
pub const PASSTHROUGH_BUFFER_BYTES: usize = 32 * 1024;
/// Bytes of a TLS hello.
pub const MAX_HELLO_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that TLS holds for one side of a connection: rustls keeps up to 64 KiB that cannot be written yet.
    const TLS_BYTES: usize = 64 * 1024 + BULK_READ_BYTES;
    /// The memory of the gate's container.
    const CONTAINER_BYTES: usize = 1 << 30;

    #[test]
    fn stalled_http1_connections_fit_into_the_container() {
        let one = 4 * HTTP1_BUFFER_BYTES + MAX_HEAD_BYTES + 2 * TLS_BYTES;
        assert_eq!(one, 772 * 1024);
        assert!(MAX_CONNECTIONS as usize * one < CONTAINER_BYTES * 4 / 5);
    }
}
