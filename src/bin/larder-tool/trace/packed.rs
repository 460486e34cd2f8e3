//! What zstd packed: one frame behind the other, and frames to skip.

use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::{self, BufRead, Error, Read};

/// The first bytes of a frame to skip, the first of them with its low four bits 0; its length is behind them.
const SKIP: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];

pub(super) struct Frames<R: Read> {
    /// `None` at the end.
    frame: Option<StreamingDecoder<R, FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    pub(super) fn new(bytes: R) -> io::Result<Self> {
        let frame = first(bytes)?;
        Ok(Self { frame })
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.frame {
            let len = frame.read(buffer)?;
            if len > 0 || buffer.is_empty() {
                return Ok(len);
            }
            self.frame = match self.frame.take() {
                Some(frame) => first(frame.into_inner())?,
                None => None,
            };
        }
        Ok(0)
    }
}

/// The next frame that has content.
fn first<R: BufRead>(mut bytes: R) -> io::Result<Option<StreamingDecoder<R, FrameDecoder>>> {
    loop {
        let start = bytes.fill_buf()?;
        if start.is_empty() {
            return Ok(None);
        }
        let start = start.first_chunk::<4>();
        if start.is_none_or(|[low, rest @ ..]| low & 0xf0 != SKIP[0] || rest[..] != SKIP[1..]) {
            let frame = StreamingDecoder::new(bytes);
            return frame
                .map(Some)
                .map_err(|error| Error::other(format!("not zstd: {error}")));
        }
        let mut head = [0; 8];
        bytes.read_exact(&mut head)?;
        let [.., a, b, c, d] = head;
        let len = u32::from_le_bytes([a, b, c, d]);
        io::copy(&mut bytes.by_ref().take(len.into()), &mut io::sink())?;
    }
}
