//! Lines from a peer, bounded. What stands in a line is not known here.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// What the next line was.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its end.
    Whole(Bytes),
    /// Longer than allowed; it was read to its end and thrown away.
    TooLong,
    /// Nothing more comes. An unfinished last line is nothing.
    End,
}

/// The next line that is not blank, of at most `bytes_max`. Not safe to cancel: what was read of a line is lost with the future.
///
/// # Errors
/// The reader's own.
pub async fn next_line(from: &mut (impl AsyncBufRead + Unpin), bytes_max: usize) -> std::io::Result<Line> {
    let mut line = BytesMut::new();
    let mut too_long = false;
    loop {
        let available = from.fill_buf().await?;
        if available.is_empty() {
            return Ok(Line::End);
        }
        let end = memchr::memchr(b'\n', available);
        let piece = &available[..end.unwrap_or(available.len())];
        too_long = too_long || line.len() + piece.len() > bytes_max;
        if !too_long {
            line.extend_from_slice(piece);
        }
        let consumed = piece.len() + usize::from(end.is_some());
        from.consume(consumed);
        if end.is_none() {
            continue;
        }
        if too_long {
            return Ok(Line::TooLong);
        }
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        if !line.is_empty() {
            return Ok(Line::Whole(line.freeze()));
        }
    }
}
