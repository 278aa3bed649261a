//! Packet lines, as git's protocol frames what it says.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wire::{MAX_PACKET_BYTES, PacketHead, parse_packet_head};

/// Bytes of data in one packet of a side band.
const MAX_BAND_BYTES: usize = MAX_PACKET_BYTES - 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Flush,
    Delimiter,
    ResponseEnd,
    Data(Vec<u8>),
}

/// A channel that one packet can carry beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    Data = 1,
    Progress = 2,
}

/// Reads a packet. `None`: the stream has ended before one.
pub async fn read_packet(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Packet>> {
    let mut head = [0; 4];
    if from.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut head[1..]).await?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "this is not git's protocol");
    Ok(Some(match parse_packet_head(head).ok_or_else(malformed)? {
        PacketHead::Flush => Packet::Flush,
        PacketHead::Delimiter => Packet::Delimiter,
        PacketHead::ResponseEnd => Packet::ResponseEnd,
        PacketHead::Data(length) => {
            let mut data = vec![0; length];
            from.read_exact(&mut data).await?;
            Packet::Data(data)
        }
    }))
}

/// What a packet takes of memory beside its bytes, however few they are.
const PACKET_OVERHEAD_BYTES: usize = 64;

/// Reads packets up to a flush, and returns those of data. `most`: the bytes that all of them may take.
pub async fn read_section(from: &mut (impl AsyncRead + Unpin), most: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut packets, mut bytes) = (Vec::new(), 0);
    loop {
        match read_packet(from).await? {
            Some(Packet::Data(data)) => {
                bytes += data.len() + PACKET_OVERHEAD_BYTES;
                if bytes > most {
                    return Err(io::Error::other("the list is too long"));
                }
                packets.push(data);
            }
            Some(Packet::Flush) => return Ok(packets),
            Some(Packet::Delimiter | Packet::ResponseEnd) => {}
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Appends one packet of data.
pub fn push_packet(into: &mut Vec<u8>, data: &[u8]) {
    into.extend_from_slice(format!("{:04x}", data.len() + 4).as_bytes());
    into.extend_from_slice(data);
}

/// Writes data on a band, in as many packets as it takes.
pub async fn write_band(to: &mut (impl AsyncWrite + Unpin), band: Band, data: &[u8]) -> io::Result<()> {
    for part in data.chunks(MAX_BAND_BYTES) {
        let mut packet = format!("{:04x}", part.len() + 5).into_bytes();
        packet.push(band as u8);
        packet.extend_from_slice(part);
        to.write_all(&packet).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_are_read_as_they_are_written() {
        let mut text = Vec::new();
        push_packet(&mut text, b"hello\n");
        text.extend_from_slice(b"00010002");
        write_band(&mut text, Band::Progress, b"x").await.unwrap();
        text.extend_from_slice(b"0000");
        let mut from = &text[..];
        let mut packets = Vec::new();
        while let Some(packet) = read_packet(&mut from).await.unwrap() {
            packets.push(packet);
        }
        assert_eq!(
            packets,
            [
                Packet::Data(b"hello\n".to_vec()),
                Packet::Delimiter,
                Packet::ResponseEnd,
                Packet::Data(b"\x02x".to_vec()),
                Packet::Flush
            ]
        );
        for bad in [&b"00"[..], b"0003", b"0006x", b"zzzz"] {
            read_packet(&mut &bad[..]).await.unwrap_err();
        }
        assert!(read_section(&mut &text[..], 100).await.is_err());
        assert_eq!(read_section(&mut &text[..], 200).await.unwrap(), [b"hello\n".to_vec(), b"\x02x".to_vec()]);
    }
}
