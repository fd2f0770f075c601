//! What to do after a command: the next sensible one, ready to be copied.
//!
//! One function a command, so that the way through the program can be read here. It is said on the error stream; the
//! output stream keeps what other programs read.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use crate::data::Split;

/// A command line and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What it does.
    pub why: &'static str,
    /// The program and its arguments.
    pub words: Vec<String>,
}

impl Next {
    fn new(why: &'static str, words: &[&dyn AsWord]) -> Self {
        Self::of("nephrotrain", why, words)
    }

    fn of(program: &str, why: &'static str, words: &[&dyn AsWord]) -> Self {
        let mut all = vec![program.to_owned()];
        all.extend(words.iter().map(|word| word.word()));
        Self { why, words: all }
    }

    /// Tells the user.
    pub fn say(&self) {
        eprintln!("\nnext, {}:\n  {self}", self.why);
    }
}

impl fmt::Display for Next {
    /// As a line for a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, word) in self.words.iter().enumerate() {
            let gap = if i > 0 { " " } else { "" };
            write!(f, "{gap}{}", quoted(word))?;
        }
        Ok(())
    }
}

/// A word that a POSIX shell takes as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Anything that can stand on a command line.
trait AsWord {
    fn word(&self) -> String;
}

impl<T: AsRef<OsStr> + ?Sized> AsWord for &T {
    fn word(&self) -> String {
        self.as_ref().to_string_lossy().into_owned()
    }
}

/// After `fetch kits19` into this folder.
pub fn after_scans(out: &Path) -> Next {
    Next::new(
        "make the training set",
        &[&"prepare", &"--data", &out, &"--out", &"prepared"],
    )
}

/// After `fetch encoder` of this name to this file.
pub fn after_encoder(name: &str, file: &Path) -> Next {
    let run = Path::new("runs").join(name);
    Next::new(
        "train from these weights",
        &[
            &"train",
            &"--encoder",
            &name,
            &"--weights",
            &file,
            &"--data",
            &"prepared",
            &"--out",
            &run.as_path(),
        ],
    )
}

/// After `stats` of these folders.
pub fn after_stats(data: &[impl AsRef<Path>]) -> Next {
    let mut next = Next::new("make the training set from scans and labels", &[&"prepare"]);
    for folder in data {
        next.words.push("--data".into());
        next.words.push((&folder.as_ref()).word());
    }
    next.words.extend(["--out", "prepared"].map(str::to_owned));
    next
}

/// After `phantom` into this folder.
pub fn after_phantom(out: &Path) -> Next {
    Next::new(
        "make a training set of the phantoms",
        &[&"prepare", &"--data", &out, &"--out", &"prepared"],
    )
}

/// After `phantom --procedural` of this case.
pub fn after_invented(case: &Path) -> Next {
    let scan = case.join("imaging.nii.gz");
    Next::of(
        "nephrobox",
        "let a model outline it",
        &[
            &"segment",
            &scan.as_path(),
            &"--model",
            &"models/demo-resnet18.nbx",
            &"--out",
            &"result",
        ],
    )
}

/// After `prepare` into this folder.
pub fn after_prepare(out: &Path) -> Next {
    Next::new(
        "see whether a run on it would go through",
        &[&"check", &"--data", &out, &"--out", &"runs/first"],
    )
}

/// After `check` of a run folder that holds an interrupted run.
pub fn resume(run: &Path) -> Next {
    Next::new(
        "go on with the run",
        &[&"train", &"--out", &run, &"--resume"],
    )
}

/// After `check` with these words (the program's name left out): the same with `train`.
pub fn train_as_checked(words: impl IntoIterator<Item = String>, has_out: bool) -> Next {
    let mut next = Next::new("start the run", &[&"train"]);
    next.words.extend(words.into_iter().skip(1));
    if !has_out {
        next.words
            .extend(["--out", "runs/first"].map(str::to_owned));
    }
    next
}

/// After `augment-preview` of an augmentation.
pub fn after_preview(data: Option<&Path>, config: Option<&Path>, augment: &str) -> Next {
    let data = data.unwrap_or(Path::new("prepared"));
    let why = "train with this augmentation";
    match config {
        Some(config) => Next::new(
            why,
            &[
                &"train",
                &"--data",
                &data,
                &"--config",
                &config,
                &"--out",
                &"runs/first",
            ],
        ),
        None => Next::new(
            why,
            &[
                &"train",
                &"--data",
                &data,
                &"--augment",
                &augment,
                &"--out",
                &"runs/first",
            ],
        ),
    }
}

/// After `train` in this run folder; `split` is the part of the data that is worth a look.
pub fn after_train(run: &Path, split: Split) -> Next {
    Next::new(
        "score the network",
        &[&"evaluate", &"--run", &run, &"--split", &split.name()],
    )
}

/// To go beyond the epochs of a finished run: another that starts from its weights.
pub fn longer(run: &Path, weights: &Path) -> Next {
    let out = match run.file_name() {
        Some(name) => run.with_file_name(format!("{}-longer", name.display())),
        None => "runs/longer".into(),
    };
    Next::new(
        "train longer",
        &[
            &"train",
            &"--config",
            &run.join("config.toml").as_path(),
            &"--weights",
            &weights,
            &"--out",
            &out.as_path(),
        ],
    )
}

/// After `evaluate` of this run.
pub fn after_evaluate(run: &Path) -> Next {
    Next::new("see the run on one page", &[&"report", &run])
}

/// After `report` of this run.
pub fn after_report(run: &Path) -> Next {
    Next::new(
        "make a model package for the box",
        &[
            &"export",
            &"--run",
            &run,
            &"--out",
            &"model.nbx",
            &"--name",
            &"my-model",
            &"--licence-notice",
            &"Trained on ...",
        ],
    )
}

/// After `export` to this package.
pub fn after_export(package: &Path) -> Next {
    Next::of("nephroctl", "look into the package", &[&"info", &package])
}

/// After `export --onnx` with values to compare.
pub fn after_onnx(onnx: &Path, reference: &Path) -> Next {
    Next::of(
        "python3",
        "compare it with another engine",
        &[&"tools/peers/onnx_check.py", &onnx, &reference],
    )
}

/// After `experiments plan` into this folder.
pub fn after_plan(folder: &Path) -> Next {
    Next::new("work on its jobs", &[&"experiments", &"run", &folder])
}

/// After `experiments run` has done all jobs of this folder.
pub fn after_jobs(folder: &Path) -> Next {
    Next::new("see the tables", &[&"experiments", &"collect", &folder])
}

/// After `golden`.
pub fn after_golden() -> Next {
    Next::new(
        "count what a data folder shows",
        &[&"stats", &"--data", &"kits19/data"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    #[test]
    fn every_suggestion_is_a_command_line_that_the_program_takes() {
        let odd = Path::new("runs/it's a run");
        let all = [
            after_scans(odd),
            after_encoder("resnet34", odd),
            after_plan(odd),
            after_jobs(odd),
            after_stats(&["a", "b c"]),
            after_phantom(odd),
            after_prepare(odd),
            resume(odd),
            train_as_checked(["check", "--data", "set"].map(str::to_owned), false),
            train_as_checked(["check", "--out", "run"].map(str::to_owned), true),
            after_preview(None, None, "ct"),
            after_preview(Some(odd), Some(odd), "ct"),
            after_train(odd, Split::Test),
            longer(odd, Path::new("last.safetensors")),
            after_evaluate(odd),
            after_report(odd),
            after_golden(),
        ];
        for next in all {
            assert_eq!(cli::fault(&next.words), None, "{next}");
        }
        // The other programs have their own tests.
        assert_eq!(after_export(odd).words[0], "nephroctl");
        assert_eq!(after_invented(odd).words[0], "nephrobox");
        assert_eq!(after_onnx(odd, odd).words[0], "python3");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        let next = after_evaluate(Path::new("runs/it's a run"));
        assert_eq!(next.to_string(), r"nephrotrain report 'runs/it'\''s a run'");
        assert_eq!(quoted("runs/first"), "runs/first");
        assert_eq!(quoted(""), "''");
    }
}
