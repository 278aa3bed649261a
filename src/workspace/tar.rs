//! Writes a tar stream for the engine: regular files, folders and links, all of one owner. Long names are stored as
//! GNU tar does, which the engine reads and which preserves names that are not UTF-8.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes of a block: a header is one, and content is padded to whole ones.
const BLOCK: usize = 512;
/// Bytes of a header's field for a name.
const NAME_FIELD: usize = 100;

/// Mode bits and the time of the last change (Unix, seconds).
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub mode: u32,
    pub time: i64,
}

/// What the header of an entry says.
struct EntryHead<'a> {
    kind: u8,
    name: &'a [u8],
    size: u64,
    stamp: Stamp,
}

/// An archive that is being written. [`Archive::finish`] ends it.
pub struct Archive<W: Write> {
    into: W,
    /// User id, and group id, of every entry.
    owner: u32,
}

impl<W: Write> Archive<W> {
    pub fn new(into: W, owner: u32) -> Archive<W> {
        Archive { into, owner }
    }

    /// Adds a folder.
    pub fn folder(&mut self, path: &Path, stamp: Stamp) -> io::Result<()> {
        let mut name = path.as_os_str().as_bytes().to_vec();
        name.push(b'/');
        self.write_header(EntryHead { kind: b'5', name: &name, size: 0, stamp }, [0; BLOCK])
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &Path, target: &Path, stamp: Stamp) -> io::Result<()> {
        let target = target.as_os_str().as_bytes();
        let mut header = [0; BLOCK];
        self.write_name(b'K', target, &mut header[157..157 + NAME_FIELD])?;
        self.write_header(EntryHead { kind: b'2', name: path.as_os_str().as_bytes(), size: 0, stamp }, header)
    }

    /// Adds a file of exactly `size` bytes: shorter content is padded with zeros, longer content is cut. Returns the count of
    /// missing bytes.
    pub fn file(&mut self, path: &Path, size: u64, stamp: Stamp, content: impl Read) -> io::Result<u64> {
        self.write_header(EntryHead { kind: b'0', name: path.as_os_str().as_bytes(), size, stamp }, [0; BLOCK])?;
        let missing = size - io::copy(&mut content.take(size), &mut self.into)?;
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        io::copy(&mut io::repeat(0).take(missing + padding), &mut self.into)?;
        Ok(missing)
    }

    /// Writes the end of the archive.
    pub fn finish(mut self) -> io::Result<()> {
        self.into.write_all(&[0; 2 * BLOCK])?;
        self.into.flush()
    }

    /// Writes the header of an entry over `header`, which may hold the target of a link already.
    fn write_header(&mut self, entry: EntryHead, mut header: [u8; BLOCK]) -> io::Result<()> {
        self.write_name(b'L', entry.name, &mut header[..NAME_FIELD])?;
        self.fill(&mut header, &entry);
        self.into.write_all(&header)
    }

    /// Writes a name into its field of a header. A name that is too long for the field is written whole as an entry of its own,
    /// of this kind, in front.
    fn write_name(&mut self, kind: u8, name: &[u8], field: &mut [u8]) -> io::Result<()> {
        let fits = name.len().min(NAME_FIELD);
        field[..fits].copy_from_slice(&name[..fits]);
        if name.len() <= NAME_FIELD {
            return Ok(());
        }
        let mut header = [0; BLOCK];
        header[..13].copy_from_slice(b"././@LongLink");
        let size = name.len() as u64 + 1;
        let stamp = Stamp { mode: 0o644, time: 0 };
        self.fill(&mut header, &EntryHead { kind, name, size, stamp });
        self.into.write_all(&header)?;
        self.into.write_all(name)?;
        self.into.write_all(&vec![0; size.next_multiple_of(BLOCK as u64) as usize - name.len()])
    }

    /// Fills in all fields of a header except the names; the checksum covers them, so it comes last.
    fn fill(&self, header: &mut [u8; BLOCK], entry: &EntryHead) {
        write_number(&mut header[100..108], u64::from(entry.stamp.mode));
        write_number(&mut header[108..116], u64::from(self.owner));
        write_number(&mut header[116..124], u64::from(self.owner));
        write_number(&mut header[124..136], entry.size);
        // A time before 1970 becomes 1970.
        write_number(&mut header[136..148], u64::try_from(entry.stamp.time).unwrap_or(0));
        header[156] = entry.kind;
        header[257..265].copy_from_slice(b"ustar  \0");
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Writes a number as octal digits and a NUL, or in GNU tar's binary form if there are too many digits.
fn write_number(field: &mut [u8], value: u64) {
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
