//! LZ4 frames, the older kind as well, as they stream. Checksums are stepped over: damage hides nothing.
//!
//! Written here, because ready-made decoders want whole blocks of 4 MiB, and a damaged block would hide what is in it.

use super::{Broken, MALFORMED, MAX_PUSH_OUTPUT, TOO_MUCH, TRUNCATED};

pub const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
pub const LEGACY_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// How far back a copy may reach.
const WINDOW_BYTES: usize = 64 << 10;
/// The largest block: of the older kind 8 MiB and what does not shrink, of the newer 4 MiB.
const MAX_BLOCK_BYTES: usize = 16 << 20;
/// The shortest copy.
const MIN_COPY_BYTES: usize = 4;

#[derive(Default)]
pub struct Lz4 {
    state: Lz4State,
    /// A number or a header, as far as it came.
    field: Vec<u8>,
    is_legacy: bool,
    has_block_checksum: bool,
    has_content_checksum: bool,
    /// Bytes of the block still to come.
    block: usize,
    literals: usize,
    copy: usize,
    offset: usize,
    /// What was made last: copies are made from it.
    window: Vec<u8>,
    frames: usize,
    /// Behind the last frame: what follows is none.
    pub over: bool,
}

/// What the next byte belongs to.
#[derive(Default, Clone, Copy, PartialEq)]
enum Lz4State {
    #[default]
    Magic,
    /// Flags, sizes and the header's checksum.
    Header,
    BlockSize,
    Stored,
    Token,
    LiteralLength,
    Literals,
    Offset,
    CopyLength,
    /// Checksum of a block.
    BlockChecksum,
    /// Checksum of the whole.
    ContentChecksum,
}

impl Lz4 {
    pub fn push(&mut self, mut bytes: &[u8], made: &mut Vec<u8>) -> Result<(), Broken> {
        while let [first, rest @ ..] = bytes {
            if self.over {
                return Ok(());
            }
            if matches!(self.state, Lz4State::Stored | Lz4State::Literals) {
                let left = if self.state == Lz4State::Stored { self.block } else { self.literals };
                let (plain, behind) = bytes.split_at(left.min(bytes.len()));
                if plain.len() > self.block {
                    return Err(MALFORMED);
                }
                self.make(plain, made);
                self.block -= plain.len();
                if self.state == Lz4State::Literals {
                    self.literals -= plain.len();
                    if self.literals == 0 {
                        self.state = self.behind_literals();
                    }
                } else if self.block == 0 {
                    self.state = self.behind_block();
                }
                bytes = behind;
            } else {
                self.take(*first, made)?;
                bytes = rest;
            }
            if made.len() > MAX_PUSH_OUTPUT {
                return Err(TOO_MUCH);
            }
        }
        Ok(())
    }

    fn take(&mut self, byte: u8, made: &mut Vec<u8>) -> Result<(), Broken> {
        let is_in_block =
            matches!(self.state, Lz4State::Token | Lz4State::LiteralLength | Lz4State::Offset | Lz4State::CopyLength);
        if is_in_block {
            self.block = self.block.checked_sub(1).ok_or(MALFORMED)?;
        }
        match self.state {
            Lz4State::Token => {
                (self.literals, self.copy) = (usize::from(byte >> 4), usize::from(byte & 15) + MIN_COPY_BYTES);
                self.state = match self.literals {
                    15 => Lz4State::LiteralLength,
                    0 => self.behind_literals(),
                    _ => Lz4State::Literals,
                };
            }
            Lz4State::LiteralLength => {
                self.literals += usize::from(byte);
                if byte != 255 {
                    self.state = Lz4State::Literals;
                }
            }
            Lz4State::CopyLength => {
                self.copy = self.copy.saturating_add(usize::from(byte));
                if byte != 255 {
                    self.copy(made)?;
                }
            }
            _ => {
                self.field.push(byte);
                return self.read_field(made);
            }
        }
        Ok(())
    }

    /// Reads what has a fixed length, once it is whole.
    fn read_field(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        match (self.state, &self.field[..]) {
            (Lz4State::Offset, [low, high]) => {
                self.offset = usize::from(u16::from_le_bytes([*low, *high]));
                if self.copy == 15 + MIN_COPY_BYTES {
                    self.state = Lz4State::CopyLength;
                } else {
                    self.copy(made)?;
                }
            }
            (Lz4State::Header, [flags, _, rest @ ..]) => {
                let sizes = if flags & 8 != 0 { 8 } else { 0 } + if flags & 1 != 0 { 4 } else { 0 };
                if flags >> 6 != 1 {
                    return Err(MALFORMED);
                }
                if rest.len() < sizes + 1 {
                    return Ok(());
                }
                self.has_block_checksum = flags & 16 != 0;
                self.has_content_checksum = flags & 4 != 0;
                self.state = Lz4State::BlockSize;
            }
            (Lz4State::Magic, magic @ [_, _, _, _]) => {
                if magic != MAGIC && magic != LEGACY_MAGIC {
                    self.over = true;
                    return if self.frames == 0 { Err(MALFORMED) } else { Ok(()) };
                }
                self.is_legacy = magic == LEGACY_MAGIC;
                self.state = if self.is_legacy { Lz4State::BlockSize } else { Lz4State::Header };
                self.has_block_checksum = false;
                self.frames += 1;
                self.window.clear();
            }
            (Lz4State::BlockSize, [a, b, c, d]) => self.begin_block([*a, *b, *c, *d])?,
            (Lz4State::BlockChecksum, [_, _, _, _]) => self.state = Lz4State::BlockSize,
            (Lz4State::ContentChecksum, [_, _, _, _]) => self.state = Lz4State::Magic,
            _ => return Ok(()),
        }
        self.field.clear();
        Ok(())
    }

    fn begin_block(&mut self, bytes: [u8; 4]) -> Result<(), Broken> {
        // Frames of the older kind have no end: another may begin.
        if self.is_legacy && (bytes == LEGACY_MAGIC || bytes == MAGIC) {
            self.is_legacy = bytes == LEGACY_MAGIC;
            self.state = if self.is_legacy { Lz4State::BlockSize } else { Lz4State::Header };
            return Ok(());
        }
        let size = u32::from_le_bytes(bytes);
        let is_stored = !self.is_legacy && size >> 31 == 1;
        self.block = if self.is_legacy { size as usize } else { (size & 0x7fff_ffff) as usize };
        if self.block > MAX_BLOCK_BYTES {
            return Err(MALFORMED);
        }
        self.state = match (self.block, is_stored) {
            (0, _) if self.is_legacy => return Err(MALFORMED),
            (0, _) if self.has_content_checksum => Lz4State::ContentChecksum,
            (0, _) => Lz4State::Magic,
            (_, true) => Lz4State::Stored,
            (_, false) => Lz4State::Token,
        };
        Ok(())
    }

    /// A block ends with literals.
    fn behind_literals(&self) -> Lz4State {
        if self.block == 0 { self.behind_block() } else { Lz4State::Offset }
    }

    fn behind_block(&self) -> Lz4State {
        if self.has_block_checksum { Lz4State::BlockChecksum } else { Lz4State::BlockSize }
    }

    fn make(&mut self, plain: &[u8], made: &mut Vec<u8>) {
        made.extend_from_slice(plain);
        self.window.extend_from_slice(plain);
        if self.window.len() > 2 * WINDOW_BYTES {
            self.window.drain(..self.window.len() - WINDOW_BYTES);
        }
    }

    fn copy(&mut self, made: &mut Vec<u8>) -> Result<(), Broken> {
        if self.offset == 0 || self.offset > self.window.len() {
            return Err(MALFORMED);
        }
        if made.len() + self.copy > MAX_PUSH_OUTPUT {
            return Err(TOO_MUCH);
        }
        // What is made repeats what stands `offset` bytes before: the part that is copied at one time doubles.
        let mut reach = self.offset;
        while self.copy > 0 {
            let from = self.window.len() - reach;
            let part = self.window[from..from + self.copy.min(reach)].to_vec();
            self.copy -= part.len();
            self.make(&part, made);
            reach = if 2 * reach <= WINDOW_BYTES { 2 * reach } else { reach };
        }
        self.state = if self.block == 0 { self.behind_block() } else { Lz4State::Token };
        Ok(())
    }

    /// Bytes read of a frame that may follow the one before; `None`: this is not where one begins.
    pub fn bytes_of_next_frame(&self) -> Option<usize> {
        let begins = self.state == Lz4State::Magic || (self.is_legacy && self.state == Lz4State::BlockSize);
        (self.frames > 0 && begins).then_some(self.field.len())
    }

    pub fn finish(&mut self) -> Result<(), Broken> {
        if self.over || self.bytes_of_next_frame() == Some(0) { Ok(()) } else { Err(TRUNCATED) }
    }
}
