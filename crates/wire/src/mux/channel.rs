//! One connection of a stream: a socket on this side, frames to and from the other. What one end of it does (half a close,
//! a close, a reset) the other end sees.
//!
//! Invariant: no more than a window is held for a socket that does not take it.

use super::frame::{Broken, Frame, LONGEST, WINDOW};
use super::out::Out;
use nix::poll::PollFlags;
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use sys::net;

/// How long a socket is heard whose words nobody wants: closed sooner, a reset could overtake the last answer to it.
const LINGER: Duration = Duration::from_secs(2);

/// A side's last word so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    More,
    End,
    Close,
}

pub struct Channel {
    pub port: u16,
    /// `None`: all is done on this side.
    socket: Option<TcpStream>,
    /// While it is not connected: where else it may be.
    dialling: Option<Vec<SocketAddr>>,

    /// By the other side; and was it all of it?
    heard: Said,
    whole: bool,
    /// For the socket.
    queue: VecDeque<u8>,
    /// What the other side may send still, and what it has not been told of yet.
    allowed: u32,
    owed: u32,
    /// The socket was told the end, or takes no more.
    shut: bool,
    deaf: bool,

    /// To the other side.
    told: Said,
    credit: u32,
    /// The socket has ended.
    ended: bool,

    /// When waiting for the socket is over.
    until: Option<Instant>,
}

impl Channel {
    fn new(port: u16, socket: Option<TcpStream>) -> Channel {
        Channel {
            port,
            socket,
            dialling: None,
            heard: Said::More,
            whole: false,
            queue: VecDeque::new(),
            allowed: WINDOW,
            owed: 0,
            shut: false,
            deaf: false,
            told: Said::More,
            credit: WINDOW,
            ended: false,
            until: None,
        }
    }

    /// For a connection that was made here.
    pub fn accepted(socket: TcpStream, port: u16) -> std::io::Result<Channel> {
        net::set_nonblocking(&socket)?;
        let _ = socket.set_nodelay(true);
        Ok(Channel::new(port, Some(socket)))
    }

    /// For one to a port of this side: a server binds one of loopback's addresses, or both.
    pub fn dial(port: u16) -> Channel {
        let mut channel = Channel::new(port, None);
        let addresses = [SocketAddr::from((Ipv6Addr::LOCALHOST, port)), SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        channel.dialling = Some(addresses.to_vec());
        channel.dial_next();
        channel
    }

    fn dial_next(&mut self) {
        let left = self.dialling.iter_mut().flat_map(|addresses| std::iter::from_fn(|| addresses.pop()));
        self.socket = left.filter_map(|address| net::start_connect(address).ok()).next();
    }

    /// The socket, and what is waited for on it; `None` where that is nothing.
    pub fn interest(&self, out: &Out) -> Option<(&TcpStream, PollFlags)> {
        let mut flags = PollFlags::empty();
        if self.dialling.is_some() || !self.queue.is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        if self.dialling.is_none() && self.wants_words(out) {
            flags |= PollFlags::POLLIN;
        }
        // Not even an error: one that is there would be told again and again.
        self.socket.as_ref().filter(|_| !flags.is_empty()).map(|socket| (socket, flags))
    }

    fn wants_words(&self, out: &Out) -> bool {
        !self.ended && (self.heard == Said::Close || (self.credit > 0 && out.has_room()))
    }

    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Both sides have said all, and are done with their sockets.
    pub fn is_over(&self) -> bool {
        self.heard == Said::Close && self.told == Said::Close
    }

    pub fn hear(&mut self, frame: Frame) -> Result<(), Broken> {
        match (frame, self.heard) {
            (Frame::Data(bytes), Said::More) => {
                let count = u32::try_from(bytes.len()).map_err(|_| Broken)?;
                self.allowed = self.allowed.checked_sub(count).ok_or(Broken)?;
                if self.told != Said::Close && !self.deaf {
                    self.queue.extend(bytes);
                }
            }
            (Frame::End, Said::More) => (self.heard, self.whole) = (Said::End, true),
            (Frame::Window(count @ 1..), Said::More | Said::End) => {
                self.credit = self.credit.checked_add(count).filter(|credit| *credit <= WINDOW).ok_or(Broken)?;
            }
            (Frame::Close, Said::More | Said::End) => self.heard = Said::Close,
            // It has nothing to say, and that is all of it.
            (Frame::Refused, Said::More) if self.allowed == WINDOW => (self.heard, self.whole) = (Said::Close, true),
            _ => return Err(Broken),
        }
        Ok(())
    }

    /// Whoever has the socket's other end learns that it does not have all.
    pub fn cut(&mut self) {
        self.queue.clear();
        if let Some(socket) = self.socket.take() {
            net::reset(socket);
        }
    }

    /// Goes on as far as it can without waiting. `number`: the channel's; `came`: of what was waited for.
    pub fn tend(&mut self, number: u32, came: PollFlags, out: &mut Out) {
        let torn = self.heard == Said::Close && !self.whole;
        if self.dialling.is_some() && !self.is_connected(came) {
            if torn {
                self.cut();
            }
            if self.socket.is_none() {
                // A connection that is closed meanwhile was not refused.
                let word = if self.heard == Said::Close { Frame::Close } else { Frame::Refused };
                self.last_word(word, number, out);
            }
            return;
        }
        self.pass_on();
        if torn {
            self.cut();
        }
        if came.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) && self.wants_words(out) {
            self.listen(number, out);
        }
        self.end(number, out);
        self.grant(number, out);
    }

    /// A socket that is being connected; where it cannot be, the next one.
    fn is_connected(&mut self, came: PollFlags) -> bool {
        let Some(socket) = &self.socket else { return false };
        if came.is_empty() {
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

    fn last_word(&mut self, word: Frame, number: u32, out: &mut Out) {
        if self.told != Said::Close {
            self.told = Said::Close;
            out.put(number, word);
        }
    }

    /// What was heard, to the socket.
    fn pass_on(&mut self) {
        let Some(socket) = &mut self.socket else { return };
        while !self.queue.is_empty() {
            match socket.write(self.queue.as_slices().0) {
                Ok(count) => {
                    self.queue.drain(..count);
                    self.owed += u32::try_from(count).unwrap_or(0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.queue.clear();
                    self.deaf = true;
                    // It may have said something before, which is waiting to be read: a server that has refused an
                    // upload is such a one. Its reset only says that it left bytes unread, and counts as its end.
                    self.until = Some(Instant::now() + LINGER);
                }
            }
        }
        // One that had much to carry once does not keep room for it.
        self.queue.shrink_to(4 * LONGEST);
        if self.whole && !self.shut && !self.deaf {
            let _ = socket.shutdown(Shutdown::Write);
            self.shut = true;
        }
    }

    /// What the socket says, to the other side.
    fn listen(&mut self, number: u32, out: &mut Out) {
        let Some(socket) = &mut self.socket else { return };
        let wanted = self.heard != Said::Close;
        let most = if wanted { LONGEST.min(self.credit as usize) } else { LONGEST };
        let read = match wanted {
            true => out.put_read(number, most, |room| socket.read(room)),
            false => socket.read(&mut [0; LONGEST][..most]),
        };
        match read {
            Ok(0) => {
                self.ended = true;
                if self.told == Said::More {
                    self.told = Said::End;
                    out.put(number, Frame::End);
                }
            }
            Ok(count) if wanted => self.credit -= u32::try_from(count).unwrap_or(0),
            Ok(_) => {}
            Err(error) if [ErrorKind::Interrupted, ErrorKind::WouldBlock].contains(&error.kind()) => {}
            Err(_) => self.cut(),
        }
    }

    /// Lets the socket go when it is time, and says the last word when it is gone.
    fn end(&mut self, number: u32, out: &mut Out) {
        let told_all = self.shut || self.deaf;
        if self.heard == Said::Close && told_all && self.until.is_none() {
            self.until = Some(Instant::now() + LINGER);
        }
        if told_all && self.ended {
            self.socket = None;
        } else if self.until.is_some_and(|until| until <= Instant::now()) {
            self.cut();
        }
        if self.socket.is_none() {
            self.until = None;
            self.last_word(Frame::Close, number, out);
        }
    }

    /// Room for more, told in large pieces.
    fn grant(&mut self, number: u32, out: &mut Out) {
        if self.owed >= WINDOW / 4 && self.heard == Said::More && self.told != Said::Close && out.has_room() {
            out.put(number, Frame::Window(self.owed));
            self.allowed += self.owed;
            self.owed = 0;
        }
    }
}
