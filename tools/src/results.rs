//! A scan's results: off the box, and into a folder, whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
use nephrobox_link::client::{Client, Progress};
use nephrobox_link::message::{Item, Word, cut};
pub use nephrobox_shared::report::names::{FAILURE_TEXT, LABELS, REPORT_JSON, REPORT_TEXT};
use serde::Deserialize;

use crate::failure::{Exit, Failure, told, unwritable};
use crate::line;

/// Most files that a scan's results have.
const MOST_FILES: usize = 100;
/// Largest list of them, in bytes.
const LONGEST_LIST: u64 = 1 << 20;
/// Most bytes of all of them together, which are in memory at once.
const MOST_BYTES: u64 = 1 << 30;
/// Start of the names of folders that are still being filled.
const STAGING: &str = ".nephroctl-partial-";

/// A file's name in a request.
type Name = heapless::String<128>;

/// One file of a scan's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultFile {
    /// A plain file name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// What the box lists.
#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    bytes: u64,
}

/// Fetches all results of a scan that the box has done; `heard` is told the file and how far it is.
///
/// # Errors
/// If the box has no results of the scan, cannot be reached, or names files that cannot be.
pub fn fetch(
    client: &mut Client,
    scan: &str,
    heard: &mut dyn FnMut(&str, Progress),
) -> Result<Vec<ResultFile>, Failure> {
    let list = |scan| Item::Results { scan };
    let one = |scan, name| Item::Result { scan, name };
    fetch_listed(client, scan, (list, one), heard)
}

/// The same, of the results without whose they are, which the box makes of them.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_export(
    client: &mut Client,
    scan: &str,
    heard: &mut dyn FnMut(&str, Progress),
) -> Result<Vec<ResultFile>, Failure> {
    let list = |scan| Item::Exports { scan };
    let one = |scan, name| Item::Export { scan, name };
    fetch_listed(client, scan, (list, one), heard)
}

/// All files of a list.
fn fetch_listed(
    client: &mut Client,
    scan: &str,
    (list, one): (impl Fn(Word) -> Item, impl Fn(Word, Name) -> Item),
    heard: &mut dyn FnMut(&str, Progress),
) -> Result<Vec<ResultFile>, Failure> {
    let scan: Word = cut(scan);
    let item = list(scan.clone());
    let list = line::get(client, &item, LONGEST_LIST, &mut |_| ())?;
    let list: Vec<Listed> = serde_json::from_slice(&list)
        .map_err(|_| line::nonsense("its list of results cannot be read", client.endpoint()))?;
    if list.len() > MOST_FILES {
        return Err(line::nonsense("too many results", client.endpoint()));
    }
    let mut results = Vec::with_capacity(list.len());
    let mut left = MOST_BYTES;
    for Listed { name, bytes } in list {
        let rest = left.checked_sub(bytes).filter(|_| is_plain(&name));
        let Some(rest) = rest else {
            let what = format!("a result that cannot be, {name:?} of {bytes} bytes");
            return Err(line::nonsense(&what, client.endpoint()));
        };
        left = rest;
        let item = one(scan.clone(), cut(&name));
        let bytes = line::get(client, &item, bytes, &mut |progress| heard(&name, progress))?;
        results.push(ResultFile { name, bytes });
    }
    Ok(results)
}

/// Whether a name from the box can be a file in any folder and nothing else.
fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The text that the results have for people: the report, or why there is none.
#[must_use]
pub fn text(results: &[ResultFile]) -> Option<String> {
    [REPORT_TEXT, FAILURE_TEXT]
        .iter()
        .find_map(|name| results.iter().find(|file| file.name == *name))
        .map(|file| String::from_utf8_lossy(&file.bytes).into_owned())
}

/// A folder that results may go to; checked, not touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Checks that results can go to `path`, before anybody works for them.
    ///
    /// # Errors
    /// If it is a file, or holds files and `force` is not given.
    pub fn check(path: &Path, force: bool) -> Result<Self, Failure> {
        let taken = |what, remedy| Failure::new(Exit::Output, what, path.display(), remedy);
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(taken(
                    "the output folder is a file",
                    "name another folder with --out",
                ));
            }
            Err(error) => return Err(unwritable(path, &error)),
            Ok(mut entries) => {
                if !force && entries.next().is_some() {
                    return Err(taken(
                        "the output folder is not empty",
                        "name another folder with --out, or add --force to replace the results in it",
                    ));
                }
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes all results; when this returns they are on the disk to stay.
    ///
    /// A new folder appears in one step. In one that exists files are exchanged one by one, `report.json` going first and
    /// coming last; files of other names are left alone.
    ///
    /// # Errors
    /// If the disk refuses. Then no `report.json` speaks of results that are not there.
    pub fn put(&self, results: &[ResultFile]) -> Result<(), Failure> {
        self.write(results)
            .map_err(|error| unwritable(&self.0, &error))
    }

    fn write(&self, results: &[ResultFile]) -> io::Result<()> {
        let beside = files::folder_of(&self.0);
        fs::create_dir_all(beside)?;
        let mut staging = tempfile::Builder::new();
        staging.prefix(STAGING);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            staging.permissions(fs::Permissions::from_mode(0o777));
        }
        let exists = self.0.is_dir();
        let staging = staging.tempdir_in(if exists { &self.0 } else { beside })?;
        for file in results {
            files::write(&staging.path().join(&file.name), &file.bytes)?;
        }
        if !exists {
            fs::rename(staging.path(), &self.0)?;
            return files::sync_folder(beside);
        }
        match fs::remove_file(self.0.join(REPORT_JSON)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => files::sync_folder(&self.0)?,
        }
        let (report, others): (Vec<_>, Vec<_>) =
            results.iter().partition(|file| file.name == REPORT_JSON);
        for file in others.into_iter().chain(report) {
            fs::rename(staging.path().join(&file.name), self.0.join(&file.name))?;
        }
        files::sync_folder(&self.0)
    }
}

/// What is wrong with results that lack a file which those of every scan with a report have.
pub(crate) fn missing(name: &str, scan: &str) -> Failure {
    let error = io::Error::other(format!("the results lack {name}"));
    told(
        Exit::Line,
        &error,
        scan,
        "bring box and nephroctl to the same release",
    )
    .coded("answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(word: &str) -> Vec<ResultFile> {
        [REPORT_JSON, REPORT_TEXT]
            .map(|name| ResultFile {
                name: name.into(),
                bytes: format!("{word} {name}").into_bytes(),
            })
            .into()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string())
            .collect::<Result<_, _>>()
            .expect("plain names");
        names.sort();
        names
    }

    /// Shows RQ-71.
    #[test]
    fn names_that_leave_the_folder_or_hide_in_it_are_no_results() {
        for name in ["report.json", "overlay-left-kidney.png", "a_b.nii.gz"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../a",
            "/etc/passwd",
            "a/b",
            "a\\b",
            ".bashrc",
            "a\0",
            "\u{e4}",
            &"x".repeat(129),
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn a_new_folder_appears_whole_with_its_parents() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("a/b");
        Folder::check(&path, false)
            .expect("free")
            .put(&results("first"))
            .expect("written");
        assert_eq!(names(&path), [REPORT_JSON, REPORT_TEXT]);
        assert_eq!(names(&home.path().join("a")), ["b"]);
    }

    #[test]
    fn results_are_replaced_only_by_force_and_other_files_stay() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path();
        fs::write(path.join("notes"), "mine").expect("written");
        let refused = Folder::check(path, false).expect_err("not empty");
        assert_eq!(refused.exit, Exit::Output);
        for word in ["first", "second"] {
            let folder = Folder::check(path, true).expect("by force");
            folder.put(&results(word)).expect("written");
            assert_eq!(names(path), ["notes", REPORT_JSON, REPORT_TEXT]);
            let report = fs::read_to_string(path.join(REPORT_JSON)).expect("a report");
            assert_eq!(report, format!("{word} {REPORT_JSON}"));
        }
        let file = Folder::check(&path.join("notes"), true).expect_err("a file");
        assert!(file.told.what.contains("is a file"), "{file}");
    }
}
