//! The self-test on the real executor.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

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
        let manifest = package.model.manifest();
        if manifest.self_test.is_empty() && !self.allow_without_self_test {
            return Err(TrialError::NoSelfTest);
        }
        enum News {
            Step(Event),
            End(Result<Model, TrialError>),
        }
        let (news, heard) = channel();
        let settings = self.settings.clone();
        let thread = std::thread::Builder::new().name("self-test".into());
        let thread = thread.spawn(move || {
            let end = test(package, &settings, &mut |event| {
                // Nobody hears it who has given up waiting.
                let _ = news.send(News::Step(event));
            });
            let _ = news.send(News::End(end));
        });
        let thread = thread.map_err(|error| TrialError::BrokeOff(error.to_string()))?;
        let until = std::time::Instant::now() + self.limit;
        loop {
            let left = until.saturating_duration_since(std::time::Instant::now());
            match heard.recv_timeout(left) {
                Ok(News::Step(event)) => (self.hear)(event),
                Ok(News::End(end)) => return end,
                Err(RecvTimeoutError::Timeout) => return Err(TrialError::Late(self.limit)),
                Err(RecvTimeoutError::Disconnected) => {
                    let panic = thread.join().err();
                    let words = panic.as_deref().map_or("no words", crate::worker::words);
                    return Err(TrialError::BrokeOff(words.to_owned()));
                }
            }
        }
    }
}

fn test(
    package: Loaded,
    settings: &executor::Settings,
    hear: &mut dyn FnMut(Event),
) -> Result<Model, TrialError> {
    let manifest = package.model.manifest().clone();
    let mut running = executor::start_with(package.model, settings, hear)?;
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
