//! Cuts an event stream into events without taking them apart.
//!
//! An event is kept as it came (comments, ids, retry times, field order), so that what nobody judged leaves as it arrived. Libraries
//! decode and encode again, which loses that, and bound nothing; here only the borders of an event and its `data` are found. What the
//! data means is not known here. Grammar: WHATWG HTML, "Server-sent events", section 9.2.5 and 9.2.6.

use bytes::{BufMut as _, Bytes, BytesMut};
use thiserror::Error;

#[cfg(test)]
mod tests;

/// One event, raw, with the blank line that ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    raw: Bytes,
}

/// A stream that cannot be cut.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an event is longer than {bytes_max} bytes")]
pub struct TooLong {
    /// The bound.
    pub bytes_max: usize,
}

/// Takes chunks as they arrive, gives events as they are complete.
#[derive(Debug)]
pub struct Splitter {
    buffer: BytesMut,
    /// Everything before this offset was already searched for a blank line.
    searched: usize,
    /// Where the line at `searched` begins.
    line_start: usize,
    /// The last event ended in CR: a LF that follows belongs to it.
    swallow_line_feed: bool,
    bytes_max: usize,
}

impl Event {
    /// An event of the default kind whose data is one frame.
    #[must_use]
    pub fn of_frame(frame: &[u8]) -> Self {
        let mut raw = BytesMut::with_capacity(frame.len() + 24);
        raw.put_slice(b"event: message\n");
        put_data(&mut raw, frame);
        raw.put_u8(b'\n');
        Self { raw: raw.freeze() }
    }

    /// The event as it came.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The event as it goes on the wire.
    #[must_use]
    pub fn into_raw(self) -> Bytes {
        self.raw
    }

    /// The data, or `None` if the event has none or it is empty (comments, priming events).
    #[must_use]
    pub fn data(&self) -> Option<Bytes> {
        let mut first: Option<Bytes> = None;
        let mut joined: Option<BytesMut> = None;
        for line in lines(&self.raw) {
            let Some(value) = field(line, b"data") else { continue };
            match (&first, &mut joined) {
                (None, _) => first = Some(self.raw.slice_ref(value)),
                (Some(_), Some(joined)) => {
                    joined.put_u8(b'\n');
                    joined.put_slice(value);
                }
                (Some(before), None) => {
                    let mut both = BytesMut::from(&before[..]);
                    both.put_u8(b'\n');
                    both.put_slice(value);
                    joined = Some(both);
                }
            }
        }
        joined.map(BytesMut::freeze).or(first).filter(|data| !data.is_empty())
    }

    /// Whether a client that lost the stream could ask to continue after this event.
    #[must_use]
    pub fn has_id(&self) -> bool {
        lines(&self.raw).any(|line| field(line, b"id").is_some())
    }

    /// The same event with other data; every other line stays as and where it was.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Self {
        self.rewrite(b"data", |raw, _| put_data(raw, data))
    }

    /// The same event with `prefix` before its id.
    #[must_use]
    pub fn with_id_prefix(&self, prefix: &str) -> Self {
        if !self.has_id() {
            return self.clone();
        }
        self.rewrite(b"id", |raw, id| {
            raw.put_slice(b"id: ");
            raw.put_slice(prefix.as_bytes());
            raw.put_slice(id);
            raw.put_u8(b'\n');
        })
    }

    /// Replaces all lines of one field by what `put` writes, at the place of the first.
    fn rewrite(&self, name: &[u8], put: impl Fn(&mut BytesMut, &[u8])) -> Self {
        let mut raw = BytesMut::with_capacity(self.raw.len() + 64);
        let mut done = false;
        for line in lines(&self.raw) {
            match field(line, name) {
                Some(_) if done => {}
                Some(value) => {
                    put(&mut raw, value);
                    done = true;
                }
                None if line.is_empty() => {}
                None => {
                    raw.put_slice(line);
                    raw.put_u8(b'\n');
                }
            }
        }
        raw.put_u8(b'\n');
        Self { raw: raw.freeze() }
    }
}

impl Splitter {
    /// A splitter that holds at most `bytes_max` of an unfinished event.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, line_start: 0, swallow_line_feed: false, bytes_max }
    }

    /// Takes what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.put_slice(chunk);
    }

    /// The next complete event.
    ///
    /// # Errors
    /// [`TooLong`] when an unfinished event is past the bound; the stream is then lost.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLong> {
        if self.swallow_line_feed && !self.buffer.is_empty() {
            self.swallow_line_feed = false;
            if self.buffer[0] == b'\n' {
                let _ = self.buffer.split_to(1);
            }
        }
        while let Some(offset) = memchr::memchr2(b'\r', b'\n', &self.buffer[self.searched..]) {
            let at = self.searched + offset;
            let blank = at == self.line_start;
            let carriage_return = self.buffer[at] == b'\r';
            let mut end = at + 1;
            if carriage_return {
                match self.buffer.get(end) {
                    Some(b'\n') => end += 1,
                    Some(_) => {}
                    // The line feed may still be under way. A blank line ends an event now; another line can wait.
                    None if blank => self.swallow_line_feed = true,
                    None => break,
                }
            }
            self.searched = end;
            self.line_start = end;
            if blank {
                let raw = self.buffer.split_to(end).freeze();
                self.searched = 0;
                self.line_start = 0;
                return Ok(Some(Event { raw }));
            }
        }
        if self.buffer.len() > self.bytes_max {
            return Err(TooLong { bytes_max: self.bytes_max });
        }
        Ok(None)
    }
}

fn put_data(raw: &mut BytesMut, data: &[u8]) {
    // JSON may hold line ends between its tokens; each piece becomes a data line of its own.
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        raw.put_slice(b"data: ");
        raw.put_slice(line);
        raw.put_u8(b'\n');
    }
}

fn lines(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    // CRLF gives an empty piece between; no field lives in an empty line, so it does no harm.
    raw.split(|byte| matches!(byte, b'\n' | b'\r'))
}

fn field<'line>(line: &'line [u8], name: &[u8]) -> Option<&'line [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [..] => None,
    }
}
