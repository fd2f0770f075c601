//! Finding the cases of KiTS19 folders: `case_*/segmentation.nii.gz` and, where there is imaging,
//! `case_*/imaging.nii.gz` (either also without `.gz`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{DataError, DataErrorKind};

/// One volume of one patient: a case folder in one of the data folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFolder {
    /// Name of the case, which is the patient: `case_00123`.
    pub case: String,
    /// Position of its data folder on the command line, from 0.
    pub source: u32,
    /// The case folder itself.
    pub path: PathBuf,
    /// The image volume, if there is one.
    pub imaging: Option<PathBuf>,
    /// The label volume, if there is one.
    pub segmentation: Option<PathBuf>,
}

/// Lists the case folders of all `folders`, by case name and then by source. Fails if a folder is missing, given twice
/// or holds no case.
pub fn find(folders: &[PathBuf]) -> Result<Vec<CaseFolder>, DataError> {
    let mut seen: BTreeMap<PathBuf, &Path> = BTreeMap::new();
    let mut found = Vec::new();
    for (source, folder) in (0u32..).zip(folders) {
        let real = fs::canonicalize(folder)
            .map_err(|e| DataError::io(folder, "open the data folder", e))?;
        if seen.insert(real, folder).is_some() {
            return Err(DataError::new(
                DataErrorKind::Option,
                folder,
                "this data folder is given twice",
                "name each folder once; its slices would count double",
            ));
        }
        let before = found.len();
        let entries =
            fs::read_dir(folder).map_err(|e| DataError::io(folder, "list the data folder", e))?;
        for entry in entries {
            let path = entry
                .map_err(|e| DataError::io(folder, "list the data folder", e))?
                .path();
            let Some(name) = path
                .file_name()
                .filter(|n| n.to_string_lossy().starts_with("case_"))
            else {
                continue;
            };
            if !path.is_dir() {
                continue;
            }
            let Some(case) = name.to_str() else {
                return Err(DataError::new(
                    DataErrorKind::Folder,
                    &path,
                    "the name of this case is not valid UTF-8",
                    "rename the case folder",
                ));
            };
            let (imaging, segmentation) = (volume(&path, "imaging"), volume(&path, "segmentation"));
            found.push(CaseFolder {
                case: case.to_owned(),
                source,
                path,
                imaging,
                segmentation,
            });
        }
        if found.len() == before {
            let remedy = if volume(folder, "segmentation").is_some() {
                "this is a case itself; give the folder above it"
            } else {
                "a KiTS19 folder holds case_00000/segmentation.nii.gz, case_00001/segmentation.nii.gz and so on"
            };
            return Err(DataError::new(
                DataErrorKind::Folder,
                folder,
                "there is no case_* folder in it",
                remedy,
            ));
        }
    }
    found.sort_by(|a, b| (&a.case, a.source).cmp(&(&b.case, b.source)));
    Ok(found)
}

/// The volume called `stem` in a case folder, compressed or not.
fn volume(case: &Path, stem: &str) -> Option<PathBuf> {
    ["nii.gz", "nii"]
        .iter()
        .map(|ext| case.join(format!("{stem}.{ext}")))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, path: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    #[test]
    fn cases_of_two_folders_are_found_in_order_with_what_they_have() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "a/case_00002/segmentation.nii.gz");
        touch(root.path(), "a/case_00001/segmentation.nii");
        touch(root.path(), "a/case_00001/imaging.nii.gz");
        touch(root.path(), "a/LICENSE");
        touch(root.path(), "a/case_notes.txt");
        touch(root.path(), "b/case_00001/imaging.nii.gz");
        let found = find(&[root.path().join("a"), root.path().join("b")]).unwrap();
        let brief: Vec<_> = found
            .iter()
            .map(|c| {
                (
                    c.case.as_str(),
                    c.source,
                    c.imaging.is_some(),
                    c.segmentation.is_some(),
                )
            })
            .collect();
        assert_eq!(
            brief,
            [
                ("case_00001", 0, true, true),
                ("case_00001", 1, true, false),
                ("case_00002", 0, false, true)
            ]
        );
    }

    #[test]
    fn a_bad_folder_is_named_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "a/case_00001/segmentation.nii.gz");
        touch(root.path(), "empty/readme");
        let find = |names: &[&str]| {
            find(
                &names
                    .iter()
                    .map(|n| root.path().join(n))
                    .collect::<Vec<_>>(),
            )
            .unwrap_err()
        };

        let missing = find(&["nowhere"]);
        assert_eq!(missing.kind(), DataErrorKind::Io);
        assert_eq!(
            (missing.place(), missing.remedy()),
            (root.path().join("nowhere").as_path(), "check the path")
        );

        let empty = find(&["a", "empty"]);
        assert_eq!(empty.kind(), DataErrorKind::Folder);
        assert_eq!(empty.place(), root.path().join("empty"));

        let a_case = find(&["a/case_00001"]);
        assert!(
            a_case.remedy().contains("the folder above"),
            "{}",
            a_case.remedy()
        );

        assert_eq!(find(&["a", "a/../a"]).kind(), DataErrorKind::Option);
    }
}
