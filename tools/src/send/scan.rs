//! What a person means by a scan: a NIfTI file, a case folder, or a DICOM series in a folder, in files or in a tar.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nephrobox_imaging::dicom::{DicomError, SeriesFiles, is_dicom, is_tar, sort_out};
use nephrobox_imaging::{ImagingError, ScanReader};
use nephrobox_link::client::{Client, Progress};
use nephrobox_link::message::{Object, cut};

use super::Step;
use crate::failure::{Exit, Failure, told};
use crate::line;

/// Names of the scan in a case folder in the layout of KiTS19.
const IMAGING: [&str; 2] = ["imaging.nii.gz", "imaging.nii"];

/// Series of a folder that a sentence lists.
const LISTED: usize = 20;

/// A scan that can be sent.
#[derive(Debug)]
pub(super) struct Scan {
    /// What the person named, for messages.
    pub(super) place: PathBuf,
    /// What people here call it; the folder of its results has this name, too.
    pub(super) label: String,
    /// What the box is told. Folders of DICOM files are often called after their patient, so it does not hear theirs.
    name: String,
    content: Content,
}

#[derive(Debug)]
enum Content {
    File(PathBuf),
    /// Packed into one file when it is sent.
    Series(SeriesFiles),
}

/// Which series of a folder that holds several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// There may be only one.
    Only,
    /// The one of this number, counted from 1.
    Number(usize),
    All,
}

impl Scan {
    /// The one scan that a path stands for.
    pub(super) fn find(path: &Path) -> Result<Self, Failure> {
        let mut scans = find(std::slice::from_ref(&path.to_owned()), Choice::Only)?;
        match (scans.pop(), scans.is_empty()) {
            (Some(scan), true) => Ok(scan),
            _ => Err(Failure::new(
                Exit::Internal,
                "one path became several scans",
                path.display(),
                "report this; it is a fault in nephroctl",
            )),
        }
    }

    /// Opens it, to see before anything is sent that it is a scan.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let opened = match &self.content {
            Content::File(path) => ScanReader::open(path),
            Content::Series(series) => ScanReader::open_sorted(series),
        };
        opened.map(|_| ()).map_err(|error| {
            let path = match (&error, &self.content) {
                (ImagingError::Dicom(error), _) => error.path().to_owned(),
                (_, Content::File(path)) => path.clone(),
                (_, Content::Series(_)) => self.place.clone(),
            };
            let remedy = "export the scan again as one 3-D NIfTI-1 file";
            told(Exit::Input, &error, path.display(), remedy)
        })
    }

    /// Sends it and returns its id on the box.
    pub(super) fn send(
        &self,
        client: &mut Client,
        fast: bool,
        heard: &mut dyn FnMut(Step<'_>),
    ) -> Result<String, Failure> {
        let mut file = match &self.content {
            Content::File(path) => File::open(path)
                .map_err(|error| told(Exit::Input, &error, path.display(), "check the path"))?,
            Content::Series(series) => pack(series, heard)?,
        };
        let object = Object::Scan {
            name: cut(&self.name),
            fast,
        };
        let put = client.put(&object, &mut file, &mut |progress| {
            heard(Step::Sending(progress));
        });
        match put {
            Ok(id) => Ok(id.as_str().to_owned()),
            Err(error) => Err(line::failed(&error, self.place.display())),
        }
    }
}

/// Packs a series into a file without a name, which vanishes when it is closed.
fn pack(series: &SeriesFiles, heard: &mut dyn FnMut(Step<'_>)) -> Result<File, Failure> {
    let folder = std::env::temp_dir();
    let name_another = "name a folder with room for the series in the variable TMPDIR";
    let no_room = |error: &io::Error| told(Exit::Output, error, folder.display(), name_another);
    let file = tempfile::tempfile().map_err(|error| no_room(&error))?;
    let mut counted = Counted {
        file,
        done: 0,
        total: series.bytes(),
        heard,
    };
    let look = "look at the files of the series";
    series.pack(&mut counted).map_err(|error| match &error {
        DicomError::NotPacked { source, .. } => no_room(source),
        _ => told(Exit::Input, &error, error.path().display(), look),
    })?;
    Ok(counted.file)
}

/// A file that tells how much has been written.
struct Counted<'a> {
    file: File,
    done: u64,
    total: u64,
    heard: &'a mut dyn FnMut(Step<'_>),
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        // Headers are written, too, so it may be a little more than the files have.
        self.done = self.total.min(self.done + written as u64);
        let (done, total) = (self.done, self.total);
        (self.heard)(Step::Packing(Progress::Bytes { done, total }));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The scans that a list of paths stands for. All DICOM files among them are one list, and stand where the first of them stood.
pub(super) fn find(paths: &[PathBuf], choice: Choice) -> Result<Vec<Scan>, Failure> {
    let loose: Vec<_> = paths
        .iter()
        .filter(|path| is_dicom(path))
        .cloned()
        .collect();
    let mut scans = Vec::new();
    let mut listed = false;
    for path in paths {
        if is_dicom(path) {
            if !listed {
                listed = true;
                scans.extend(series(path, "series", &loose, choice)?);
            }
        } else if is_tar(path) {
            let named = std::slice::from_ref(path);
            scans.extend(series(path, stem(&name(path)), named, choice)?);
        } else if path.is_dir() {
            let inside = IMAGING.iter().map(|name| path.join(name));
            if let Some(file) = inside.into_iter().find(|file| file.is_file()) {
                scans.push(Scan::file(path, file));
            } else {
                let named = std::slice::from_ref(path);
                scans.extend(series(path, &name(path), named, choice)?);
            }
        } else {
            scans.push(Scan::file(path, path.clone()));
        }
    }
    let series = scans
        .iter()
        .any(|scan| matches!(scan.content, Content::Series(_)));
    match (choice, paths) {
        (Choice::Number(_), [first, ..]) if !series => Err(Failure::new(
            Exit::Usage,
            "--series chooses among DICOM series, and there is none",
            first.display(),
            "leave the option out, or name the folder of a DICOM series",
        )),
        _ => Ok(scans),
    }
}

impl Scan {
    fn file(place: &Path, file: PathBuf) -> Self {
        let name = name(&file);
        Self {
            place: place.to_owned(),
            label: stem(&name).to_owned(),
            name,
            content: Content::File(file),
        }
    }
}

/// The chosen series among files that lie in one place.
fn series(
    place: &Path,
    label: &str,
    paths: &[PathBuf],
    choice: Choice,
) -> Result<Vec<Scan>, Failure> {
    let sorted = sort_out(paths).map_err(|error| {
        if let DicomError::NotDicom { path } = &error
            && path.is_dir()
        {
            return Failure::new(
                Exit::Input,
                "the folder holds neither imaging.nii.gz nor a DICOM file",
                place.display(),
                "name the NIfTI file itself, a case folder in the layout of KiTS19, or the folder of a DICOM series",
            );
        }
        told(Exit::Input, &error, error.path().display(), "check the path")
    })?;
    let several = sorted.len() > 1;
    let scan = |(index, series): (usize, SeriesFiles)| Scan {
        place: place.to_owned(),
        label: if several {
            format!("{label}-{}", index + 1)
        } else {
            label.to_owned()
        },
        name: format!("DICOM series of {} slices", series.count()),
        content: Content::Series(series),
    };
    match choice {
        Choice::Only if several => Err(Failure::new(
            Exit::Input,
            format_args!(
                "there are {} series here: {}",
                sorted.len(),
                listed(&sorted)
            ),
            place.display(),
            "choose one with --series and its number, or send every one with --all",
        )),
        Choice::Number(number) if number > sorted.len() => Err(Failure::new(
            Exit::Usage,
            format_args!("there is no series {number} here: {}", listed(&sorted)),
            place.display(),
            "choose one of these numbers",
        )),
        Choice::Number(number) => {
            let chosen = sorted.into_iter().enumerate().nth(number - 1);
            Ok(chosen.map(scan).into_iter().collect())
        }
        Choice::Only | Choice::All => Ok(sorted.into_iter().enumerate().map(scan).collect()),
    }
}

/// Series by their numbers, without anything that the files say of their patient.
fn listed(sorted: &[SeriesFiles]) -> String {
    let mut words: Vec<_> = sorted
        .iter()
        .take(LISTED)
        .enumerate()
        .map(|(index, series)| {
            let (slices, first) = (series.count(), series.first().display());
            format!("({}) {slices} slices like {first}", index + 1)
        })
        .collect();
    if sorted.len() > LISTED {
        words.push(format!("and {} more", sorted.len() - LISTED));
    }
    words.join(", ")
}

/// A scan's name for people: its file's, or its case's where all files are called the same.
fn name(path: &Path) -> String {
    let of = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    // A folder may be named as `.` or with dots at its end.
    let resolved = || path.canonicalize().ok().as_deref().and_then(of);
    let file = of(path).or_else(resolved).unwrap_or_default();
    if IMAGING.contains(&file.as_str()) {
        path.parent().and_then(of).unwrap_or(file)
    } else {
        file
    }
}

/// A name without the endings of scans. Where nothing but dots would be left, which names another folder or none, the whole name.
fn stem(name: &str) -> &str {
    let short = name.strip_suffix(".gz").unwrap_or(name);
    let short = short.strip_suffix(".nii").unwrap_or(short);
    let short = short.strip_suffix(".tar").unwrap_or(short);
    if short.trim_matches('.').is_empty() {
        return name;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_of_kits19_is_called_by_its_folder() {
        for (path, called, stem_of_it) in [
            ("data/case_00001/imaging.nii.gz", "case_00001", "case_00001"),
            ("data/case_00001/imaging.nii", "case_00001", "case_00001"),
            ("ct.nii.gz", "ct.nii.gz", "ct"),
            ("a/thorax.1.nii", "thorax.1.nii", "thorax.1"),
            ("imaging.nii.gz", "imaging.nii.gz", "imaging"),
            ("disc/SE1.tar", "SE1.tar", "SE1"),
            ("a/...nii", "...nii", "...nii"),
            ("a/.nii.gz", ".nii.gz", ".nii.gz"),
        ] {
            let name = name(Path::new(path));
            assert_eq!((name.as_str(), stem(&name)), (called, stem_of_it));
        }
    }
}
