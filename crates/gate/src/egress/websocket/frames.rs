//! The frames of a WebSocket (RFC 6455, section 5), followed byte by byte; payloads are never collected.
//!
//! Pure. Nothing is negotiated beyond the base protocol, so that what a frame carries can be read: a reserved bit, an
//! unknown kind of frame or a broken sequence of fragments is an error.

/// Who sends these frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Its payloads are masked.
    Agent,
    Upstream,
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Of a frame's head.
    Head,
    /// Of a message's payload.
    Message,
    /// Of a ping, a pong or a close.
    Control,
}

#[derive(Debug)]
pub struct Frames {
    sender: Sender,
    head: [u8; 14],
    /// Bytes of the head so far.
    got: usize,
    /// Bytes of the payload to come, where the head is whole.
    left: u64,
    /// Bytes of the payload so far: the mask goes on from there.
    at: usize,
    /// Between the first and the last fragment of a message.
    open: bool,
}

impl Frames {
    pub fn new(sender: Sender) -> Frames {
        Frames { sender, head: [0; 14], got: 0, left: 0, at: 0, open: false }
    }

    /// Is the next byte the first one of a frame?
    pub fn between(&self) -> bool {
        self.got == 0
    }

    /// Of the last frame that was begun: 0 goes on with a message, 1 is text, 2 bytes, 8 and above control.
    pub fn kind(&self) -> u8 {
        self.head[0] & 0x0f
    }

    pub fn is_control(&self) -> bool {
        self.head[0] & 8 != 0
    }

    /// Of the last frame that was begun: does it end its message?
    pub fn is_final(&self) -> bool {
        self.head[0] & 0x80 != 0
    }

    /// Takes the bytes of one part from the beginning of these: how many, and of what. Payloads are unmasked in place.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<(usize, Part), &'static str> {
        if self.got < self.length() || self.got < 2 {
            let mut count = 0;
            while count < bytes.len() && (self.got < 2 || self.got < self.length()) {
                self.head[self.got] = bytes[count];
                (self.got, count) = (self.got + 1, count + 1);
                if self.got == 2 {
                    self.check()?;
                }
            }
            if self.got >= 2 && self.got == self.length() {
                self.begin()?;
            }
            return Ok((count, Part::Head));
        }
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if self.sender == Sender::Agent {
            let mask = &self.head[self.got - 4..self.got];
            for (index, byte) in bytes[..count].iter_mut().enumerate() {
                *byte ^= mask[(self.at + index) % 4];
            }
        }
        let part = if self.is_control() { Part::Control } else { Part::Message };
        self.at = (self.at + count) % 4;
        self.left -= count as u64;
        self.rest();
        Ok((count, part))
    }

    /// Bytes of this head, as far as its second byte says.
    fn length(&self) -> usize {
        let size = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + size + if self.sender == Sender::Agent { 4 } else { 0 }
    }

    /// The first two bytes.
    fn check(&mut self) -> Result<(), &'static str> {
        let [first, second, ..] = self.head;
        if first & 0x70 != 0 {
            return Err("a frame has a reserved bit, as only an extension sets it");
        }
        if (second & 0x80 != 0) != (self.sender == Sender::Agent) {
            return Err("a frame is masked where it must not be, or the other way round");
        }
        let last = first & 0x80 != 0;
        match first & 0x0f {
            8..=10 if !last || second & 0x7f > 125 => Err("a control frame is too long, or in parts"),
            8..=10 => Ok(()),
            0 if self.open => {
                self.open = !last;
                Ok(())
            }
            1 | 2 if !self.open => {
                self.open = !last;
                Ok(())
            }
            0..=2 => Err("the parts of a message are out of order"),
            _ => Err("a frame is of an unknown kind"),
        }
    }

    fn begin(&mut self) -> Result<(), &'static str> {
        self.left = match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&self.head[2..10]);
                u64::from_be_bytes(bytes)
            }
            short => u64::from(short),
        };
        self.at = 0;
        if self.left > i64::MAX as u64 {
            return Err("a frame is longer than any can be");
        }
        self.rest();
        Ok(())
    }

    fn rest(&mut self) {
        if self.left == 0 {
            self.got = 0;
        }
    }
}

/// A whole frame of the gate's own, for the agent.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(short as u8),
        middle @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// 1008: what was sent is against the policy. The reason is cut to what a close frame holds.
pub fn close(why: &str) -> Vec<u8> {
    let mut end = why.len().min(120);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    frame(0x88, &[&1008u16.to_be_bytes(), &why.as_bytes()[..end]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = frame(first, payload);
        bytes[1] |= 0x80;
        let head = bytes.len() - payload.len();
        let mask = [1, 2, 3, 0xff];
        for (index, byte) in bytes[head..].iter_mut().enumerate() {
            *byte ^= mask[index % 4];
        }
        bytes.splice(head..head, mask);
        bytes
    }

    /// Message and control payloads, read in pieces of this size.
    fn read(sender: Sender, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
        let (mut frames, mut message, mut control) = (Frames::new(sender), Vec::new(), Vec::new());
        for some in bytes.chunks(piece) {
            let mut some = some.to_vec();
            let mut at = 0;
            while at < some.len() {
                let (count, part) = frames.take(&mut some[at..])?;
                match part {
                    Part::Head => {}
                    Part::Message => message.extend_from_slice(&some[at..at + count]),
                    Part::Control => control.extend_from_slice(&some[at..at + count]),
                }
                assert!(count > 0);
                at += count;
            }
        }
        assert!(frames.between());
        Ok((message, control))
    }

    #[test]
    fn payloads_are_found_however_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let parts = [
            masked(0x01, b"se"),
            masked(0x89, b"ping"),
            masked(0x00, b""),
            masked(0x80, b"cret"),
            masked(0x82, &long[..300]),
            masked(0x82, &long),
            masked(0x88, b"\x03\xe8bye"),
        ];
        let message = [b"secret".as_slice(), &long[..300], &long].concat();
        for piece in [1, 2, 3, 7, 4096, 1 << 20] {
            let read = read(Sender::Agent, &parts.concat(), piece).unwrap();
            assert_eq!(read, (message.clone(), b"ping\x03\xe8bye".to_vec()), "{piece}");
        }
        let plain = [frame(0x01, b"a"), frame(0x80, &long), frame(0x8a, b"")].concat();
        let (message, control) = read(Sender::Upstream, &plain, 11).unwrap();
        assert_eq!((message.len(), control.len()), (70_001, 0));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        for (sender, bytes, why) in [
            (Sender::Agent, frame(0x81, b"x"), "masked"),
            (Sender::Upstream, masked(0x81, b"x"), "masked"),
            (Sender::Agent, masked(0xc1, b"x"), "reserved"),
            (Sender::Agent, masked(0x83, b"x"), "unknown"),
            (Sender::Agent, masked(0x8b, b"x"), "unknown"),
            (Sender::Agent, masked(0x80, b"x"), "order"),
            (Sender::Agent, [masked(0x01, b"x"), masked(0x01, b"x")].concat(), "order"),
            (Sender::Agent, masked(0x09, b"x"), "control"),
            (Sender::Agent, masked(0x89, &[0; 126]), "control"),
            (Sender::Upstream, vec![0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], "longer"),
        ] {
            let error = read(sender, &bytes, 5).unwrap_err();
            assert!(error.contains(why), "{error}: {bytes:?}");
        }
        assert_eq!(close(&"\u{e4}".repeat(100)).len(), 2 + 2 + 120);
    }
}
