//! A connection that must begin to speak in time: one that finishes its handshake and then stays silent
//! would hold its place for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream whose first byte is waited for only so long.
pub struct Patience<S> {
    stream: S,
    /// Gone with the first byte.
    left: Option<Pin<Box<Sleep>>>,
}

impl<S> Patience<S> {
    /// Waits this long for the first byte.
    pub fn new(stream: S, patience: Duration) -> Self {
        Self { stream, left: Some(Box::pin(tokio::time::sleep(patience))) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patience<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            self.left = None;
            return read;
        }
        let is_over = |left: &mut Pin<Box<Sleep>>| left.as_mut().poll(context).is_ready();
        match self.left.as_mut().is_some_and(is_over) {
            true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            false => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patience<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn who_says_nothing_is_cut_off_and_who_speaks_may_be_slow_later() {
        let patience = Duration::from_millis(100);
        let (_silent, ours) = tokio::io::duplex(64);
        let error = Patience::new(ours, patience).read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let (mut theirs, ours) = tokio::io::duplex(64);
        let mut ours = Patience::new(ours, patience);
        theirs.write_all(b"a").await.unwrap();
        assert_eq!(ours.read_u8().await.unwrap(), b'a');
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            theirs.write_all(b"b").await.unwrap();
            theirs
        });
        assert_eq!(ours.read_u8().await.unwrap(), b'b');
    }
}
