//! Many connections over one stream: both ends of `forward`, the one here and the one inside.
//!
//! One thread waits for everything at once. Each connection has a window, so that a slow one holds up no other and takes
//! no more memory than that. What comes from the other end is hostile: it can answer on connections that were made here,
//! and whatever else it says ends the stream.

mod channel;
mod frame;
mod out;

use channel::Channel;
use frame::{Broken, Frame};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use out::Out;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use sys::net;

/// Connections at one time; more wait in their listener's queue.
const MOST: usize = 256;

/// Bytes of one look at the stream.
const BLOCK: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Here,
    Inside,
}

pub struct Mux {
    side: Side,
    input: File,
    output: File,
    /// The other end has said that it is there.
    up: bool,
    /// The beginning of a frame.
    received: Vec<u8>,
    out: Out,
    channels: BTreeMap<u32, Channel>,
    /// The number of the next one.
    next: u32,
    turns: usize,
}

/// What came of waiting once.
#[derive(Debug, Default)]
pub struct Turn {
    /// Of the watched descriptors, by their place.
    pub ready: Vec<usize>,
    /// Ports inside where nobody listens.
    pub refused: Vec<u16>,
    /// The other end is gone.
    pub over: bool,
}

/// What was there to go on with.
#[derive(Default)]
struct Came {
    stream: bool,
    connections: BTreeMap<u32, PollFlags>,
}

impl Came {
    fn of(&self, number: u32) -> PollFlags {
        self.connections.get(&number).copied().unwrap_or(PollFlags::empty())
    }
}

impl Mux {
    /// Where connections are made; a stream's two pipes.
    pub fn here(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> io::Result<Mux> {
        Mux::new(Side::Here, input.into(), output.into())
    }

    /// Where they lead to.
    pub fn inside(input: impl Into<OwnedFd>, output: impl Into<OwnedFd>) -> io::Result<Mux> {
        let mut mux = Mux::new(Side::Inside, input.into(), output.into())?;
        mux.out.put(0, Frame::Hello);
        Ok(mux)
    }

    fn new(side: Side, input: OwnedFd, output: OwnedFd) -> io::Result<Mux> {
        net::set_nonblocking(&input)?;
        net::set_nonblocking(&output)?;
        Ok(Mux {
            side,
            input: File::from(input),
            output: File::from(output),
            up: false,
            received: Vec::new(),
            out: Out::default(),
            channels: BTreeMap::new(),
            next: 1,
            turns: 0,
        })
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    pub fn has_room(&self) -> bool {
        self.channels.len() < MOST
    }

    /// Takes a connection that leads to this port inside.
    pub fn open(&mut self, socket: TcpStream, port: u16) -> io::Result<()> {
        let channel = Channel::accepted(socket, port)?;
        while self.channels.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        self.out.put(self.next, Frame::Open(port));
        self.channels.insert(self.next, channel);
        self.next = self.next.wrapping_add(1);
        Ok(())
    }

    /// Waits until something can go on, and goes on with it; `watched` are waited for, too.
    ///
    /// # Errors
    /// `InvalidData` where the other end says what it may not.
    pub fn turn(&mut self, watched: &[BorrowedFd]) -> io::Result<Turn> {
        let mut turn = Turn::default();
        let came = self.wait(watched, &mut turn)?;
        if came.stream {
            self.receive(&mut turn)?;
        }
        let mut numbers: Vec<u32> = self.channels.keys().copied().collect();
        // Room is short: each goes first in its turn.
        self.turns = self.turns.wrapping_add(1);
        numbers.rotate_left(self.turns.checked_rem(self.channels.len()).unwrap_or(0));
        for number in numbers {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            channel.tend(number, came.of(number), &mut self.out);
            if channel.is_over() {
                self.channels.remove(&number);
            }
        }
        match self.out.send(&mut self.output) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => turn.over = true,
            sent => sent?,
        }
        Ok(turn)
    }

    fn wait(&self, watched: &[BorrowedFd], turn: &mut Turn) -> io::Result<Came> {
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
        match poll(&mut fds, self.patience()) {
            // A signal is told by what is watched.
            Err(Errno::EINTR) => return Ok(Came::default()),
            waited => waited?,
        };
        let mut came = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let stream = came.next().is_some_and(|flags| !flags.is_empty());
        let ready = came.by_ref().take(watched.len()).enumerate().filter(|(_, flags)| !flags.is_empty());
        turn.ready = ready.map(|(place, _)| place).collect();
        Ok(Came { stream, connections: numbers.into_iter().zip(came).collect() })
    }

    /// Until the first of those that do not wait for ever.
    fn patience(&self) -> PollTimeout {
        let Some(until) = self.channels.values().filter_map(Channel::until).min() else { return PollTimeout::NONE };
        let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    /// What the stream has, and no more than one block of it.
    fn receive(&mut self, turn: &mut Turn) -> io::Result<()> {
        let begun = self.received.len();
        self.received.resize(begun + BLOCK, 0);
        let read = self.input.read(&mut self.received[begun..]);
        self.received.truncate(begun + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => turn.over = true,
            Err(error) if ![ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {
                return Err(error);
            }
            _ => {}
        }
        let received = std::mem::take(&mut self.received);
        let mut read = 0;
        while let Some((number, frame, length)) = frame::first(&received[read..])? {
            self.hear(number, frame, turn)?;
            read += length;
        }
        self.received = received;
        self.received.drain(..read);
        Ok(())
    }

    fn hear(&mut self, number: u32, frame: Frame, turn: &mut Turn) -> Result<(), Broken> {
        match (self.side, frame) {
            (Side::Here, Frame::Hello) if !self.up => self.up = true,
            (Side::Inside, Frame::Open(port)) => {
                // Those whose last word has just come.
                self.channels.retain(|_, channel| !channel.is_over());
                if !self.has_room() || self.channels.insert(number, Channel::dial(port)).is_some() {
                    return Err(Broken);
                }
            }
            (_, Frame::Hello | Frame::Open(_)) | (Side::Inside, Frame::Refused) => return Err(Broken),
            (_, frame) => {
                let channel = self.channels.get_mut(&number).ok_or(Broken)?;
                channel.hear(frame)?;
                if frame == Frame::Refused {
                    turn.refused.push(channel.port);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Mux {
    /// Nobody has all of what was under way.
    fn drop(&mut self) {
        self.channels.values_mut().for_each(Channel::cut);
    }
}
