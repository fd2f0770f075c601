//! The live view of a run: a few lines that stand still on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use nephrobox_shared::class::Class;

use crate::machine::{Memory, gigabytes};
use crate::train::{EpochRecord, Event, Run};

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(20);
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_secs(2);
/// The weight of what was before in the loss that is shown beside the last step's.
const KEPT: f64 = 0.95;
/// The epochs that the little picture of the losses holds.
const HISTORY: usize = 40;

/// Shows a run on the error stream.
pub(super) struct Console {
    board: Option<Board>,
    state: State,
    said: Instant,
    looked: Option<Instant>,
}

impl Console {
    pub(super) fn new(run: &Run, device: &'static str) -> Self {
        let config = run.config();
        let header = format!(
            "{} U-Net, {} channel(s), loss {}, batch {}",
            config.encoder, config.channels, config.loss, config.batch
        );
        Self {
            board: None,
            state: State::new(config.epochs, header, device),
            said: Instant::now(),
            looked: None,
        }
    }

    /// The epochs of an earlier part of the run.
    pub(super) fn remember(&mut self, records: Vec<EpochRecord>) {
        self.state.records = records;
    }

    pub(super) fn show(&mut self, event: &Event<'_>) {
        let now = Instant::now();
        if self.looked.is_none_or(|then| now - then >= LOOK) {
            self.state.look(Memory::now());
            self.looked = Some(now);
        }
        self.state.take(event, now);
        match event {
            Event::Started { .. } => {
                for line in self.state.introduction() {
                    eprintln!("{line}");
                }
                if std::io::stderr().is_terminal() {
                    self.board = Some(Board::new(&self.state));
                }
            }
            Event::Step { .. } => {
                if self.board.is_none() && self.said.elapsed() >= QUIET {
                    self.said = now;
                    eprintln!("{}", self.state.plain(now));
                }
            }
            Event::Epoch(record) => {
                let line = epoch_line(record, self.state.best().map(|r| r.epoch));
                match &self.board {
                    // The lines above the board stay as a record of the run.
                    Some(board) => board.above(&line),
                    None => eprintln!("{line}"),
                }
            }
        }
        if let Some(board) = &self.board {
            board.show(&self.state, now);
        }
    }
}

/// What is known of the run, apart from how it is shown.
struct State {
    header: String,
    device: &'static str,
    epochs: usize,
    /// Steps of an epoch.
    steps: usize,
    /// Epoch under way from 0, and steps of it that are done.
    at: (usize, usize),
    /// Values that train.
    trainable: usize,
    /// Loss of the last step, and smoothed over some steps.
    loss: Option<(f64, f64)>,
    /// When this program began, and how many steps of the whole run were done then.
    began: (Instant, usize),
    /// Images since then, and seconds of training without validation.
    images: usize,
    records: Vec<EpochRecord>,
    memory: Memory,
    /// The most memory seen, bytes.
    peak: u64,
}

impl State {
    fn new(epochs: usize, header: String, device: &'static str) -> Self {
        Self {
            header,
            device,
            epochs,
            steps: 0,
            at: (0, 0),
            trainable: 0,
            loss: None,
            began: (Instant::now(), 0),
            images: 0,
            records: Vec::new(),
            memory: Memory::default(),
            peak: 0,
        }
    }

    fn look(&mut self, memory: Memory) {
        self.memory = memory;
        self.peak = self.peak.max(memory.process);
    }

    fn take(&mut self, event: &Event<'_>, now: Instant) {
        match event {
            Event::Started {
                position,
                steps,
                trainable,
            } => {
                self.steps = *steps;
                self.trainable = *trainable;
                self.at = (position.epoch, position.step);
                self.began = (now, position.epoch * steps + position.step);
                self.images = 0;
                self.records.retain(|r| r.epoch <= position.epoch);
            }
            Event::Step {
                epoch,
                step,
                loss,
                images,
                ..
            } => {
                let loss = f64::from(*loss);
                let before = self.loss.map_or(loss, |(_, smooth)| smooth);
                self.loss = Some((loss, KEPT * before + (1.0 - KEPT) * loss));
                self.at = (*epoch, *step);
                self.images += images;
            }
            Event::Epoch(record) => {
                self.at = (record.epoch, 0);
                self.records.push((*record).clone());
            }
        }
    }

    fn done(&self) -> usize {
        self.at.0 * self.steps + self.at.1
    }

    fn total(&self) -> usize {
        self.epochs * self.steps
    }

    /// Slices per second since the program began, validation included.
    fn speed(&self, now: Instant) -> f64 {
        self.images as f64 / (now - self.began.0).as_secs_f64().max(1e-9)
    }

    /// Until the last epoch is done, validation included; not known before the first step.
    fn left(&self, now: Instant) -> Option<Duration> {
        let here = self.done().saturating_sub(self.began.1);
        let left = self.total().saturating_sub(self.done());
        (here > 0).then(|| (now - self.began.0).mul_f64(left as f64 / here as f64))
    }

    /// The epoch with the best score on validation.
    fn best(&self) -> Option<&EpochRecord> {
        let scored = self.records.iter().filter(|r| r.score().is_some());
        // Of equals the first, as the run keeps it.
        scored.fold(None, |best: Option<&EpochRecord>, r| match best {
            Some(b) if b.score() >= r.score() => Some(b),
            _ => Some(r),
        })
    }

    fn introduction(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} values train on {}; {} steps an epoch",
            self.header, self.trainable, self.device, self.steps
        )];
        if self.done() > 0 {
            let (epoch, step) = self.at;
            lines.push(format!("going on in epoch {} after step {step}", epoch + 1));
        }
        lines
    }

    fn loss_line(&self) -> String {
        let Some((last, smooth)) = self.loss else {
            return "no step yet".into();
        };
        let mut line = format!("{smooth:.4} (last step {last:.4})");
        if let Some(record) = self.records.last() {
            let _ = write!(line, ", epoch {} {:.4}", record.epoch, record.loss);
        }
        if self.records.len() > 1 {
            let _ = write!(line, "  {}", sparkline(&self.records));
        }
        line
    }

    fn dice_line(&self) -> String {
        let (Some(last), Some(best)) = (
            self.records.iter().rfind(|r| r.validation.is_some()),
            self.best(),
        ) else {
            return "after the first epoch".into();
        };
        format!(
            "{} in epoch {}; best {} in epoch {}",
            dice_of(last),
            last.epoch,
            dice_of(best),
            best.epoch
        )
    }

    fn speed_line(&self, now: Instant) -> String {
        let mut line = format!("{:.2} slices/s", self.speed(now));
        if let Some(record) = self.records.last() {
            let waited = 100.0 * record.waited_share;
            let _ = write!(line, ", {waited:.1} % of the time waiting for data");
        }
        line
    }

    fn memory_line(&self) -> String {
        let Memory { process, total } = self.memory;
        let [process, peak, total] = [process, self.peak, total].map(gigabytes);
        let whose = match self.device {
            "cpu" => "",
            _ => " of the host's",
        };
        format!("{process} (at most {peak}){whose} of {total}")
    }

    /// All in one line, where no terminal is.
    fn plain(&self, now: Instant) -> String {
        let (epoch, step) = self.at;
        let left = self.left(now).map_or("unknown time".into(), in_words);
        let (last, smooth) = self.loss.unwrap_or_default();
        format!(
            "epoch {}/{} step {step}/{}, loss {smooth:.4} (last step {last:.4}), {:.2} slices/s, {} memory, about {left} left",
            epoch + 1,
            self.epochs,
            self.steps,
            self.speed(now),
            gigabytes(self.memory.process),
        )
    }
}

/// The lines of the terminal.
struct Board {
    lines: MultiProgress,
    epoch: ProgressBar,
    run: ProgressBar,
    texts: [ProgressBar; 4],
}

impl Board {
    fn new(state: &State) -> Self {
        let lines = MultiProgress::new();
        let style = |template: &str| {
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ")
        };
        let bar = |prefix: &'static str, length: usize| {
            lines.add(
                ProgressBar::new(length as u64)
                    .with_style(style("{prefix:7} [{bar:30}] {msg}"))
                    .with_prefix(prefix),
            )
        };
        let (epoch, run) = (bar("epoch", state.steps), bar("run", state.total()));
        let texts = ["loss", "Dice", "speed", "memory"].map(|prefix| {
            let text = ProgressBar::new(1)
                .with_style(style("{prefix:7} {wide_msg}"))
                .with_prefix(prefix);
            lines.add(text)
        });
        Self {
            lines,
            epoch,
            run,
            texts,
        }
    }

    fn show(&self, state: &State, now: Instant) {
        let (epoch, step) = state.at;
        self.epoch.set_position(step as u64);
        self.run.set_position(state.done() as u64);
        let of = |n: usize| format!("{n}/{}", state.epochs);
        let validates = step == state.steps && step > 0;
        self.epoch.set_message(if epoch >= state.epochs {
            format!("{} done", of(epoch))
        } else if validates {
            format!("{}, scoring the validation split", of(epoch + 1))
        } else {
            format!("{}, step {step}/{}", of(epoch + 1), state.steps)
        });
        let percent = 100.0 * state.done() as f64 / state.total().max(1) as f64;
        let left = state.left(now);
        let left = left.map_or(String::new(), |left| format!(", {} left", in_words(left)));
        self.run.set_message(format!("{percent:.1} %{left}"));
        let texts = [
            state.loss_line(),
            state.dice_line(),
            state.speed_line(now),
            state.memory_line(),
        ];
        for (line, text) in self.texts.iter().zip(texts) {
            line.set_message(text);
        }
    }

    /// A line that scrolls away above.
    fn above(&self, line: &str) {
        // A terminal that is gone takes no lines; the run goes on, and metrics.jsonl has them.
        let _ = self.lines.println(line);
    }
}

/// `kidney 81.2 %, tumour 40.0 %`, as validated.
fn dice_of(record: &EpochRecord) -> String {
    let dice = |class: Class| {
        let scores = record.validation.as_ref();
        let dice = scores.and_then(|v| v.paper.get(class).dice);
        let dice = dice.map_or("-".to_string(), |d| format!("{:.1} %", 100.0 * d));
        format!("{} {dice}", class.name())
    };
    format!("{}, {}", dice(Class::Kidney), dice(Class::Tumour))
}

/// What a finished epoch leaves behind on the screen.
fn epoch_line(record: &EpochRecord, best: Option<usize>) -> String {
    let mark = if best == Some(record.epoch) {
        ", best so far"
    } else {
        ""
    };
    format!(
        "epoch {}: loss {:.4}, validation Dice {}, {:.2} slices/s, {:.1} % waiting for data{mark}",
        record.epoch,
        record.loss,
        dice_of(record),
        record.slices_per_second,
        100.0 * record.waited_share,
    )
}

/// The losses of the last epochs, between the lowest and the highest of them.
fn sparkline(records: &[EpochRecord]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let losses = || {
        let first = records.len().saturating_sub(HISTORY);
        records[first..].iter().map(|r| r.loss)
    };
    let (low, high) = losses().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    losses()
        .map(|v| {
            let share = if high > low {
                (v - low) / (high - low)
            } else {
                0.0
            };
            STEPS[((share * 7.0).round() as usize).min(7)]
        })
        .collect()
}

/// `3 d 4 h`, `2 h 5 min`, `12 min`, `40 s`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::Position;
    use nephrobox_shared::metrics::Evaluation;

    fn record(epoch: usize, loss: f64, correct: bool) -> EpochRecord {
        let mut evaluation = Evaluation::new();
        let truth = [0, 1, 1, 2];
        let prediction = if correct { truth } else { [0, 1, 0, 2] };
        evaluation.add(0, &truth, &prediction, 1.0).unwrap();
        EpochRecord {
            epoch,
            loss,
            learning_rate: 1e-3,
            seconds: 1.0,
            slices_per_second: 4.0,
            waited_share: 0.02,
            validation: Some(evaluation.scores()),
        }
    }

    /// Two epochs of four steps, each of eight images in two seconds; seen in the middle of the second.
    fn half_way() -> (State, Instant) {
        let start = Instant::now();
        let mut state = State::new(2, "resnet18 U-Net".into(), "cpu");
        let position = Position::default();
        let (steps, trainable) = (4, 7);
        let started = Event::Started {
            position: &position,
            steps,
            trainable,
        };
        state.take(&started, start);
        let step = |epoch, step, loss| Event::Step {
            epoch,
            step,
            steps,
            loss,
            images: 8,
        };
        for n in 1..=4 {
            state.take(&step(0, n, 0.5), start);
        }
        state.take(&Event::Epoch(&record(1, 0.5, true)), start);
        for n in 1..=2 {
            state.take(&step(1, n, 0.5), start);
        }
        (state, start + Duration::from_secs(12))
    }

    #[test]
    fn time_left_counts_the_steps_that_remain_and_speed_all_images() {
        let (state, now) = half_way();
        assert_eq!(state.left(now), Some(Duration::from_secs(4)));
        assert_eq!(state.speed(now), 4.0);
        assert!(state.plain(now).contains("epoch 2/2 step 2/4"));
        assert!(state.plain(now).ends_with("about 4 s left"));
    }

    /// After --resume the steps of before must not make this program look faster than it is.
    #[test]
    fn a_resumed_run_does_not_count_what_was_done_before() {
        let start = Instant::now();
        let mut state = State::new(10, String::new(), "cpu");
        let position = Position {
            epoch: 9,
            step: 2,
            ..Position::default()
        };
        let started = Event::Started {
            position: &position,
            steps: 4,
            trainable: 7,
        };
        state.take(&started, start);
        assert_eq!(state.left(start), None);
        assert_eq!(state.introduction()[1], "going on in epoch 10 after step 2");
        let step = Event::Step {
            epoch: 9,
            step: 3,
            steps: 4,
            loss: 0.1,
            images: 8,
        };
        state.take(&step, start);
        let now = start + Duration::from_secs(8);
        assert_eq!(state.left(now), Some(Duration::from_secs(8)));
    }

    #[test]
    fn the_board_shows_the_last_and_the_best_dice_and_the_memory() {
        let (mut state, _) = half_way();
        state.take(&Event::Epoch(&record(2, 0.25, false)), Instant::now());
        assert_eq!(
            state.dice_line(),
            "kidney 66.7 %, tumour 100.0 % in epoch 2; best kidney 100.0 %, tumour 100.0 % in epoch 1"
        );
        assert!(state.loss_line().ends_with("█▁"), "{}", state.loss_line());
        let memory = |process| Memory {
            process,
            total: 8_000_000_000,
        };
        state.look(memory(3_000_000_000));
        state.look(memory(2_000_000_000));
        assert_eq!(state.memory_line(), "2.0 GB (at most 3.0 GB) of 8.0 GB");
        assert!(epoch_line(&state.records[0], Some(1)).ends_with("best so far"));
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [40, 720, 7500, 273_600].map(|s| in_words(Duration::from_secs(s)));
        assert_eq!(said, ["40 s", "12 min", "2 h 5 min", "3 d 4 h"]);
    }
}
