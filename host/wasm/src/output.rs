//! What a guest prints. Panic messages and script tracebacks go to stderr and nowhere else, so the end of it is kept for the error; it is
//! never passed on to the host's own streams, which a guest could block or flood.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// Bytes kept of what a guest printed: the last ones, where a panic says what happened.
const KEPT: usize = 4 << 10;
/// Bytes taken at once.
const CHUNK: usize = 64 << 10;

/// The end of what a guest printed to stdout and stderr.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Mutex<VecDeque<u8>>>);

impl Output {
    /// What is kept, as one line without control characters; None when nothing was printed.
    pub(crate) fn text(&self) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = one_line(&String::from_utf8_lossy(kept.make_contiguous()), KEPT);
        (!text.is_empty()).then_some(text)
    }

    /// Forgets what an earlier call printed.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn keep(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        let excess = (kept.len() + bytes.len()).saturating_sub(KEPT);
        kept.drain(..excess);
        kept.extend(bytes);
    }
}

/// A guest's text as one printable line of at most `max` bytes.
pub(crate) fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        // What could move a terminal's cursor or fake a line of a log is dropped.
        line.extend(word.chars().filter(|c| !c.is_control()));
        if line.len() > max {
            break;
        }
    }
    truncate(&mut line, max);
    line
}

/// Cuts at a character's border.
fn truncate(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.keep(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept_however_much_is_printed() {
        let output = Output::default();
        for _ in 0..1_000 {
            output.keep(&[b'x'; 1_000]);
        }
        output.keep(b"the end");
        let text = output.text().unwrap();
        assert!(text.len() <= KEPT && text.ends_with("xthe end"), "{} bytes", text.len());
        output.keep(&[b'y'; KEPT * 3]);
        assert_eq!(output.text().unwrap(), "y".repeat(KEPT));
    }

    #[test]
    fn a_guests_text_becomes_one_line_without_control_characters() {
        assert_eq!(one_line("a\n\tb\u{1b}[2Jc\r\n", 100), "a b[2Jc");
        assert_eq!(one_line("ééé", 3), "é");
    }
}
