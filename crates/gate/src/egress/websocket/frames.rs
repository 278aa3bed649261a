//! Reads the frames of a WebSocket (RFC 6455, section 5) byte by byte, without collecting payloads.
//!
//! Pure. No extension is negotiated, so that every payload can be read: a reserved bit, an unknown opcode or a broken
//! sequence of fragments is an error.

/// Opcodes of frames; those from [`opcode::CLOSE`] on are of control frames.
pub mod opcode {
    pub const CONTINUATION: u8 = 0;
    pub const TEXT: u8 = 1;
    pub const BINARY: u8 = 2;
    pub const CLOSE: u8 = 8;
    pub const PONG: u8 = 10;
}

/// In a frame's first byte: it ends its message.
pub const FINAL: u8 = 0x80;
/// In a frame's second byte: the payload is masked.
const MASKED: u8 = 0x80;
/// Payload bytes of a control frame.
const MAX_CONTROL_PAYLOAD: usize = 125;
/// Status code of a close frame: a message violates the policy.
const POLICY_VIOLATION: u16 = 1008;
/// Bytes of the reason in a close frame, which has two more for the status code.
const MAX_CLOSE_REASON: usize = 120;

/// The side that sends these frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Payloads are masked.
    Agent,
    Upstream,
}

/// What some bytes belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A frame's head.
    Head,
    /// A message's payload.
    Message,
    /// The payload of a ping, a pong or a close.
    Control,
}

#[derive(Debug)]
pub struct Frames {
    sender: Sender,
    head: [u8; 14],
    /// Bytes of the head that were read.
    head_read: usize,
    /// Bytes of the payload that are missing, once the head is complete.
    payload_left: u64,
    /// Index into the mask of the next payload byte.
    mask_index: usize,
    /// More fragments of a message are to come.
    in_message: bool,
}

impl Frames {
    pub fn new(sender: Sender) -> Frames {
        Frames { sender, head: [0; 14], head_read: 0, payload_left: 0, mask_index: 0, in_message: false }
    }

    /// Is the next byte the first one of a frame?
    pub fn is_between(&self) -> bool {
        self.head_read == 0
    }

    /// The opcode of the last frame that was begun.
    pub fn opcode(&self) -> u8 {
        self.head[0] & 0x0f
    }

    /// Is the last frame that was begun a control frame?
    pub fn is_control(&self) -> bool {
        self.opcode() >= opcode::CLOSE
    }

    /// Does the last frame that was begun end its message?
    pub fn is_final(&self) -> bool {
        self.head[0] & FINAL != 0
    }

    /// Reads one part from the beginning of `bytes`, and returns how many bytes it has. Unmasks a payload in place.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<(usize, Part), &'static str> {
        if self.head_read < self.head_length() || self.head_read < 2 {
            let mut count = 0;
            while count < bytes.len() && (self.head_read < 2 || self.head_read < self.head_length()) {
                self.head[self.head_read] = bytes[count];
                (self.head_read, count) = (self.head_read + 1, count + 1);
                if self.head_read == 2 {
                    self.check()?;
                }
            }
            if self.head_read >= 2 && self.head_read == self.head_length() {
                self.begin_payload()?;
            }
            return Ok((count, Part::Head));
        }
        let count = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
        if self.sender == Sender::Agent {
            let mask = &self.head[self.head_read - 4..self.head_read];
            for (index, byte) in bytes[..count].iter_mut().enumerate() {
                *byte ^= mask[(self.mask_index + index) % 4];
            }
        }
        let part = if self.is_control() { Part::Control } else { Part::Message };
        self.mask_index = (self.mask_index + count) % 4;
        self.payload_left -= count as u64;
        self.end_frame_if_complete();
        Ok((count, part))
    }

    /// Bytes of the whole head, as its second byte says.
    fn head_length(&self) -> usize {
        let size = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + size + if self.sender == Sender::Agent { 4 } else { 0 }
    }

    /// Checks the first two bytes.
    fn check(&mut self) -> Result<(), &'static str> {
        let [first, second, ..] = self.head;
        if first & 0x70 != 0 {
            return Err("a frame has a reserved bit, as only an extension sets it");
        }
        if (second & MASKED != 0) != (self.sender == Sender::Agent) {
            return Err("a frame is masked where it must not be, or the other way round");
        }
        let is_final = first & FINAL != 0;
        match first & 0x0f {
            opcode::CLOSE..=opcode::PONG if !is_final || usize::from(second & 0x7f) > MAX_CONTROL_PAYLOAD => {
                Err("a control frame is too long, or in parts")
            }
            opcode::CLOSE..=opcode::PONG => Ok(()),
            opcode::CONTINUATION if self.in_message => {
                self.in_message = !is_final;
                Ok(())
            }
            opcode::TEXT | opcode::BINARY if !self.in_message => {
                self.in_message = !is_final;
                Ok(())
            }
            opcode::CONTINUATION..=opcode::BINARY => Err("the parts of a message are out of order"),
            _ => Err("a frame is of an unknown kind"),
        }
    }

    /// The head is complete: reads the length of the payload.
    fn begin_payload(&mut self) -> Result<(), &'static str> {
        self.payload_left = match self.head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.head[2], self.head[3]])),
            127 => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(&self.head[2..10]);
                u64::from_be_bytes(bytes)
            }
            short => u64::from(short),
        };
        self.mask_index = 0;
        if self.payload_left > i64::MAX as u64 {
            return Err("a frame is longer than any can be");
        }
        self.end_frame_if_complete();
        Ok(())
    }

    fn end_frame_if_complete(&mut self) {
        if self.payload_left == 0 {
            self.head_read = 0;
        }
    }
}

/// A complete frame for the agent, not masked. `first`: its first byte.
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

/// A close frame with status 1008: a message violates the policy. A reason that is too long is cut.
pub fn policy_violation(reason: &str) -> Vec<u8> {
    let mut end = reason.len().min(MAX_CLOSE_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    frame(FINAL | opcode::CLOSE, &[&POLICY_VIOLATION.to_be_bytes(), &reason.as_bytes()[..end]].concat())
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
        assert!(frames.is_between());
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
        assert_eq!(policy_violation(&"\u{e4}".repeat(100)).len(), 2 + 2 + 120);
    }
}
