//! Many connections over one stream: both ends of `forward`, on the host and inside the bottle.
//!
//! One thread waits for all events. Each connection has a window, so that a slow one delays no other and takes no more
//! memory than its window. The other end is not trusted: it can answer on connections that were opened from here, and any
//! other frame ends the stream.

mod channel;
mod frame;
mod send_buffer;

use channel::Channel;
use frame::{Frame, ProtocolError};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use send_buffer::SendBuffer;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::net;

/// Most connections at one time. More wait in their listener's queue.
const MAX_CONNECTIONS: usize = 256;

/// Most bytes of one read of the stream.
const READ_BYTES: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Host,
    Bottle,
}

/// One end of the stream.
pub struct Mux {
    side: Side,
    input: File,
    output: File,
    /// The other end has sent `Hello`.
    is_up: bool,
    /// The start of a frame that has not arrived whole.
    received: Vec<u8>,
    out: SendBuffer,
    channels: BTreeMap<u32, Channel>,
    /// Number of the next channel.
    next_channel: u32,
    /// Count of rounds so far; it decides which channel goes first.
    rounds: usize,
}

/// What happened in one [`Mux::run_once`].
#[derive(Debug, Default)]
pub struct Round {
    /// Indices of the watched descriptors that are ready.
    pub ready: Vec<usize>,
    /// Ports inside the bottle to which a connection was made and on which no server listens.
    pub without_listener: Vec<u16>,
    /// The other end is gone.
    pub is_over: bool,
}

/// The events that poll(2) reported.
#[derive(Default)]
struct Events {
    /// The stream can be read.
    stream: bool,
    /// By the number of the channel.
    channels: BTreeMap<u32, PollFlags>,
}

impl Events {
    fn on_channel(&self, number: u32) -> PollFlags {
        self.channels.get(&number).copied().unwrap_or(PollFlags::empty())
    }
}

impl Mux {
    /// The host's end, which opens connections. `input` and `output` are the pipes of the stream.
    ///
    /// # Errors
    /// A pipe cannot be made non-blocking.
    pub fn on_host(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> io::Result<Mux> {
        Mux::new(Side::Host, input.into(), output.into())
    }

    /// The bottle's end, to which connections lead. It sends `Hello`.
    ///
    /// # Errors
    /// A pipe cannot be made non-blocking.
    pub fn in_bottle(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> io::Result<Mux> {
        let mut mux = Mux::new(Side::Bottle, input.into(), output.into())?;
        mux.out.push(0, Frame::Hello);
        Ok(mux)
    }

    fn new(side: Side, input: OwnedFd, output: OwnedFd) -> io::Result<Mux> {
        net::set_nonblocking(&input)?;
        net::set_nonblocking(&output)?;
        Ok(Mux {
            side,
            input: File::from(input),
            output: File::from(output),
            is_up: false,
            received: Vec::new(),
            out: SendBuffer::default(),
            channels: BTreeMap::new(),
            next_channel: 1,
            rounds: 0,
        })
    }

    /// Whether the other end is ready.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Whether one more connection may be opened.
    pub fn has_room(&self) -> bool {
        self.channels.len() < MAX_CONNECTIONS
    }

    /// Opens a channel for an accepted connection. It leads to this port inside the bottle.
    ///
    /// # Errors
    /// The socket is closed already.
    pub fn open(&mut self, socket: TcpStream, port: u16) -> io::Result<()> {
        let channel = Channel::accepted(socket, port)?;
        while self.channels.contains_key(&self.next_channel) {
            self.next_channel = self.next_channel.wrapping_add(1);
        }
        self.out.push(self.next_channel, Frame::Open(port));
        self.channels.insert(self.next_channel, channel);
        self.next_channel = self.next_channel.wrapping_add(1);
        Ok(())
    }

    /// Waits until the stream, a socket or one of the `watched` descriptors is ready, then reads and writes as far as possible
    /// without waiting.
    ///
    /// # Errors
    /// Those of the stream; `InvalidData` if the other end breaks the protocol.
    pub fn run_once(&mut self, watched: &[BorrowedFd]) -> io::Result<Round> {
        let mut round = Round::default();
        let events = self.wait(watched, &mut round)?;
        if events.stream {
            self.read_stream(&mut round)?;
        }
        let mut numbers: Vec<u32> = self.channels.keys().copied().collect();
        // Another channel goes first in each round, because the first ones fill the send buffer.
        self.rounds = self.rounds.wrapping_add(1);
        numbers.rotate_left(self.rounds.checked_rem(self.channels.len()).unwrap_or(0));
        for number in numbers {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            channel.advance(number, events.on_channel(number), &mut self.out);
            if channel.is_over() {
                self.channels.remove(&number);
            }
        }
        match self.out.write_to(&mut self.output) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => round.is_over = true,
            written => written?,
        }
        Ok(round)
    }

    fn wait(&self, watched: &[BorrowedFd], round: &mut Round) -> io::Result<Events> {
        let mut fds = vec![PollFd::new(self.input.as_fd(), PollFlags::POLLIN)];
        fds.extend(watched.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        let mut numbers = Vec::new();
        for (number, channel) in &self.channels {
            if let Some((socket, flags)) = channel.interest(&self.out) {
                fds.push(PollFd::new(socket.as_fd(), flags));
                numbers.push(*number);
            }
        }
        if !self.out.is_empty() {
            fds.push(PollFd::new(self.output.as_fd(), PollFlags::POLLOUT));
        }
        match poll(&mut fds, self.poll_timeout()) {
            // A signal makes one of the watched descriptors ready.
            Err(Errno::EINTR) => return Ok(Events::default()),
            polled => polled?,
        };
        let mut events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let stream = events.next().is_some_and(|flags| !flags.is_empty());
        let ready = events.by_ref().take(watched.len()).enumerate().filter(|(_, flags)| !flags.is_empty());
        round.ready = ready.map(|(index, _)| index).collect();
        Ok(Events { stream, channels: numbers.into_iter().zip(events).collect() })
    }

    /// The time until the first deadline of a channel.
    fn poll_timeout(&self) -> PollTimeout {
        let Some(deadline) = self.channels.values().filter_map(Channel::deadline).min() else {
            return PollTimeout::NONE;
        };
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    /// Reads the stream once and takes the frames that are complete.
    fn read_stream(&mut self, round: &mut Round) -> io::Result<()> {
        let begun = self.received.len();
        self.received.resize(begun + READ_BYTES, 0);
        let read = self.input.read(&mut self.received[begun..]);
        self.received.truncate(begun + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => round.is_over = true,
            Err(error) if ![ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
                return Err(error);
            }
            _ => {}
        }
        let received = std::mem::take(&mut self.received);
        let mut read = 0;
        while let Some((number, frame, length)) = frame::decode_first(&received[read..])? {
            self.receive(number, frame, round)?;
            read += length;
        }
        self.received = received;
        self.received.drain(..read);
        Ok(())
    }

    /// Takes one frame of the other end.
    fn receive(&mut self, number: u32, frame: Frame, round: &mut Round) -> Result<(), ProtocolError> {
        match (self.side, frame) {
            (Side::Host, Frame::Hello) if !self.is_up => self.is_up = true,
            (Side::Bottle, Frame::Open(port)) => {
                // A channel may have become free with a frame of the same read.
                self.channels.retain(|_, channel| !channel.is_over());
                if !self.has_room() || self.channels.insert(number, Channel::dial(port)).is_some() {
                    return Err(ProtocolError);
                }
            }
            (_, Frame::Hello | Frame::Open(_)) | (Side::Bottle, Frame::NoListener) => return Err(ProtocolError),
            (_, frame) => {
                let channel = self.channels.get_mut(&number).ok_or(ProtocolError)?;
                channel.receive(frame)?;
                if frame == Frame::NoListener {
                    round.without_listener.push(channel.port);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Mux {
    /// Resets all connections: none of them has all of its data.
    fn drop(&mut self) {
        self.channels.values_mut().for_each(Channel::abort);
    }
}
