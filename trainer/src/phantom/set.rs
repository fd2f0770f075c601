//! Phantom cases around a whole folder of label volumes.

use std::fs;
use std::path::{Path, PathBuf};

use nephrobox_imaging::files;
use rayon::prelude::*;

use super::case::{CaseSummary, LabelDriven};
use super::error::PhantomError;

/// A label volume to paint around.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCase {
    /// Name of the case, such as `case_00003`.
    pub name: String,
    /// Its label volume.
    pub labels: PathBuf,
}

/// The cases of a folder in the layout of KiTS19 that have labels, by name; imaging is not needed. Reserved patients
/// are among them.
pub fn label_cases(folder: &Path) -> Result<Vec<LabelCase>, PhantomError> {
    let failed = |source| PhantomError::Io {
        action: "list the label folder",
        path: folder.to_owned(),
        source,
    };
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let labels = ["segmentation.nii.gz", "segmentation.nii"]
            .map(|file| entry.path().join(file))
            .into_iter()
            .find(|file| file.is_file());
        cases.extend(labels.map(|labels| LabelCase { name, labels }));
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

/// Paints each of the cases as the folder `out`/name, on all cores, and tells `done` of each name. What they are and
/// whose licence they share stands in `out`/NOTICE.txt before the first is there. Stops at the first failure; finished
/// cases stay.
pub fn paint(
    recipe: &LabelDriven,
    cases: &[LabelCase],
    out: &Path,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Vec<CaseSummary>, PhantomError> {
    recipe.check()?;
    write_notice(out, recipe.seed)?;
    cases
        .par_iter()
        .with_max_len(1)
        .map(|case| {
            let made = recipe.make(&case.labels, out, &case.name)?;
            done(&case.name);
            Ok(made)
        })
        .collect()
}

/// Whoever finds the folder must know what it is.
fn write_notice(out: &Path, seed: u64) -> Result<(), PhantomError> {
    let path = out.join("NOTICE.txt");
    let text = format!(
        "Synthetic CT slices painted around the label maps of KiTS19 by nephrotrain {}, seed {seed}.\n\
         Nothing but the label maps is real. They are from Heller et al., \"The KiTS19 Challenge Data\",\n\
         arXiv:1904.00445, licence CC BY-NC-SA 4.0, and so are these files.\n",
        env!("CARGO_PKG_VERSION"),
    );
    fs::create_dir_all(out)
        .and_then(|()| files::write(&path, text.as_bytes()))
        .map_err(|source| PhantomError::Io {
            action: "write",
            path,
            source,
        })
}
