//! What to do about a disk or a device that fails, in the words of whoever can do it: a command line has flags, a box has a configuration.
//!
//! Used by the job and by what writes results, which both run in either place.

/// Where the words are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Remedies {
    /// At the terminal at which somebody typed the command.
    #[default]
    CommandLine,
    /// In the faults and error reports of a box, which nobody has given a flag.
    Box,
}

impl Remedies {
    /// A device that fails.
    pub(crate) const fn device(self) -> &'static str {
        match self {
            Self::CommandLine => "use another device, for instance --device cpu",
            Self::Box => {
                "set compute.device to another device, for instance cpu, and start the box again"
            }
        }
    }

    /// A disk that refuses.
    pub(crate) const fn disk(self) -> &'static str {
        match self {
            Self::CommandLine => "check the folder and its disk, or name another folder with --out",
            Self::Box => "check the disk of the folder box.state",
        }
    }

    /// A file where the folder should be.
    pub(crate) const fn file(self) -> &'static str {
        match self {
            Self::CommandLine => "name another folder with --out",
            Self::Box => self.disk(),
        }
    }

    /// A folder that holds files already.
    pub(crate) const fn taken(self) -> &'static str {
        match self {
            Self::CommandLine => {
                "name another folder with --out, or add --force to replace the results in it"
            }
            Self::Box => self.disk(),
        }
    }

    /// A folder that may not be written to.
    pub(crate) const fn forbidden(self) -> &'static str {
        match self {
            Self::CommandLine => "name a folder that you may write to with --out",
            Self::Box => "let the user of nephrobox write to the folder box.state",
        }
    }

    /// A full disk.
    pub(crate) const fn full(self) -> &'static str {
        match self {
            Self::CommandLine => "free some space, or name another disk with --out",
            Self::Box => "free some space on the disk of the folder box.state",
        }
    }
}
