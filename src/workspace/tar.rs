//! A tar stream for the engine: regular files, folders and links, all of them the agent's. Long names in GNU's way, which
//! the engine reads, and which keeps names that are no text.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wire::AGENT_UID;

const BLOCK: usize = 512;
const PLACE: usize = 100;

/// Mode bits and the time of the last change (Unix, seconds).
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub mode: u32,
    pub time: i64,
}

pub struct Archive<W: Write>(W);

impl<W: Write> Archive<W> {
    pub fn new(into: W) -> Archive<W> {
        Archive(into)
    }

    pub fn folder(&mut self, path: &Path, stamp: Stamp) -> io::Result<()> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.push(b'/');
        self.header(b'5', &name, 0, stamp)
    }

    pub fn link(&mut self, path: &Path, target: &Path, stamp: Stamp) -> io::Result<()> {
        let target = target.as_os_str().as_bytes();
        let mut header = [0; BLOCK];
        self.place(b'K', target, &mut header[157..157 + PLACE])?;
        self.finish_header(b'2', path.as_os_str().as_bytes(), 0, stamp, header)
    }

    /// Exactly `size` bytes: what the file lacks is filled with zeros, what it has beyond is left. Gives what it lacked.
    pub fn file(&mut self, path: &Path, size: u64, stamp: Stamp, content: impl Read) -> io::Result<u64> {
        self.header(b'0', path.as_os_str().as_bytes(), size, stamp)?;
        let missing = size - io::copy(&mut content.take(size), &mut self.0)?;
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        io::copy(&mut io::repeat(0).take(missing + padding), &mut self.0)?;
        Ok(missing)
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        self.0.flush()
    }

    fn header(&mut self, kind: u8, name: &[u8], size: u64, stamp: Stamp) -> io::Result<()> {
        self.finish_header(kind, name, size, stamp, [0; BLOCK])
    }

    fn finish_header(
        &mut self,
        kind: u8,
        name: &[u8],
        size: u64,
        stamp: Stamp,
        mut header: [u8; BLOCK],
    ) -> io::Result<()> {
        self.place(b'L', name, &mut header[..PLACE])?;
        fill(&mut header, kind, size, stamp);
        self.0.write_all(&header)
    }

    /// Puts a name into its place; one that is too long for it goes ahead, as an entry of its own.
    fn place(&mut self, kind: u8, name: &[u8], place: &mut [u8]) -> io::Result<()> {
        let fits = name.len().min(PLACE);
        place[..fits].copy_from_slice(&name[..fits]);
        if name.len() <= PLACE {
            return Ok(());
        }
        let mut header = [0; BLOCK];
        header[..13].copy_from_slice(b"././@LongLink");
        let size = name.len() as u64 + 1;
        fill(&mut header, kind, size, Stamp { mode: 0o644, time: 0 });
        self.0.write_all(&header)?;
        self.0.write_all(name)?;
        self.0.write_all(&vec![0; size.next_multiple_of(BLOCK as u64) as usize - name.len()])
    }
}

/// All but the names.
fn fill(header: &mut [u8; BLOCK], kind: u8, size: u64, stamp: Stamp) {
    number(&mut header[100..108], u64::from(stamp.mode));
    number(&mut header[108..116], u64::from(AGENT_UID));
    number(&mut header[116..124], u64::from(AGENT_UID));
    number(&mut header[124..136], size);
    // A time before 1970 is of no use to anyone here.
    number(&mut header[136..148], u64::try_from(stamp.time).unwrap_or(0));
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar  \0");
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Octal digits and a NUL; in binary where there are too many.
fn number(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    if text.len() == digits {
        field[..digits].copy_from_slice(text.as_bytes());
    } else {
        let at = field.len() - 8;
        field[at..].copy_from_slice(&value.to_be_bytes());
        field[0] = 0x80;
    }
}
