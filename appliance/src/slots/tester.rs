//! The self-test on the real executor.

use std::any::Any;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nephrobox_engine::executor::{self, Event, StartError};
use nephrobox_engine::package::Loaded;
use nephrobox_engine::self_test::{self, SelfTestError};

use super::Trial;
use crate::worker::Model;

/// Why a model is not to be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrialError {
    /// The package has no self-test and the configuration asks for one.
    #[error("it has no self-test; export it with one, or set model.allow_without_self_test")]
    NoSelfTest,
    /// It cannot be got ready on this device.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It does not do what it did where it was made.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// It did not come to an end.
    #[error(
        "its self-test did not end within {} s; restart the box, and have the package looked at", .0.as_secs()
    )]
    Late(Duration),
    /// It stopped in the middle.
    #[error("its self-test broke off ({0}); have the package looked at")]
    BrokeOff(String),
}

/// Gets models ready as the configuration says and runs their self-test, in a thread that is given up if it takes too long.
pub struct SelfTester<H> {
    /// Device, threads and arithmetic.
    pub settings: executor::Settings,
    /// Whether models without a self-test are taken.
    pub allow_without_self_test: bool,
    /// The longest it may take. A GPU that compiles its kernels for the first time needs minutes.
    pub limit: Duration,
    /// Hears how far a GPU is.
    pub hear: H,
}

impl<H: Fn(Event)> Trial for SelfTester<H> {
    type Model = Model;

    fn run(&self, package: Loaded) -> Result<Model, TrialError> {
        if package.model.manifest().self_test.is_empty() && !self.allow_without_self_test {
            return Err(TrialError::NoSelfTest);
        }
        let settings = self.settings.clone();
        within(self.limit, &self.hear, move |tell| {
            test(package, &settings, tell)
        })
    }
}

fn test(
    package: Loaded,
    settings: &executor::Settings,
    tell: &mut dyn FnMut(Event),
) -> Result<Model, TrialError> {
    let manifest = package.model.manifest().clone();
    let mut running = executor::start_with(package.model, settings, tell)?;
    let arithmetic = running.engine.arithmetic;
    // The copies share their weights: what one does, all do.
    if let Some(model) = running.models.first_mut() {
        self_test::run_in(arithmetic, &manifest, model.as_mut())?;
    }
    Ok(Model {
        manifest,
        hash: package.hash.0,
        running,
    })
}

/// Does something in a thread of its own, and gives up after `limit`. A thread cannot be ended: one that hangs stays until the process ends.
fn within<E: Send + 'static, T: Send + 'static>(
    limit: Duration,
    hear: &dyn Fn(E),
    work: impl FnOnce(&mut dyn FnMut(E)) -> Result<T, TrialError> + Send + 'static,
) -> Result<T, TrialError> {
    enum News<E, T> {
        Step(E),
        End(Result<T, TrialError>),
    }
    let (news, heard) = channel();
    let thread = std::thread::Builder::new().name("self-test".into());
    let thread = thread.spawn(move || {
        // Whoever has given up hears nothing.
        let end = work(&mut |step| drop(news.send(News::Step(step))));
        let _ = news.send(News::End(end));
    });
    let thread = thread.map_err(|error| TrialError::BrokeOff(error.to_string()))?;
    let until = Instant::now() + limit;
    loop {
        match heard.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(News::Step(step)) => hear(step),
            Ok(News::End(end)) => return end,
            Err(RecvTimeoutError::Timeout) => return Err(TrialError::Late(limit)),
            Err(RecvTimeoutError::Disconnected) => {
                let panic = thread.join().err();
                let said = panic.as_deref().map_or("no words", words);
                return Err(TrialError::BrokeOff(said.to_owned()));
            }
        }
    }
}

/// What a panic said. Nothing but a package and the device was there to be quoted.
fn words(panic: &(dyn Any + Send)) -> &str {
    let written = panic.downcast_ref::<&str>().copied();
    let made = panic.downcast_ref::<String>().map(String::as_str);
    written.or(made).unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_given_up() {
        let (hold, held) = channel::<()>();
        let limit = Duration::from_millis(20);
        let given_up = within(limit, &|()| (), move |_| {
            let _ = held.recv();
            Ok(())
        });
        assert!(matches!(given_up, Err(TrialError::Late(_))));
        drop(hold);
    }

    #[test]
    fn what_panics_is_told_with_its_words() {
        let broken = within(Duration::from_mins(1), &|()| (), |_| -> Result<(), _> {
            panic!("no kernel for sm_12")
        });
        let told = broken.expect_err("it broke off").to_string();
        assert!(told.contains("no kernel for sm_12"), "{told}");
    }

    #[test]
    fn steps_are_heard_in_order() {
        let steps = std::cell::RefCell::new(Vec::new());
        let hear = |step| steps.borrow_mut().push(step);
        let done = within(Duration::from_mins(1), &hear, |tell| {
            (1..4).for_each(tell);
            Ok("done")
        });
        assert_eq!(done.expect("an end"), "done");
        assert_eq!(*steps.borrow(), [1, 2, 3]);
    }
}
