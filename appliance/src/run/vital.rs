//! Parts without which the box is not whole. When one ends, by a return or a panic, the program is to end and be started again.

use std::io;
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Where parts that end are told of.
pub(super) type Ended = UnboundedReceiver<&'static str>;

/// Makes guards.
#[derive(Clone, Debug)]
pub(super) struct Vitals(UnboundedSender<&'static str>);

/// Tells that a part has ended when it is dropped, in a panic too.
#[derive(Debug)]
pub(super) struct Guard {
    part: &'static str,
    tell: UnboundedSender<&'static str>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody hears it once the box stops in order.
        let _ = self.tell.send(self.part);
    }
}

impl Vitals {
    /// A maker of guards, and where they tell.
    pub(super) fn new() -> (Self, Ended) {
        let (tell, ended) = unbounded_channel();
        (Self(tell), ended)
    }

    /// A guard for a part, by its name for people.
    pub(super) fn guard(&self, part: &'static str) -> Guard {
        Guard {
            part,
            tell: self.0.clone(),
        }
    }

    /// Starts a thread that is a part of the box.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn spawn(
        &self,
        part: &'static str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let guard = self.guard(part);
        std::thread::Builder::new()
            .name(part.into())
            .spawn(move || {
                let _guard = guard;
                work();
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows RQ-55.
    #[tokio::test]
    async fn a_part_that_panics_is_told_of() {
        let (vitals, mut ended) = Vitals::new();
        let thread = vitals
            .spawn("outbox", || panic!("the test wants it"))
            .expect("a thread");
        assert_eq!(ended.recv().await, Some("outbox"));
        thread.join().expect_err("it panicked");
    }
}
