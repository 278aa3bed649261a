//! One connection of the stream: a socket on this side, frames to and from the other side. A half-close, a close or a reset
//! of one side's socket becomes the same on the other side's.
//!
//! Invariant: at most one window of data is held for a socket that does not take it.

use super::frame::{Frame, MAX_DATA_BYTES, ProtocolError, WINDOW_BYTES};
use super::send_buffer::SendBuffer;
use nix::poll::PollFlags;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use sys::net;

/// How long a socket is still read after its data is no longer wanted. If it were closed earlier, a reset could overtake the
/// last data on its way to the socket's peer.
const LINGER: Duration = Duration::from_secs(2);

/// How far one side has closed the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    /// Neither `End` nor `Close`.
    Data,
    End,
    /// `Close` or `NoListener`.
    Close,
}

pub struct Channel {
    /// The port inside the bottle.
    pub port: u16,
    /// `None` once this side is done with it.
    socket: Option<TcpStream>,
    /// While the socket is not connected: the addresses that were not tried yet.
    dialling: Option<Vec<SocketAddr>>,

    /// What the other side has sent so far.
    received: Sent,
    /// The other side's data has come to its end.
    is_complete: bool,
    /// Data for the socket.
    queue: VecDeque<u8>,
    /// Bytes that the other side may still send.
    receive_window: u32,
    /// Bytes that were delivered to the socket and not reported to the other side yet.
    unreported: u32,
    /// The socket was closed for writing.
    is_shut: bool,
    /// A write to the socket has failed.
    write_failed: bool,

    /// What this side has sent so far.
    sent: Sent,
    /// Bytes that this side may still send.
    send_window: u32,
    /// The socket's data has come to its end.
    is_read_to_end: bool,

    /// When the socket is closed, done or not.
    deadline: Option<Instant>,
}

impl Channel {
    fn new(port: u16, socket: Option<TcpStream>) -> Channel {
        Channel {
            port,
            socket,
            dialling: None,
            received: Sent::Data,
            is_complete: false,
            queue: VecDeque::new(),
            receive_window: WINDOW_BYTES,
            unreported: 0,
            is_shut: false,
            write_failed: false,
            sent: Sent::Data,
            send_window: WINDOW_BYTES,
            is_read_to_end: false,
            deadline: None,
        }
    }

    /// A channel for a connection that was accepted on this side.
    ///
    /// # Errors
    /// The socket is closed already.
    pub fn accepted(socket: TcpStream, port: u16) -> std::io::Result<Channel> {
        net::set_nonblocking(&socket)?;
        let _ = socket.set_nodelay(true);
        Ok(Channel::new(port, Some(socket)))
    }

    /// A channel that connects to a port of this side. It tries both loopback addresses, because a server may bind only one.
    pub fn dial(port: u16) -> Channel {
        let mut channel = Channel::new(port, None);
        let addresses = [SocketAddr::from((Ipv6Addr::LOCALHOST, port)), SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        channel.dialling = Some(addresses.to_vec());
        channel.dial_next();
        channel
    }

    /// Starts to connect to the next address that can be tried.
    fn dial_next(&mut self) {
        let left = self.dialling.iter_mut().flat_map(|addresses| std::iter::from_fn(|| addresses.pop()));
        self.socket = left.filter_map(|address| net::start_connect(address).ok()).next();
    }

    /// The socket, and the events to wait for; `None` if there are none.
    pub fn interest(&self, out: &SendBuffer) -> Option<(&TcpStream, PollFlags)> {
        let mut flags = PollFlags::empty();
        if self.dialling.is_some() || !self.queue.is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        if self.dialling.is_none() && self.wants_data(out) {
            flags |= PollFlags::POLLIN;
        }
        // With no events a socket is not polled at all: poll(2) would report an error on it again and again.
        self.socket.as_ref().filter(|_| !flags.is_empty()).map(|socket| (socket, flags))
    }

    /// Whether the socket should be read.
    fn wants_data(&self, out: &SendBuffer) -> bool {
        !self.is_read_to_end && (self.received == Sent::Close || (self.send_window > 0 && out.has_room()))
    }

    /// When [`Channel::advance`] must be called at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether both sides have sent their last frame.
    pub fn is_over(&self) -> bool {
        self.received == Sent::Close && self.sent == Sent::Close
    }

    /// Takes a frame of the other side.
    ///
    /// # Errors
    /// The frame is not allowed here.
    pub fn receive(&mut self, frame: Frame) -> Result<(), ProtocolError> {
        match (frame, self.received) {
            (Frame::Data(bytes), Sent::Data) => {
                let count = u32::try_from(bytes.len()).map_err(|_| ProtocolError)?;
                self.receive_window = self.receive_window.checked_sub(count).ok_or(ProtocolError)?;
                if self.sent != Sent::Close && !self.write_failed {
                    self.queue.extend(bytes);
                }
            }
            (Frame::End, Sent::Data) => (self.received, self.is_complete) = (Sent::End, true),
            (Frame::Window(count @ 1..), Sent::Data | Sent::End) => {
                self.send_window = self
                    .send_window
                    .checked_add(count)
                    .filter(|credit| *credit <= WINDOW_BYTES)
                    .ok_or(ProtocolError)?;
            }
            (Frame::Close, Sent::Data | Sent::End) => self.received = Sent::Close,
            // No data was sent, and that is all of it.
            (Frame::NoListener, Sent::Data) if self.receive_window == WINDOW_BYTES => {
                (self.received, self.is_complete) = (Sent::Close, true)
            }
            _ => return Err(ProtocolError),
        }
        Ok(())
    }

    /// Closes the socket with a reset, so that its peer does not take the data for complete.
    pub fn abort(&mut self) {
        self.queue.clear();
        if let Some(socket) = self.socket.take() {
            net::reset(socket);
        }
    }

    /// Reads, writes and closes as far as possible without waiting. `number` is the channel's, `events` those that poll(2)
    /// reported for its socket.
    pub fn advance(&mut self, number: u32, events: PollFlags, out: &mut SendBuffer) {
        let is_aborted = self.received == Sent::Close && !self.is_complete;
        if self.dialling.is_some() && !self.is_connected(events) {
            if is_aborted {
                self.abort();
            }
            if self.socket.is_none() {
                // A connection that the other side has closed meanwhile needs no `NoListener`.
                let frame = if self.received == Sent::Close { Frame::Close } else { Frame::NoListener };
                self.close(frame, number, out);
            }
            return;
        }
        self.write_socket();
        if is_aborted {
            self.abort();
        }
        if events.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) && self.wants_data(out) {
            self.read_socket(number, out);
        }
        self.finish(number, out);
        self.extend_window(number, out);
    }

    /// Whether the connect has succeeded. Where it has failed, the next address is tried.
    fn is_connected(&mut self, events: PollFlags) -> bool {
        let Some(socket) = &self.socket else { return false };
        if events.is_empty() {
            return false;
        }
        match socket.take_error() {
            Ok(None) => {
                let _ = socket.set_nodelay(true);
                self.dialling = None;
                true
            }
            _ => {
                self.dial_next();
                false
            }
        }
    }

    /// Sends the last frame of this side, once.
    fn close(&mut self, frame: Frame, number: u32, out: &mut SendBuffer) {
        if self.sent != Sent::Close {
            self.sent = Sent::Close;
            out.push(number, frame);
        }
    }

    /// Writes the queue to the socket.
    fn write_socket(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        while !self.queue.is_empty() {
            match socket.write(self.queue.as_slices().0) {
                Ok(count) => {
                    self.queue.drain(..count);
                    self.unreported += u32::try_from(count).unwrap_or(0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.queue.clear();
                    self.write_failed = true;
                    // Data that the peer sent before may still wait to be read, for example the answer of a server that
                    // rejects an upload. Its reset only means that it left bytes unread, and counts as its end.
                    self.deadline = Some(Instant::now() + LINGER);
                }
            }
        }
        // A queue that was long once does not keep its memory.
        self.queue.shrink_to(4 * MAX_DATA_BYTES);
        if self.is_complete && !self.is_shut && !self.write_failed {
            let _ = socket.shutdown(Shutdown::Write);
            self.is_shut = true;
        }
    }

    /// Reads the socket and sends the data to the other side, or throws it away if the other side has closed.
    fn read_socket(&mut self, number: u32, out: &mut SendBuffer) {
        let Some(socket) = &mut self.socket else { return };
        let is_wanted = self.received != Sent::Close;
        let max = if is_wanted { MAX_DATA_BYTES.min(self.send_window as usize) } else { MAX_DATA_BYTES };
        let read = match is_wanted {
            true => out.push_read(number, max, |buffer| socket.read(buffer)),
            false => socket.read(&mut [0; MAX_DATA_BYTES][..max]),
        };
        match read {
            Ok(0) => {
                self.is_read_to_end = true;
                if self.sent == Sent::Data {
                    self.sent = Sent::End;
                    out.push(number, Frame::End);
                }
            }
            Ok(count) if is_wanted => self.send_window -= u32::try_from(count).unwrap_or(0),
            Ok(_) => {}
            Err(error) if [ErrorKind::Interrupted, ErrorKind::WouldBlock].contains(&error.kind()) => {}
            Err(_) => self.abort(),
        }
    }

    /// Closes the socket once both directions have ended or its deadline has passed, then sends the last frame.
    fn finish(&mut self, number: u32, out: &mut SendBuffer) {
        let is_written = self.is_shut || self.write_failed;
        if self.received == Sent::Close && is_written && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + LINGER);
        }
        if is_written && self.is_read_to_end {
            self.socket = None;
        } else if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.abort();
        }
        if self.socket.is_none() {
            self.deadline = None;
            self.close(Frame::Close, number, out);
        }
    }

    /// Reports delivered bytes, so that the other side may send as many more; in pieces of at least a quarter of the window.
    fn extend_window(&mut self, number: u32, out: &mut SendBuffer) {
        if self.unreported >= WINDOW_BYTES / 4
            && self.received == Sent::Data
            && self.sent != Sent::Close
            && out.has_room()
        {
            out.push(number, Frame::Window(self.unreported));
            self.receive_window += self.unreported;
            self.unreported = 0;
        }
    }
}
