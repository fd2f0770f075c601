//! A box on a cable.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nephrobox_link::cable::{Cable, Quality};
use nephrobox_link::client::{Client, LinkError, Options};
use nephrobox_link::endpoint::Endpoint;

/// How long a box may take to answer after its start, on a busy machine.
const START: Duration = Duration::from_mins(1);
/// The box's systemd unit.
const UNIT: &str = include_str!("../../../appliance/packaging/nephrobox.service");

/// The program that is box and tool in one: `EXE box …` is `nephrobox …`, `EXE ctl …` is `nephroctl …`.
///
/// One file for both, since a test or `cargo run` builds the programs of its own package only.
#[derive(Clone, Debug)]
pub struct Exe(pub PathBuf);

impl Exe {
    /// A command of the box's program, with the environment that its systemd unit gives it.
    #[must_use]
    pub fn nephrobox(&self) -> Command {
        let mut command = self.role("box");
        let variables = UNIT
            .lines()
            .filter_map(|line| line.strip_prefix("Environment="))
            .flat_map(str::split_whitespace)
            .filter_map(|variable| variable.split_once('='));
        command.envs(variables);
        command
    }

    /// A command of the tools' program.
    #[must_use]
    pub fn nephroctl(&self) -> Command {
        self.role("ctl")
    }

    fn role(&self, role: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(role).stdin(Stdio::null());
        command
    }
}

/// Why the rig does not stand.
#[derive(Debug)]
pub enum RigError {
    /// A file, a process or a cable is not to be had.
    Io(io::Error),
    /// A command failed; holds the command, and what it said.
    Command(String, String),
    /// The box ended, or does not answer; holds the end of what it said.
    Silent(String),
}

impl From<io::Error> for RigError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl std::fmt::Display for RigError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::Command(command, said) => write!(out, "{command}: {said}"),
            Self::Silent(said) => write!(out, "the box does not answer; the last it said:\n{said}"),
        }
    }
}

impl std::error::Error for RigError {}

/// A box, its cable, and the folder of both.
pub struct Rig {
    exe: Exe,
    home: PathBuf,
    cable: Cable,
    running: Option<Child>,
}

impl Rig {
    /// Makes a pair of keys, and a configuration that trusts them, in `home`; the box is not started. `more` is added to the configuration's end.
    /// The folder's name is the box's.
    ///
    /// # Errors
    /// When the folder, the cable or the keys cannot be made.
    pub fn build(exe: Exe, home: &Path, quality: Quality, more: &str) -> Result<Self, RigError> {
        fs::create_dir_all(home)?;
        let home = fs::canonicalize(home)?;
        let rig = Self {
            exe,
            home,
            cable: Cable::of(quality)?,
            running: None,
        };
        // What it prints is a section of the configuration.
        let model = rig.tool(["keygen".as_ref(), rig.home.join("signing").as_os_str()])?;
        let text = format!(
            "[box]\nname = \"{name}\"\nstate = \"{state}\"\n\n[serial]\ndevice = \"{port}\"\n\n\
             {model}\n{more}",
            name = rig.home.file_name().unwrap_or_default().display(),
            state = rig.state().display(),
            port = rig.cable.box_end().display(),
        );
        fs::write(rig.config(), text)?;
        Ok(rig)
    }

    /// The box's configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.home.join("nephrobox.toml")
    }

    /// The box's state folder.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.home.join("state")
    }

    /// The secret key that the box trusts.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.home.join("signing.secret")
    }

    /// The folder of everything.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// What the box has said so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.home.join("box.log")
    }

    /// The cable.
    #[must_use]
    pub fn cable(&self) -> &Cable {
        &self.cable
    }

    /// Starts the box's process. It answers a little later.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start(&mut self) -> Result<(), RigError> {
        self.kill();
        let log = File::options().create(true).append(true).open(self.log())?;
        let child = self
            .exe
            .nephrobox()
            .args(["run", "--config"])
            .arg(self.config())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.running = Some(child);
        Ok(())
    }

    /// Kills the box as a power cut would: no last words.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It may have ended by itself, which is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The box's process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Child::id)
    }

    /// A line to the box, once it answers.
    ///
    /// # Errors
    /// When it does not within a minute, or has ended.
    pub fn client(&mut self) -> Result<Client, RigError> {
        let endpoint = Endpoint::Serial(self.cable.tool_end().to_owned());
        let options = Options {
            patience: START,
            ..Options::default()
        };
        let until = Instant::now() + START;
        loop {
            match Client::connect(&endpoint, &options) {
                Ok(client) => return Ok(client),
                Err(error) => {
                    let ended = match &mut self.running {
                        Some(child) => child.try_wait()?.is_some(),
                        None => true,
                    };
                    if ended || Instant::now() > until || !matches!(error, LinkError::NoBox { .. })
                    {
                        return Err(RigError::Silent(format!("{error}\n{}", self.last_words())));
                    }
                }
            }
        }
    }

    /// The end of what the box has said.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Runs `nephroctl` and returns what it printed.
    ///
    /// # Errors
    /// When it cannot be run, or fails; with what it said.
    pub fn tool<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String, RigError> {
        let args: Vec<_> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let output = self.try_tool(&args)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = args
            .iter()
            .map(|arg| arg.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(RigError::Command(format!("nephroctl {words}"), said))
    }

    /// Runs `nephroctl` on the rig's cable and returns how it ended.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn try_tool<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output, RigError> {
        let mut command = self.exe.nephroctl();
        command
            .args(args)
            .env("NEPHROBOX_PORT", self.cable.tool_end());
        Ok(command.output()?)
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file of the repository: below the current folder or one above it, else where the program was built.
///
/// # Errors
/// When it is in none of them.
pub fn file(name: &str) -> io::Result<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .chain(built.ancestors())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let words = format!("{name} is not here; run it in a checkout of the repository");
            io::Error::new(io::ErrorKind::NotFound, words)
        })
}
