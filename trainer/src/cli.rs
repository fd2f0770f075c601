//! The command line as a whole.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use nephrobox_shared::{told::Told, words};

use crate::commands;
use crate::data::DataError;
use crate::experiments::ExperimentError;
use crate::train::{SettingsError, TrainError};

/// Train and prove networks that outline kidneys and kidney tumours on CT
#[derive(Debug, Parser)]
#[command(
    name = "nephrotrain",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not all done yet (experiments run)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Fetch(commands::fetch::FetchArgs),
    Stats(commands::stats::StatsArgs),
    Prepare(commands::prepare::PrepareArgs),
    Check(Box<commands::check::CheckArgs>),
    AugmentPreview(commands::augment_preview::AugmentPreviewArgs),
    Train(Box<commands::train::TrainArgs>),
    Evaluate(commands::evaluate::EvaluateArgs),
    Report(commands::report::ReportArgs),
    Experiments(commands::experiments::ExperimentsArgs),
    Export(commands::export::ExportArgs),
    Quantise(commands::quantise::QuantiseArgs),
    Golden(commands::golden::GoldenArgs),
    Phantom(commands::phantom::PhantomArgs),
}

/// Parses `args` (the program's name first), runs the command and reports an error on stderr.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are "errors" of clap with exit code 0.
            let _ = e.print();
            return ExitCode::from(u8::try_from(e.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Fetch(args) => args.run(),
        Command::Stats(args) => args.run(),
        Command::Prepare(args) => args.run(),
        Command::Check(args) => args.run(),
        Command::AugmentPreview(args) => args.run(),
        Command::Train(args) => args.run(),
        Command::Evaluate(args) => args.run(),
        Command::Report(args) => args.run(),
        Command::Experiments(args) => args.run(),
        Command::Export(args) => args.run(),
        Command::Quantise(args) => args.run(),
        Command::Golden(args) => args.run(),
        Command::Phantom(args) => args.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", said(&error));
            match error.downcast_ref::<commands::experiments::Unfinished>() {
                Some(_) => ExitCode::from(3),
                None => ExitCode::FAILURE,
            }
        }
    }
}

/// What a person is told: of bad input in three sentences, what, where and what to do; else in one.
///
/// Other people's words may be in it, which must not steer the terminal.
fn said(error: &anyhow::Error) -> String {
    match told(error) {
        Some(told) => format!("error: {told}"),
        None => format!("error: {}", words::lines(&format!("{error:#}"))),
    }
}

/// The three sentences of data, weights and settings files, wherever the error came up.
fn told(error: &anyhow::Error) -> Option<Told> {
    let data = |e: &DataError| Some(Told::new(e.what(), e.place().display(), e.remedy()));
    if let Some(ExperimentError::Data(e)) = error.downcast_ref() {
        return data(e);
    }
    match error.downcast_ref::<TrainError>() {
        Some(TrainError::Data(e)) => data(e),
        Some(TrainError::Import(e)) => Some(Told::new(e.what(), e.place().display(), e.remedy())),
        Some(TrainError::Settings(e)) => Some(settings(e)),
        Some(_) => None,
        None => match error.downcast_ref::<SettingsError>() {
            Some(e) => Some(settings(e)),
            None => error.downcast_ref().and_then(data),
        },
    }
}

fn settings(error: &SettingsError) -> Told {
    const HELP: &str = "`nephrotrain train --help` names the settings and what they may be";
    match error {
        SettingsError::File { path, reason } => Told::new(
            format_args!("the settings file cannot be used: {reason}"),
            path.display(),
            format_args!("mend it; {HELP}"),
        ),
        SettingsError::Data => Told::new(
            "no training set is given",
            "--data",
            "name one with --data, or with `data` in the settings file",
        ),
        SettingsError::Fault(fault) => Told::new(
            fault,
            format_args!("--{}", fault.key),
            format_args!("give another value; {HELP}"),
        ),
    }
}

/// What is wrong with a command line (the program's name first), if anything; nothing is run and no file is looked at.
#[must_use]
pub fn fault(words: &[String]) -> Option<String> {
    Cli::try_parse_from(words).err().map(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Every command that does something, with its path: `nephrotrain experiments plan`.
    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, String)>) {
        let path = format!("{path} {}", command.get_name());
        let mut children = command.get_subcommands().peekable();
        if children.peek().is_none() {
            let help = command.get_after_help().map(ToString::to_string);
            found.push((path.trim().to_owned(), help.unwrap_or_default()));
        }
        for child in children {
            leaves(child, &path, found);
        }
    }

    /// The example command lines of a help text, continued lines joined, redirections cut off.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let joined = help.replace("\\\n", " ");
        let lines = joined
            .lines()
            .filter_map(|line| line.find("nephrotrain ").map(|at| &line[at..]));
        lines
            .map(|line| words(line.split(['>', '|', '#']).next().unwrap_or_default()))
            .collect()
    }

    /// Words as a shell takes them, double quotes kept together.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        let mut words = Vec::new();
        for (i, part) in parts {
            if i % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_command_has_an_example_that_it_takes() {
        let mut found = Vec::new();
        leaves(&Cli::command(), "", &mut found);
        assert!(found.len() >= 8, "{found:?}");
        for (path, help) in found {
            assert!(help.contains("Example"), "`{path} --help` has no example");
            let own = examples(&help)
                .into_iter()
                .filter(|words| words.join(" ").starts_with(&path))
                .collect::<Vec<_>>();
            assert!(
                !own.is_empty(),
                "no example of `{path}` in its help: {help}"
            );
            for example in own {
                assert_eq!(fault(&example), None, "{example:?}");
            }
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
