//! Runs a program on one bad input, bounded in memory and time, and looks at what it leaves.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::ground::{Ground, MARKS, Place};
use crate::row::{Row, Section, Told, Way};

/// Private memory of a command that refuses, in KiB: heap, stacks and anonymous mappings together, as `RLIMIT_DATA` counts them.
///
/// A refusal of `nephroctl` does with 4 MiB, a thread has 2 MiB of stack. Whatever a file claims, a refusal must fit into this.
pub(crate) const REFUSAL_KIB: u64 = 64 << 10;
/// The same of a command that goes on to segment the phantom, and draws the page of the report: fonts, picture and document take most of it.
pub(crate) const WORK_KIB: u64 = 192 << 10;
/// The same with the largest scan of the table.
pub(crate) const LARGE_KIB: u64 = 320 << 10;

/// The same of a box that runs: it has about 40 threads, and works on a scan while others come in.
pub(crate) const BOX_KIB: u64 = 384 << 10;

/// A command that takes longer hangs.
const TOO_LONG: Duration = Duration::from_mins(2);
/// The longest that all a command says may be; more is a flood.
const MOST_WORDS: usize = 8192;

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: Option<ExitStatus>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `program` with at most `kib` of private memory.
pub(crate) fn bounded(
    program: &Path,
    words: &[OsString],
    kib: u64,
    place: &Place<'_>,
) -> io::Result<Ended> {
    let [out, err] = ["stdout", "stderr"].map(|name| place.aside(name));
    let mut command = Command::new("sh");
    command
        // The shell gives itself the bound, and becomes the program.
        .args(["-c", "ulimit -d \"$0\" && exec \"$@\""])
        .arg(kib.to_string())
        .arg(program)
        .args(words)
        .current_dir(place.folder())
        .env("TMPDIR", place.temporary())
        .env("HOME", place.aside("home"))
        .env_remove("XDG_CACHE_HOME")
        .env_remove("NEPHROBOX_PORT")
        .env_remove("NEPHROBOX_STATE")
        // Somebody's setting must not decide whether a panic is told at length.
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?);
    let mut child = command.spawn()?;
    let until = Instant::now() + TOO_LONG;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let read = |path: &Path| Ok::<_, io::Error>(String::from_utf8_lossy(&fs::read(path)?).into());
    Ok(Ended {
        status,
        stdout: read(&out)?,
        stderr: read(&err)?,
    })
}

/// Tries a row of a section: every input it stands for.
pub(crate) fn row(ground: &Ground, section: &Section, number: usize) -> Result<Told, String> {
    let Way::Program { call, kib, rows } = section.way else {
        return Err("a service's rows are not run one by one".into());
    };
    let row = &rows[number];
    let mut told = None;
    for turn in 1..=row.turns {
        let place = Place::new(ground, turn);
        let words = call(&place, (row.make)(&place));
        let one = once(&place, row, &words, row.kib.unwrap_or(kib));
        let one = one.map_err(|why| match row.turns {
            1 => why,
            _ => format!("turn {turn}: {why}"),
        })?;
        // A family is shown by the one in its middle.
        if turn == row.turns.div_ceil(2) {
            told = Some(one);
        }
    }
    told.ok_or_else(|| "a row without any input".into())
}

pub(crate) fn once(
    place: &Place<'_>,
    row: &Row,
    words: &[OsString],
    kib: u64,
) -> Result<Told, String> {
    let before = below(&place.folder());
    // Box and tools are one program here; the trainer, which nothing else needs, is another.
    let (program, words) = match words {
        [first, rest @ ..] if first == "train" => (place.ground().trainer(), rest),
        _ => (place.ground().program.clone(), words),
    };
    let ended = bounded(&program, words, kib, place)
        .map_err(|error| format!("it does not run: {error}"))?;
    let Ended {
        status,
        stdout,
        stderr,
    } = &ended;
    let wrong = |why: String| {
        let end = |text: &str| text.chars().take(1500).collect::<String>();
        Err(format!("{why}\n{}{}", end(stdout), end(stderr)))
    };
    let Some(status) = status else {
        return wrong(format!("it hung for {TOO_LONG:?}"));
    };
    if status.code() != Some(i32::from(row.exit)) {
        return wrong(format!("it ended with {status}, not with {}", row.exit));
    }
    for (text, name) in [(stdout, "standard output"), (stderr, "standard error")] {
        if let Some(why) = unfit(text) {
            return wrong(format!("{name}: {why}"));
        }
    }
    let wanted = |text: &str| row.words.split('|').any(|words| text.contains(words));
    let (what, remedy) = if row.exit == 0 {
        let all = format!("{stdout}{stderr}");
        let Some(line) = all.lines().find(|line| wanted(line)) else {
            return wrong(format!("nothing of {:?} is said", row.words));
        };
        // The report for people is looked at in a terminal, too.
        if let Ok(report) = fs::read_to_string(place.path("out/report.txt"))
            && let Some(c) = report.chars().find(|&c| c.is_control() && c != '\n')
        {
            return wrong(format!("the report has the control character {c:?}"));
        }
        // Columns of a table, and how long it took, are not for the page.
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let line = line.split(" slices in ").next().unwrap_or_default();
        (line.to_owned(), String::new())
    } else {
        if !stdout.is_empty() {
            return wrong("something on standard output, where a script would take it".into());
        }
        let sentences = match sentences(stderr) {
            Ok(sentences) => sentences,
            Err(why) => return wrong(why),
        };
        if !wanted(&sentences.0) {
            return wrong(format!("nothing of {:?} in {:?}", row.words, sentences.0));
        }
        if let Some(left) = below(&place.folder())
            .into_iter()
            .find(|path| !before.contains(path))
        {
            return wrong(format!("{} was left behind", left.display()));
        }
        sentences
    };
    if let Some(left) = below(&place.temporary()).first() {
        return wrong(format!("{} was left behind", left.display()));
    }
    Ok(Told {
        name: row.name.into(),
        answer: row.exit.to_string(),
        what: place.plain(&what),
        remedy: place.plain(&remedy),
    })
}

/// What no program may say, whatever it is given.
pub(crate) fn unfit(text: &str) -> Option<String> {
    for word in [
        "panicked",
        "RUST_BACKTRACE",
        "backtrace",
        "overflowed its stack",
    ] {
        if text.contains(word) {
            return Some(format!("it says {word:?}"));
        }
    }
    if let Some(mark) = MARKS.iter().find(|mark| text.contains(**mark)) {
        return Some(format!("it names the patient: {mark}"));
    }
    if let Some(c) = text.chars().find(|&c| c.is_control() && c != '\n') {
        return Some(format!(
            "it sends the control character {c:?} to the terminal"
        ));
    }
    (text.len() > MOST_WORDS).then(|| format!("it says {} bytes", text.len()))
}

/// What is wrong and what to do, out of what a program said; the third sentence says where.
fn sentences(stderr: &str) -> Result<(String, String), String> {
    let begin = |line: &str| line.starts_with("error: ") || line.starts_with("error[");
    let Some(at) = stderr.lines().position(begin) else {
        return Err("no line says what is wrong".into());
    };
    let lines: Vec<&str> = stderr.lines().skip(at).collect();
    let after = |line: &str| {
        line.split_once(": ")
            .map_or("", |(_, rest)| rest)
            .to_owned()
    };
    if let Some(usage) = lines.iter().find(|line| line.contains("'--help'")) {
        return Ok((after(lines[0]), (*usage).to_owned()));
    }
    let [before @ .., place, remedy] = lines.as_slice() else {
        return Err("these are not three sentences".into());
    };
    if !place.starts_with("where: ") || !remedy.starts_with("to do: ") {
        return Err("it does not end with where and what to do".into());
    }
    let told =
        [before.join("\n"), (*place).to_owned(), (*remedy).to_owned()].map(|line| after(&line));
    if told.iter().any(|sentence| sentence.trim().is_empty()) {
        return Err("a sentence is empty".into());
    }
    // Only a configuration has several mistakes at once, and each has its line of the file.
    if before.iter().skip(1).any(|line| !line.contains(".toml: ")) {
        return Err("what is wrong takes more than one line".into());
    }
    let [what, _, remedy] = told;
    Ok((what, remedy))
}

/// Everything below a folder.
pub(crate) fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}
