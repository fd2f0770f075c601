//! `nephrobox config`: check a configuration, show it with defaults, print an example.

use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::{Config, ConfigError, keys};
use crate::failure::{Exit, Failure, told};

/// Shown after the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  nephrobox config example > nephrobox.toml
  nephrobox config check nephrobox.toml     every mistake at once, with its line
  nephrobox config show nephrobox.toml      with all defaults filled in";

/// The configuration that the Debian package installs, which commands take if none is named.
pub(crate) const INSTALLED: &str = "/etc/nephrobox/nephrobox.toml";

/// Mistakes that are told at once: more than anybody makes, and fewer than fill a screen several times over.
const LISTED: usize = 20;

/// Options of `nephrobox config`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Subcommand)]
enum Action {
    /// Say everything that is wrong with a configuration.
    Check {
        /// The configuration.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print a configuration with its defaults filled in.
    Show {
        /// The configuration.
        #[arg(value_name = "FILE", default_value = INSTALLED)]
        file: PathBuf,
    },
    /// Print a commented example with every key.
    Example,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong (exit code 2) or the text cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failure> {
    let text = match &args.action {
        Action::Check { file } => {
            load(file)?;
            format!("{}: nothing wrong\n", file.display())
        }
        Action::Show { file } => toml::to_string(&load(file)?).map_err(|error| {
            Failure::new(
                Exit::Internal,
                error,
                file.display(),
                "report this as a fault of nephrobox",
            )
        })?,
        Action::Example => keys::example(),
    };
    out.write_all(text.as_bytes()).map_err(|error| {
        told(
            Exit::Output,
            &error,
            "standard output",
            "write it to a place that has room",
        )
    })
}

/// Reads and checks a configuration, and tells every mistake at once.
///
/// # Errors
/// Whatever is wrong with it (exit code 2).
pub(crate) fn load(file: &std::path::Path) -> Result<Config, Failure> {
    Config::load(file).map_err(|error| match &error {
        ConfigError::Read { .. } => told(Exit::Usage, &error, file.display(), ""),
        ConfigError::Wrong { problems, .. } => {
            let many = if problems.len() == 1 {
                "is 1 mistake"
            } else {
                &format!("are {} mistakes", problems.len())
            };
            let listed = problems.iter().take(LISTED);
            let listed = listed.map(|problem| format!("{}: {problem}", file.display()));
            let more = problems.len().saturating_sub(LISTED);
            let more = (more > 0).then(|| format!("{}: and {more} more", file.display()));
            Failure::new(
                Exit::Usage,
                format!("there {many} in the configuration"),
                file.display(),
                "correct each line named above",
            )
            .listing(listed.chain(more))
        }
    })
}
