//! How what lies in a watched folder looks, so that a change shows.

use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

use nephrobox_imaging::dicom::MAX_FILES;

use crate::scan;

/// Folders within folders that are looked into, as deep as the reader of series does.
const DEPTH: usize = 8;

/// What a name in the folder stands for.
pub(super) enum Thing {
    /// One file.
    Scan(PathBuf),
    /// All files of a folder that holds no such file.
    Folder(Vec<PathBuf>),
}

/// How it looked: two looks are equal if names, sizes and times of all files are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Bytes of all files.
    pub(super) bytes: u64,
    print: u64,
}

impl Look {
    fn of(files: &[(PathBuf, Metadata)]) -> Self {
        let mut hasher = DefaultHasher::new();
        for (path, found) in files {
            (path, found.len(), found.modified().ok()).hash(&mut hasher);
        }
        Self {
            bytes: files.iter().map(|(_, found)| found.len()).sum(),
            print: hasher.finish(),
        }
    }
}

/// What a name in the folder stands for, and how it looks; `None` for what is left alone.
pub(super) fn look_at(path: &Path) -> Option<(Thing, Look)> {
    let plain = |path: PathBuf| {
        let found = path.symlink_metadata().ok()?;
        let look = Look::of(&[(path.clone(), found.clone())]);
        found.is_file().then_some((Thing::Scan(path), look))
    };
    if !path.symlink_metadata().ok()?.is_dir() {
        return plain(path.to_owned());
    }
    let imaging = scan::IMAGING.iter().find_map(|name| plain(path.join(name)));
    imaging.or_else(|| {
        let mut files = Vec::new();
        // What vanishes under our eyes is looked at again in the next turn.
        descend(path, DEPTH, &mut files).ok()?;
        let look = Look::of(&files);
        let paths: Vec<_> = files.into_iter().map(|(path, _)| path).collect();
        (!paths.is_empty()).then_some((Thing::Folder(paths), look))
    })
}

/// Finds the files below a folder, in the order of their names, and follows no link. One too many is enough to be refused later.
fn descend(folder: &Path, depth: usize, files: &mut Vec<(PathBuf, Metadata)>) -> io::Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
        if paths.len() > MAX_FILES {
            break;
        }
    }
    paths.sort_unstable();
    for path in paths {
        if files.len() > MAX_FILES {
            break;
        }
        let found = path.symlink_metadata()?;
        if found.is_file() {
            files.push((path, found));
        } else if found.is_dir() && depth > 1 {
            descend(&path, depth - 1, files)?;
        }
    }
    Ok(())
}
