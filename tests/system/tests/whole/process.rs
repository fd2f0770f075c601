//! What the system says of a process that runs.

use std::fmt;
use std::fs;
use std::io::Write as _;

/// What a process holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Memory that is resident, in KiB.
    pub(crate) resident_kib: u64,
    /// The most that ever was, or since [`forget_peak`], in KiB.
    pub(crate) peak_kib: u64,
    /// Open files, sockets and pipes.
    pub(crate) files: usize,
    /// Threads.
    pub(crate) threads: u64,
}

impl Vitals {
    /// Those of a process that runs.
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.expect("a number").parse().expect("a number")
        };
        Self {
            resident_kib: number("VmRSS:"),
            peak_kib: number("VmHWM:"),
            files: fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("it runs")
                .count(),
            threads: number("Threads:"),
        }
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resident_kib,
            peak_kib,
            files,
            threads,
        } = self;
        write!(
            f,
            "{resident_kib:>7} KiB, {peak_kib:>7} KiB at most, {files:>3} files, {threads:>3} threads"
        )
    }
}

/// Lets the peak of a process begin anew at what is resident now.
pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a process of this user");
}

/// Says a figure in a test that passes, too, where `println` is swallowed.
pub(crate) fn figure(words: fmt::Arguments<'_>) {
    // Nobody may be listening, which changes nothing about the figure.
    let _ = writeln!(std::io::stderr(), "    {words}");
}
