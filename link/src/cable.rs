//! A serial cable between two programs on one machine: two pseudo-terminals, and threads that carry bytes between them.
//!
//! Each program opens its end as it would open a serial port. The cable can be pulled out and put back, and can damage what it
//! carries, which is how the whole system is tested without hardware.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::wire::BITS_PER_BYTE;

/// How long a thread sleeps while its end of the cable is in nobody's hand.
const PAUSE: Duration = Duration::from_millis(5);
const BUFFER: usize = 64 << 10;
/// Bytes that Linux keeps in a terminal.
const TERMINAL: u64 = 4096;

/// What a cable is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// One byte in this many is flipped, dropped or doubled, by chance; 0 for a clean cable.
    pub one_in: u64,
    /// Where chance begins.
    pub seed: u64,
    /// Speed in bit/s, ten bits a byte; 0 for as fast as it goes.
    pub baud: u32,
}

/// What the threads and the owner share.
#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    out: AtomicBool,
    carried: AtomicU64,
}

/// A cable; dropped, it is gone with both its ends.
#[derive(Debug)]
pub struct Cable {
    box_end: PathBuf,
    tool_end: PathBuf,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Cable {
    /// Lays a clean cable that is as fast as the machine.
    ///
    /// # Errors
    /// When the system has no pseudo-terminals to give.
    pub fn lay() -> io::Result<Self> {
        Self::of(Quality::default())
    }

    /// Lays a cable of some quality.
    ///
    /// # Errors
    /// When the system has no pseudo-terminals to give.
    pub fn of(quality: Quality) -> io::Result<Self> {
        let ((one, box_end), (other, tool_end)) = (terminal()?, terminal()?);
        let shared = Arc::new(Shared::default());
        let (one, other) = (Arc::new(one), Arc::new(other));
        let mut threads = Vec::new();
        for (from, to, seed) in [(&one, &other, quality.seed), (&other, &one, !quality.seed)] {
            let (from, to, shared) = (Arc::clone(from), Arc::clone(to), Arc::clone(&shared));
            let quality = Quality { seed, ..quality };
            let carry = move || carry(&from, &to, &shared, quality);
            threads.push(
                std::thread::Builder::new()
                    .name("cable".into())
                    .spawn(carry)?,
            );
        }
        Ok(Self {
            box_end,
            tool_end,
            shared,
            threads,
        })
    }

    /// The port for the box to open.
    #[must_use]
    pub fn box_end(&self) -> &Path {
        &self.box_end
    }

    /// The port for the tool to open.
    #[must_use]
    pub fn tool_end(&self) -> &Path {
        &self.tool_end
    }

    /// Pulls the cable out: what is sent from now on is lost.
    pub fn unplug(&self) {
        self.shared.out.store(true, Ordering::Relaxed);
    }

    /// Puts the cable back.
    pub fn plug(&self) {
        self.shared.out.store(false, Ordering::Relaxed);
    }

    /// Bytes carried so far, in both directions together.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to tell: all it does is carry bytes.
            let _ = thread.join();
        }
    }
}

/// A pseudo-terminal that changes no byte: its master, and the path of its slave.
fn terminal() -> io::Result<(File, PathBuf)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let path = PathBuf::from(name.into_string().map_err(io::Error::other)?);
    let mut raw = tcgetattr(&master)?;
    raw.make_raw();
    tcsetattr(&master, OptionalActions::Now, &raw)?;
    rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK)?;
    Ok((File::from(master), path))
}

/// Carries bytes in one direction until the cable is gone.
fn carry(mut from: &File, to: &File, shared: &Shared, quality: Quality) {
    // A slow line carries its bytes one by one; in lots of a hundredth of a second the difference does not show.
    let per_s = quality.baud / BITS_PER_BYTE;
    let lot = if per_s == 0 {
        BUFFER
    } else {
        (per_s as usize / 100).clamp(1, BUFFER)
    };
    let mut buffer = vec![0; lot];
    let mut damage = Damage(quality.seed);
    let mut free = Instant::now();
    while !shared.over.load(Ordering::Relaxed) {
        let read = match from.read(&mut buffer) {
            Ok(read) if read > 0 => read,
            // Nothing to carry, or nobody holds that end.
            _ => {
                wait(from);
                continue;
            }
        };
        if per_s > 0 {
            // What waited in the terminal would have gone on its way while this thread was not let run.
            let late = Duration::from_secs(TERMINAL) / per_s;
            let now = Instant::now();
            free = free.max(now.checked_sub(late).unwrap_or(now));
            free += Duration::from_secs(read as u64) / per_s;
            std::thread::sleep(free.saturating_duration_since(Instant::now()));
        }
        if shared.out.load(Ordering::Relaxed) {
            continue;
        }
        shared.carried.fetch_add(read as u64, Ordering::Relaxed);
        if quality.one_in == 0 {
            put(&buffer[..read], to, shared);
        } else {
            put(&damage.done_to(&buffer[..read], quality.one_in), to, shared);
        }
    }
}

/// Puts bytes into an end, as it takes them.
fn put(mut bytes: &[u8], mut to: &File, shared: &Shared) {
    while !bytes.is_empty() && !shared.over.load(Ordering::Relaxed) {
        match to.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_micros(200));
            }
            // Nobody holds that end: the bytes fall out of it.
            Err(_) => return,
        }
    }
}

/// Waits until there is something to read, or a little.
fn wait(from: &File) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let nap = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    let mut polled = [PollFd::new(from, PollFlags::IN)];
    let ready = poll(&mut polled, Some(&nap));
    // With nobody at the other end, a hang-up is reported at once, for ever.
    if ready.is_err() || polled[0].revents().contains(PollFlags::HUP) {
        std::thread::sleep(PAUSE);
    }
}

/// Chance: a counter, well mixed (splitmix64).
struct Damage(u64);

impl Damage {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn done_to(&mut self, bytes: &[u8], one_in: u64) -> Vec<u8> {
        let mut damaged = Vec::with_capacity(bytes.len() + 8);
        for &byte in bytes {
            if !self.next().is_multiple_of(one_in) {
                damaged.push(byte);
                continue;
            }
            match self.next() % 3 {
                0 => damaged.push(byte ^ (1 << (self.next() % 8))),
                1 => damaged.extend([byte, byte]),
                _ => {}
            }
        }
        damaged
    }
}
