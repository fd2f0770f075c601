//! One object on its way: what the sending and the receiving side of a transfer remember.
//!
//! The sender keeps a window of pieces in flight. The receiver takes pieces in order only, because what it writes to is a file,
//! and acknowledges the offset up to which it has everything. A piece that comes too early shows a gap; the sender then goes
//! back to the acknowledged offset and begins a new *round*. Gaps that pieces of an earlier round show are old news, so one
//! loss costs one step back, not one for every piece that was in flight behind it.
//!
//! Pieces shrink when the line damages them and grow again when it does not: a short piece is damaged less often, a long one
//! costs less around it. Silence is met with a timer of the usual kind (RFC 6298), and too much of it with [`Stalled`].
//!
//! Time is milliseconds of a clock that only rises, told by the caller.

use super::frame::PIECE;

/// Shortest piece in bytes, but for an object's last.
const SHORTEST: usize = 256;
/// The first pieces: short enough for slow lines, until it is seen what the line does.
const FIRST: usize = 1024;
/// Acknowledged pieces in a row after which pieces grow: before the first loss, and after one.
const GROW_AFTER: (u32, u32) = (4, 24);
/// Bytes in flight at most: what a line of 3 Mbaud carries in less than half a second, and what lines without a speed need to stay busy.
pub const WINDOW: usize = 16 * PIECE;
/// Shortest and longest wait for an acknowledgement, in ms.
const WAIT_MS: (u64, u64) = (200, 4_000);
/// The wait before anything was measured, in ms.
const FIRST_WAIT_MS: u64 = 1_000;
/// Time without progress after which a transfer is given up, in ms.
pub const GIVE_UP_MS: u64 = 30_000;
/// Bytes after which a receiver acknowledges without being pressed.
const ACK_EVERY: u64 = 2 * PIECE as u64;
/// How long a receiver keeps an acknowledgement back, in ms.
const ACK_DELAY_MS: u64 = 20;

/// A transfer made no progress for [`GIVE_UP_MS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalled {
    /// Bytes that the receiver is known to have.
    pub acknowledged: u64,
}

impl core::fmt::Display for Stalled {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "nothing moved on the line for {} s; the other side has {} bytes",
            GIVE_UP_MS / 1000,
            self.acknowledged
        )
    }
}

impl core::error::Error for Stalled {}

/// A piece to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins in the object.
    pub offset: u64,
    /// Its length in bytes.
    pub len: usize,
    /// The round it belongs to.
    pub round: u8,
}

/// The sending side.
#[derive(Clone, Debug)]
pub struct Sender {
    bytes: u64,
    acknowledged: u64,
    next: u64,
    round: u8,
    piece: usize,
    /// Acknowledged pieces since the last loss.
    fine: u32,
    /// The piece whose acknowledgement is timed: the offset at its end, and when it was sent.
    timed: Option<(u64, u64)>,
    timer: Timer,
    /// When the oldest piece in flight counts as lost.
    deadline: Option<u64>,
    /// When bytes were acknowledged last.
    progress_ms: u64,
    retries: u64,
}

impl Sender {
    /// Begins at `offset`, which the receiver has named, of an object of `bytes`.
    #[must_use]
    pub fn new(bytes: u64, offset: u64, now_ms: u64) -> Self {
        let offset = offset.min(bytes);
        Self {
            bytes,
            acknowledged: offset,
            next: offset,
            round: 0,
            piece: FIRST,
            fine: 0,
            timed: None,
            timer: Timer::default(),
            deadline: None,
            progress_ms: now_ms,
            retries: 0,
        }
    }

    /// The next piece to send now; `None` if the window is full or everything is in flight.
    pub fn poll(&mut self, now_ms: u64) -> Option<Piece> {
        if self.deadline.is_some_and(|deadline| now_ms >= deadline) {
            self.timer.backed_off();
            self.go_back(self.acknowledged);
        }
        let in_flight = self.next - self.acknowledged;
        if self.next == self.bytes || in_flight + self.piece as u64 > WINDOW as u64 {
            return None;
        }
        let len = (self.bytes - self.next).min(self.piece as u64) as usize;
        let piece = Piece {
            offset: self.next,
            len,
            round: self.round,
        };
        self.next += len as u64;
        if self.timed.is_none() {
            self.timed = Some((self.next, now_ms));
        }
        if self.deadline.is_none() {
            self.deadline = Some(now_ms + self.timer.wait_ms());
        }
        Some(piece)
    }

    /// Takes an acknowledgement. What cannot be true is passed over: it comes from an earlier transfer.
    pub fn acknowledge(&mut self, next: u64, round: u8, gap: bool, now_ms: u64) {
        if next > self.next || next < self.acknowledged {
            return;
        }
        if next > self.acknowledged {
            let pieces = (next - self.acknowledged).div_ceil(self.piece as u64);
            self.acknowledged = next;
            self.progress_ms = now_ms;
            if let Some((end, sent_ms)) = self.timed
                && next >= end
            {
                // Pieces of an earlier round are never timed (Karn): going back forgets them.
                self.timer.measured(now_ms.saturating_sub(sent_ms));
                self.timed = None;
            }
            self.deadline = (next < self.next).then(|| now_ms + self.timer.wait_ms());
            self.fine = self.fine.saturating_add(pieces as u32);
            let enough = if self.retries == 0 {
                GROW_AFTER.0
            } else {
                GROW_AFTER.1
            };
            if self.fine >= enough {
                self.fine = 0;
                self.piece = (self.piece * 2).min(PIECE);
            }
        }
        if gap && round == self.round {
            self.go_back(next);
        }
    }

    /// Whether the receiver has everything.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.acknowledged == self.bytes
    }

    /// Bytes that the receiver has.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How often it went back.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries
    }

    /// When [`Sender::poll`] has something to do at the latest, in ms; `None` if only an acknowledgement can help.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        self.deadline
    }

    /// Whether it is time to give up.
    ///
    /// # Errors
    /// [`Stalled`] when nothing was acknowledged for [`GIVE_UP_MS`].
    pub fn check(&self, now_ms: u64) -> Result<(), Stalled> {
        let silent = now_ms.saturating_sub(self.progress_ms) >= GIVE_UP_MS;
        if silent && !self.is_done() {
            return Err(Stalled {
                acknowledged: self.acknowledged,
            });
        }
        Ok(())
    }

    fn go_back(&mut self, offset: u64) {
        if offset == self.next {
            self.deadline = None;
            return;
        }
        self.next = offset;
        self.round = self.round.wrapping_add(1);
        self.piece = (self.piece / 2).max(SHORTEST);
        self.fine = 0;
        self.timed = None;
        self.deadline = None;
        self.retries += 1;
    }
}

/// How long to wait for an acknowledgement, after RFC 6298.
#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    /// Smoothed round trip and its variation in ms; `None` before the first measurement.
    smooth: Option<(u64, u64)>,
    /// Times in a row that nothing came: each doubles the wait.
    doublings: u32,
}

impl Timer {
    fn measured(&mut self, trip_ms: u64) {
        self.doublings = 0;
        self.smooth = Some(match self.smooth {
            None => (trip_ms, trip_ms / 2),
            Some((smooth, variation)) => (
                (7 * smooth + trip_ms) / 8,
                (3 * variation + smooth.abs_diff(trip_ms)) / 4,
            ),
        });
    }

    fn backed_off(&mut self) {
        self.doublings = (self.doublings + 1).min(5);
    }

    fn wait_ms(self) -> u64 {
        let calm = self.smooth.map_or(FIRST_WAIT_MS, |(smooth, variation)| {
            smooth + (4 * variation).max(10)
        });
        (calm.clamp(WAIT_MS.0, WAIT_MS.1) << self.doublings).min(WAIT_MS.1)
    }
}

/// What the receiver does with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Keep the bytes from this one on: those before are there already.
    From(usize),
    /// It is of no use.
    Drop,
}

/// The receiving side.
#[derive(Clone, Debug)]
pub struct Receiver {
    bytes: u64,
    next: u64,
    acknowledged: u64,
    round: u8,
    gap: bool,
    /// The round in which a gap was told last.
    told: Option<u8>,
    /// When an acknowledgement is due.
    due: Option<u64>,
    progress_ms: u64,
}

/// What the receiver has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// All bytes before this offset are there.
    pub next: u64,
    /// The round of the last piece.
    pub round: u8,
    /// Whether that piece began after `next`.
    pub gap: bool,
}

impl Receiver {
    /// Waits for an object of `bytes` from `offset` on.
    #[must_use]
    pub fn new(bytes: u64, offset: u64, now_ms: u64) -> Self {
        let offset = offset.min(bytes);
        Self {
            bytes,
            next: offset,
            acknowledged: offset,
            round: 0,
            gap: false,
            told: None,
            due: None,
            progress_ms: now_ms,
        }
    }

    /// A piece came. If it is to be kept, the caller keeps it before anything is acknowledged.
    pub fn piece(&mut self, offset: u64, len: usize, round: u8, now_ms: u64) -> Take {
        let Some(end) = offset
            .checked_add(len as u64)
            .filter(|&end| end <= self.bytes)
        else {
            return Take::Drop;
        };
        self.round = round;
        self.gap = offset > self.next;
        if self.gap {
            // Told once a round: the pieces behind it show the same gap.
            if self.told != Some(round) {
                self.told = Some(round);
                self.due = Some(now_ms);
            }
            return Take::Drop;
        }
        if end <= self.next {
            // The acknowledgement was lost, or is on its way.
            self.delay(now_ms);
            return Take::Drop;
        }
        let skip = (self.next - offset) as usize;
        self.next = end;
        self.told = None;
        self.progress_ms = now_ms;
        if self.next == self.bytes || self.next - self.acknowledged >= ACK_EVERY {
            self.due = Some(now_ms);
        } else {
            self.delay(now_ms);
        }
        Take::From(skip)
    }

    /// What is to be acknowledged now, if anything is due.
    pub fn poll(&mut self, now_ms: u64) -> Option<Acknowledgement> {
        self.due.filter(|&due| now_ms >= due)?;
        self.due = None;
        self.acknowledged = self.next;
        Some(Acknowledgement {
            next: self.next,
            round: self.round,
            gap: self.gap,
        })
    }

    /// When [`Receiver::poll`] has something to say, in ms.
    #[must_use]
    pub fn wake_ms(&self) -> Option<u64> {
        self.due
    }

    /// Whether everything is there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next == self.bytes
    }

    /// Bytes that are there.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.next
    }

    /// Whether it is time to give up.
    ///
    /// # Errors
    /// [`Stalled`] when no new byte came for [`GIVE_UP_MS`].
    pub fn check(&self, now_ms: u64) -> Result<(), Stalled> {
        let silent = now_ms.saturating_sub(self.progress_ms) >= GIVE_UP_MS;
        if silent && !self.is_done() {
            return Err(Stalled {
                acknowledged: self.next,
            });
        }
        Ok(())
    }

    fn delay(&mut self, now_ms: u64) {
        let due = now_ms + ACK_DELAY_MS;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }
}
