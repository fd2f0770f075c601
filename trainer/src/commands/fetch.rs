//! `nephrotrain fetch`: downloads KiTS19 or an encoder's weights.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::cases::Cases;
use super::next;
use crate::data::{DataError, DataErrorKind};
use crate::fetch::{self, DEFAULT_SOURCES, Event, Item, Policy, Sources};

/// Download KiTS19, or the published weights of an encoder
#[derive(Debug, Args)]
#[command(
    after_help = "A broken download goes on where it stopped, now or in a later run; what is whole is not fetched again.\n\
    Nothing bears its final name before its checksum holds. Exit code 1 if any file could not be fetched.\n\n\
    Examples:\n  nephrotrain fetch kits19 --out kits19/data\n  \
    nephrotrain fetch kits19 --out kits19/data --cases 0-9,42\n  \
    nephrotrain fetch encoder resnet34 --out weights\n  \
    nephrotrain fetch sources > mine.toml   # change it, then pass --sources mine.toml"
)]
pub struct FetchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    #[command(after_help = "Example:\n  nephrotrain fetch kits19 --out kits19/data --cases 0-9,42")]
    /// Scans and labels of KiTS19, as `nephrotrain prepare` reads them
    Kits19 {
        /// Folder for `case_00000`, `case_00001`, ...
        #[arg(long)]
        out: PathBuf,
        /// Which cases: numbers, names or ranges such as 0-9,42, or @FILE with such [default: all with labels]
        #[arg(long)]
        cases: Option<String>,
        /// Fetch only this kind of file
        #[arg(long, value_parser = ["imaging", "segmentation"])]
        only: Option<String>,
        #[command(flatten)]
        how: How,
    },
    #[command(after_help = "Example:\n  nephrotrain fetch encoder resnet34 --out weights")]
    /// Weights of an encoder, for `nephrotrain train --weights`
    Encoder {
        /// resnet18 to resnet152, or torchvision-resnet18 to torchvision-resnet152
        name: String,
        /// Folder for the file
        #[arg(long)]
        out: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Print the built-in addresses and checksums, as a file for --sources
    #[command(after_help = "Example:\n  nephrotrain fetch sources > mine.toml")]
    Sources,
}

#[derive(Debug, Args)]
struct How {
    /// Addresses and checksums, instead of the built-in ones
    #[arg(long, value_name = "FILE.toml")]
    sources: Option<PathBuf>,
    /// Failures in a row before an address is given up
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Longest time for one connection, in seconds; a longer download goes on over the next one
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    connection_seconds: u64,
    /// Hash files that are there already again
    #[arg(long)]
    verify: bool,
}

impl How {
    fn policy(&self) -> Policy {
        Policy {
            attempts: self.attempts,
            connection: Duration::from_secs(self.connection_seconds),
            rehash: self.verify,
            ..Policy::default()
        }
    }
}

impl FetchArgs {
    /// Runs the command.
    pub fn run(&self) -> Result<()> {
        match &self.what {
            What::Sources => {
                print!("{DEFAULT_SOURCES}");
                Ok(())
            }
            What::Encoder { name, out, how } => {
                let item = Sources::read(how.sources.as_deref())?.encoder(name)?;
                let file = out.join(&item.path);
                run(&[item], out, how)?;
                println!("{}", file.display());
                next::after_encoder(name, &file).say();
                Ok(())
            }
            What::Kits19 {
                out,
                cases,
                only,
                how,
            } => {
                let sources = Sources::read(how.sources.as_deref())?;
                let cases = match cases {
                    Some(text) => numbers(text)?,
                    None => (0..sources.kits19_cases()).collect(),
                };
                let items = sources.kits19(&cases, only.as_deref())?;
                eprintln!("{}", sources.kits19_licence());
                run(&items, out, how)?;
                println!("{}", out.display());
                next::after_scans(out).say();
                Ok(())
            }
        }
    }
}

/// Numbers of cases of KiTS19, at least one.
fn numbers(text: &str) -> Result<Vec<u32>, DataError> {
    let wrong = |what: String| {
        let remedy = "name cases like 42, 0-9 or case_00042, with commas between";
        DataError::new(DataErrorKind::Option, "--cases", what, remedy)
    };
    let names = Cases::parse(text, "--cases")?.all();
    if names.is_empty() {
        return Err(wrong("no case is named".into()));
    }
    let number = |name: &String| name.strip_prefix("case_")?.parse().ok();
    let numbers = names
        .iter()
        .map(|name| number(name).ok_or_else(|| wrong(format!("`{name}` is no case of KiTS19"))));
    numbers.collect()
}

fn run(items: &[Item], out: &Path, how: &How) -> Result<()> {
    let mut console = Console::new(items.len());
    let summary = fetch::fetch(items, out, how.policy(), |event| console.show(&event))?;
    console.clear();
    eprintln!(
        "{} fetched, {} already there, {} of {} missing",
        summary.fetched,
        summary.whole,
        items.len() - summary.fetched - summary.whole,
        items.len()
    );
    match summary.failed.into_iter().last() {
        None => Ok(()),
        Some((_, error)) if items.len() == 1 => Err(error.into()),
        Some((path, error)) => bail!(
            "not all files could be fetched, {} for one: {error}; run the same command again to fetch the rest",
            path.display()
        ),
    }
}

/// Shows downloads on the error stream: a bar on a terminal, plain lines elsewhere.
struct Console {
    terminal: bool,
    bar: Option<ProgressBar>,
    files: usize,
    done: usize,
    received: u64,
    total: Option<u64>,
    said: Instant,
}

/// Between two plain lines.
const QUIET: Duration = Duration::from_secs(20);

impl Console {
    fn new(files: usize) -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            bar: None,
            files,
            done: 0,
            received: 0,
            total: None,
            said: Instant::now(),
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Receiving { path, from, total } => {
                (self.received, self.total) = (*from, *total);
                let name = format!("{}/{} {}", self.done + 1, self.files, path.display());
                let resumed = if *from > 0 { ", going on" } else { "" };
                if self.terminal {
                    self.clear();
                    let template =
                        "{msg} [{bar:24}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
                    let style = ProgressStyle::with_template(template)
                        .unwrap_or_else(|_| ProgressStyle::default_bar());
                    let bar = ProgressBar::new(total.unwrap_or(0))
                        .with_style(style.progress_chars("=> "));
                    bar.set_message(name);
                    bar.set_position(*from);
                    bar.reset_eta();
                    self.bar = Some(bar);
                } else if self.files == 1 || *from > 0 {
                    eprintln!("{name}{resumed}");
                }
            }
            Event::Bytes(n) => {
                self.received += n;
                if let Some(bar) = &self.bar {
                    bar.inc(*n);
                } else if self.said.elapsed() >= QUIET {
                    self.said = Instant::now();
                    let total = self
                        .total
                        .map_or("?".into(), |t| format!("{:.1}", t as f64 / 1e6));
                    eprintln!("  {:.1} of {total} MB", self.received as f64 / 1e6);
                }
            }
            Event::Again { error, pause } => {
                self.say(&format!(
                    "{error}; trying again in {:.0} s",
                    pause.as_secs_f64().ceil()
                ));
            }
            Event::Fetched(path) => {
                self.clear();
                self.done += 1;
                eprintln!(
                    "{}/{} {}: whole, checked",
                    self.done,
                    self.files,
                    path.display()
                );
            }
            Event::Whole(path) => {
                self.done += 1;
                if self.files == 1 {
                    eprintln!("{}: already there", path.display());
                }
            }
            Event::Failed { path, error } => {
                self.clear();
                self.done += 1;
                if self.files > 1 {
                    eprintln!("{}: {error}", path.display());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn cases_of_kits19_have_numbers() {
        assert_eq!(numbers("3, 0-2,case_00002").unwrap(), [0, 1, 2, 3]);
        for wrong in ["", " ,", "a", "case_x", "5-2", "1-", "0-4000000000"] {
            assert!(numbers(wrong).is_err(), "{wrong}");
        }
    }
}
