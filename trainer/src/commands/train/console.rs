//! The live view of a run.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nephrobox_shared::class::Class;

use crate::train::{Event, TrainConfig};

/// Shows a run on the error stream: a bar on a terminal, plain lines elsewhere.
pub(super) struct Console {
    bar: Option<ProgressBar>,
    epochs: usize,
    device: &'static str,
    header: String,
    /// Start, and images seen since.
    since: (Instant, usize),
    said: Instant,
    done_before: usize,
}

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(20);

impl Console {
    pub(super) fn new(config: &TrainConfig, device: &'static str) -> Self {
        let header = format!(
            "{} U-Net, {} channel(s), loss {}, batch {}",
            config.encoder, config.channels, config.loss, config.batch
        );
        let now = Instant::now();
        Self {
            bar: None,
            epochs: config.epochs,
            device,
            header,
            since: (now, 0),
            said: now,
            done_before: 0,
        }
    }

    pub(super) fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Started {
                position,
                steps,
                trainable,
            } => {
                eprintln!(
                    "{}: {trainable} values train on {}; {steps} steps an epoch",
                    self.header, self.device
                );
                if position.epoch > 0 || position.step > 0 {
                    eprintln!(
                        "going on in epoch {} after step {}",
                        position.epoch + 1,
                        position.step
                    );
                }
                self.done_before = position.epoch * steps + position.step;
                if std::io::stderr().is_terminal() {
                    let template = "{msg} [{bar:24}] {pos}/{len} steps, {eta} left";
                    let style = ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar = ProgressBar::new((self.epochs * steps) as u64)
                        .with_style(style.progress_chars("=> "));
                    bar.set_position(self.done_before as u64);
                    bar.reset_eta();
                    self.bar = Some(bar);
                }
                self.since = (Instant::now(), 0);
            }
            Event::Step {
                epoch,
                step,
                steps,
                loss,
                images,
            } => {
                self.since.1 += images;
                let seconds = self.since.0.elapsed().as_secs_f64();
                let speed = self.since.1 as f64 / seconds.max(1e-9);
                let text = format!(
                    "epoch {}/{} loss {loss:.4} {speed:.2} slices/s",
                    epoch + 1,
                    self.epochs
                );
                let done = epoch * steps + step;
                if let Some(bar) = &self.bar {
                    bar.set_message(text);
                    bar.set_position(done as u64);
                } else if self.said.elapsed() >= QUIET {
                    self.said = Instant::now();
                    let left = seconds / (done - self.done_before).max(1) as f64
                        * (self.epochs * steps - done) as f64;
                    eprintln!(
                        "{text}, step {step}/{steps}, about {:.0} min left",
                        left / 60.0
                    );
                }
            }
            Event::Epoch(record) => {
                let dice = |class| {
                    let dice = record
                        .validation
                        .as_ref()
                        .and_then(|v| v.paper.get(class).dice);
                    dice.map_or("-".to_string(), |d| format!("{:.1} %", 100.0 * d))
                };
                let line = format!(
                    "epoch {}: loss {:.4}, validation Dice kidney {}, tumour {}, {:.2} slices/s, {:.1} % waiting for data",
                    record.epoch,
                    record.loss,
                    dice(Class::Kidney),
                    dice(Class::Tumour),
                    record.slices_per_second,
                    100.0 * record.waited_share,
                );
                match &self.bar {
                    Some(bar) => bar.suspend(|| eprintln!("{line}")),
                    None => eprintln!("{line}"),
                }
            }
        }
    }
}
