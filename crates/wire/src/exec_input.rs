//! What `exec` sends into a bottle: the input of a command, in frames, over the stdin of `init exec`.
//!
//! The stream ends only with the client. The end of the command's input is a frame of its own, so that an end of the stream
//! always means that nobody waits for the command any more.
//!
//! A frame is a byte for its kind, the length of its body (2 bytes, most significant first), and the body.

/// Longest body, bytes.
const MAX_BODY_BYTES: usize = u16::MAX as usize;
const HEAD_BYTES: usize = 3;

/// A piece of a command's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFrame {
    Data(Vec<u8>),
    /// The command's input is at its end.
    End,
    /// The terminal's size: rows, columns, and its width and height in pixels.
    Size([u16; 4]),
}

/// The stream is not what this version writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadInputFrame;

impl InputFrame {
    /// The bytes of `data`, in as many frames as it needs.
    pub fn encode_data(data: &[u8]) -> Vec<u8> {
        data.chunks(MAX_BODY_BYTES).flat_map(|body| frame(0, body)).collect()
    }

    pub fn encode_end() -> Vec<u8> {
        frame(1, &[])
    }

    pub fn encode_size(size: [u16; 4]) -> Vec<u8> {
        frame(2, &size.map(u16::to_be_bytes).concat())
    }

    /// Takes the first frame out of `stream`; `None` while it is not whole.
    ///
    /// # Errors
    /// It is no frame.
    pub fn take(stream: &mut Vec<u8>) -> Result<Option<InputFrame>, BadInputFrame> {
        let [kind, high, low, rest @ ..] = &stream[..] else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let frame = match (kind, body) {
            (0, body) => InputFrame::Data(body.to_vec()),
            (1, []) => InputFrame::End,
            (2, &[a, b, c, d, e, f, g, h]) => {
                InputFrame::Size([[a, b], [c, d], [e, f], [g, h]].map(u16::from_be_bytes))
            }
            _ => return Err(BadInputFrame),
        };
        stream.drain(..HEAD_BYTES + length);
        Ok(Some(frame))
    }
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_arrive_as_they_were_sent() {
        let data: Vec<u8> = (0..200_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let sent = [
            InputFrame::encode_size([40, 120, 0, 65535]),
            InputFrame::encode_data(&data),
            InputFrame::encode_data(b""),
            InputFrame::encode_end(),
        ]
        .concat();
        for piece in [1, 7, 4096, sent.len()] {
            let (mut stream, mut frames) = (Vec::new(), Vec::new());
            for bytes in sent.chunks(piece) {
                stream.extend_from_slice(bytes);
                while let Some(frame) = InputFrame::take(&mut stream).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames.first(), Some(&InputFrame::Size([40, 120, 0, 65535])));
            assert_eq!(frames.last(), Some(&InputFrame::End));
            let data_of = |frame: &InputFrame| match frame {
                InputFrame::Data(data) => data.clone(),
                _ => Vec::new(),
            };
            assert!(frames.iter().flat_map(data_of).eq(data.iter().copied()), "{piece}");
            assert!(stream.is_empty());
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for wrong in [&[3, 0, 0][..], &[1, 0, 1, 0], &[2, 0, 1, 0], b"text"] {
            let mut stream = [wrong, &[0; 70_000]].concat();
            assert_eq!(InputFrame::take(&mut stream), Err(BadInputFrame), "{wrong:?}");
        }
    }
}
