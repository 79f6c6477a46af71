//! Reading from a client in turns, and not without end.
//!
//! The protocol's code answers control frames (HTTP/2: pings, settings, window updates) as long as there are any. Here a
//! connection reads a little, then others have their turn; and who sends much without a request is not served on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once. The protocol's code makes room for twice of what it has not looked at yet, up to some hundred
/// kilobytes for each connection.
const READ_BYTES_MAX: usize = 8 << 10;

/// What a connection may read before others have their turn.
const TURN_BYTES: usize = 64 << 10;

/// What a connection may read while no request is under way, until the next one begins: heads, and control frames.
const IDLE_BYTES_MAX: usize = 256 << 10;

/// What a connection did so far.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// How many requests were begun.
    begun: AtomicU64,
    /// How many are under way.
    under_way: AtomicU64,
    /// Bytes read since a request was under way.
    idle_bytes: AtomicUsize,
    /// Bytes read in this turn.
    turn_bytes: AtomicUsize,
}

impl Activity {
    /// Whether nothing is under way and nothing was begun since the last call.
    pub(super) fn is_idle_since(&self, begun: &mut u64) -> bool {
        let before = std::mem::replace(begun, self.begun.load(Ordering::Acquire));
        self.under_way.load(Ordering::Acquire) == 0 && before == *begun
    }

    /// The connection is at it again.
    pub(super) fn begin_turn(&self) {
        self.turn_bytes.store(0, Ordering::Release);
    }

    fn is_turn_over(&self) -> bool {
        self.turn_bytes.load(Ordering::Acquire) >= TURN_BYTES
    }

    fn is_pointless(&self) -> bool {
        self.idle_bytes.load(Ordering::Acquire) >= IDLE_BYTES_MAX
    }

    fn note(&self, bytes: usize) {
        self.turn_bytes.fetch_add(bytes, Ordering::AcqRel);
        if self.under_way.load(Ordering::Acquire) == 0 {
            self.idle_bytes.fetch_add(bytes, Ordering::AcqRel);
        }
    }
}

/// A request under way; dropping it ends it.
pub(super) struct UnderWay(Arc<Activity>);

impl UnderWay {
    pub(super) fn begin(activity: &Arc<Activity>) -> Self {
        activity.begun.fetch_add(1, Ordering::AcqRel);
        activity.under_way.fetch_add(1, Ordering::AcqRel);
        activity.idle_bytes.store(0, Ordering::Release);
        Self(Arc::clone(activity))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection's bytes.
pub(super) struct Metered<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Metered<S> {
    pub(super) const fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.activity.is_pointless() {
            return Poll::Ready(Err(io::Error::other("much was sent, and no request")));
        }
        if self.activity.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buffer.remaining().min(READ_BYTES_MAX);
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let bytes = part.filled().len();
        buffer.advance(bytes);
        self.activity.note(bytes);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, repeat};

    use super::*;

    async fn read(metered: &mut Metered<tokio::io::Repeat>, bytes: usize) -> io::Result<usize> {
        metered.activity.begin_turn();
        metered.read_exact(&mut vec![0; bytes]).await
    }

    #[tokio::test]
    async fn who_sends_much_without_a_request_is_not_read_on() {
        let activity = Arc::new(Activity::default());
        let mut metered = Metered::new(repeat(1), Arc::clone(&activity));
        let turns = IDLE_BYTES_MAX / TURN_BYTES;
        for _ in 1..turns {
            read(&mut metered, TURN_BYTES).await.unwrap();
        }
        let request = UnderWay::begin(&activity);
        for _ in 0..10 * turns {
            read(&mut metered, TURN_BYTES).await.unwrap();
        }
        drop(request);
        for _ in 0..turns {
            read(&mut metered, TURN_BYTES).await.unwrap();
        }
        assert!(read(&mut metered, 1).await.is_err());
    }

    #[test]
    fn after_a_turn_others_come_first() {
        let activity = Arc::new(Activity::default());
        let mut metered = Metered::new(repeat(1), Arc::clone(&activity));
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut turn = || {
            activity.begin_turn();
            let mut room = vec![0; 2 * TURN_BYTES];
            let mut buffer = ReadBuf::new(&mut room);
            while Pin::new(&mut metered).poll_read(&mut context, &mut buffer).is_ready() {}
            buffer.filled().len()
        };
        assert_eq!([turn(), turn()], [TURN_BYTES; 2]);
    }
}
