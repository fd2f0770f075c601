//! Packets on a line: what both ends do with bytes.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use nephrobox_shared::link::frame::{self, Decoder, FRAME};
use nephrobox_shared::link::message::Packet;
use tokio::io::ReadBuf;
use tokio::time::{Instant, sleep_until};

use crate::line::Line;

/// Bytes read or prepared at once.
const BUFFER: usize = 64 << 10;
/// Silence after which a line counts as dead.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How often a sign of life is asked for.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(1);
/// A baud rate is bits on the line, and a byte is ten of them: start, eight, stop.
pub(crate) const BITS_PER_BYTE: u32 = 10;

/// A line with what has come and what is to go.
pub(crate) struct Wire<L> {
    line: L,
    decoder: Box<Decoder>,
    input: Box<[u8]>,
    /// Bytes of `input` that are not looked at yet.
    at: usize,
    end: usize,
    output: Vec<u8>,
    written: usize,
    frame: Box<[u8; FRAME]>,
    /// Bytes that may wait for the line before new pieces are made.
    ahead: usize,
    /// Whether the line keeps bytes until it is flushed.
    holds_back: bool,
    /// When the last whole frame came, moved on by the time in which nobody listened.
    heard: Instant,
    /// When this side listened last.
    listened: Instant,
    /// When the last packet was pushed.
    said: Instant,
    born: Instant,
}

impl<L: Line> Wire<L> {
    /// Takes a line whose speed is `baud` bit/s; 0 for a line that has none.
    pub(crate) fn new(line: L, baud: u32) -> Self {
        let now = Instant::now();
        Self {
            line,
            decoder: Box::default(),
            input: vec![0; BUFFER].into_boxed_slice(),
            at: 0,
            end: 0,
            output: Vec::with_capacity(BUFFER + FRAME),
            written: 0,
            frame: vec![0; FRAME]
                .into_boxed_slice()
                .try_into()
                .unwrap_or_else(|_| unreachable!("the length is the array's")),
            ahead: ahead(baud),
            holds_back: baud == 0,
            heard: now,
            listened: now,
            said: now,
            born: now,
        }
    }

    /// The transfers' clock in ms.
    pub(crate) fn now_ms(&self) -> u64 {
        self.born.elapsed().as_millis() as u64
    }

    /// A moment of the transfers' clock.
    pub(crate) fn moment(&self, ms: u64) -> Instant {
        self.born + Duration::from_millis(ms)
    }

    /// When the last whole frame came. Time in which this side did not listen, because it had other things to do or the system did not let
    /// it run, is no silence of the other.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// When the last packet was pushed.
    pub(crate) fn said(&self) -> Instant {
        self.said
    }

    /// Puts a packet behind those that wait for the line.
    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        // Packets are made from bounded parts, and pieces are cut to size: they fit.
        if let Ok(len) = frame::encode(packet, &mut self.frame) {
            self.output.extend_from_slice(&self.frame[..len]);
            self.said = Instant::now();
        }
    }

    /// Whether further pieces may be pushed: those that wait would keep an answer waiting behind them.
    pub(crate) fn has_room(&self) -> bool {
        self.output.len() - self.written < self.ahead
    }

    /// Whether everything pushed was handed to the system.
    pub(crate) fn is_drained(&self) -> bool {
        self.output.is_empty()
    }

    /// Changes the speed, in bit/s.
    pub(crate) fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        self.line.set_baud(baud)?;
        self.ahead = ahead(baud);
        Ok(())
    }

    /// The next packet among the bytes that have come; damaged frames are passed over.
    pub(crate) fn packet(&mut self) -> Option<Packet<'_>> {
        loop {
            let mut rest = &self.input[self.at..self.end];
            let before = rest.len();
            let found = self.decoder.advance(&mut rest);
            self.at += before - rest.len();
            match found {
                None => return None,
                // The sender finds out that it was not heard, and says it again.
                Some(Err(_)) => {}
                Some(Ok(())) => {
                    self.heard = Instant::now();
                    return self.decoder.packet();
                }
            }
        }
    }

    /// Moves bytes until some came, all went, or `until` is there.
    ///
    /// # Errors
    /// When the line is gone.
    pub(crate) async fn turn(&mut self, until: Instant) -> io::Result<()> {
        self.was_away_since(self.listened);
        let begun = Instant::now();
        let moved = self.move_bytes(until).await;
        self.was_away_since(until.max(begun));
        self.listened = Instant::now();
        moved
    }

    fn was_away_since(&mut self, since: Instant) {
        let away = since.elapsed();
        if away > HEARTBEAT / 4 {
            self.heard += away;
        }
    }

    async fn move_bytes(&mut self, until: Instant) -> io::Result<()> {
        let mut alarm = pin!(sleep_until(until));
        poll_fn(|context| {
            let mut moved = false;
            let waited = !self.output.is_empty();
            while self.written < self.output.len() {
                let rest = &self.output[self.written..];
                match Pin::new(&mut self.line).poll_write(context, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(bytes)) => self.written += bytes,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => break,
                }
            }
            if self.written == self.output.len() {
                self.output.clear();
                self.written = 0;
                if waited {
                    // Only lines without a speed hold bytes back; a serial port's flush would hold up the thread.
                    if self.holds_back
                        && let Poll::Ready(Err(error)) =
                            Pin::new(&mut self.line).poll_flush(context)
                    {
                        return Poll::Ready(Err(error));
                    }
                    moved = true;
                }
            }
            if self.at == self.end {
                let mut buffer = ReadBuf::new(&mut self.input);
                match Pin::new(&mut self.line).poll_read(context, &mut buffer) {
                    Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Poll::Ready(Ok(())) => {
                        (self.at, self.end) = (0, buffer.filled().len());
                        moved = true;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            } else {
                moved = true;
            }
            if moved {
                return Poll::Ready(Ok(()));
            }
            alarm.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// What a line of this speed carries in a twentieth of a second, in bytes.
fn ahead(baud: u32) -> usize {
    match baud {
        0 => BUFFER,
        baud => ((baud / BITS_PER_BYTE / 20) as usize).clamp(1, BUFFER),
    }
}
