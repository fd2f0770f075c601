//! What somebody copies into the watched folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dicom_core::VR;
use dicom_dictionary_std::tags;

use super::site::{MOST_BYTES, Site};
use crate::ground::{Ground, Place, scan};
use crate::phantom::nifti::gzipped;
use crate::row::{Given, Section, Told, Way};
use crate::run::unfit;
use crate::support::PATIENCE;

pub(crate) const SECTION: Section = Section {
    title: "The watched folder",
    command: "[folder] watch, of a box that runs",
    way: Way::Service(all),
};

/// What becomes of a file or folder.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It moves to `refused/`, with a text beside it.
    Refused,
    /// It moves to `taken/`.
    Taken,
    /// It stays where it is.
    Stays,
}
use Fate::{Refused, Stays, Taken};

struct Drop {
    name: &'static str,
    make: fn(&Place<'_>) -> Given,
    fate: Fate,
    words: &'static str,
}

const fn drop(
    name: &'static str,
    make: fn(&Place<'_>) -> Given,
    fate: Fate,
    words: &'static str,
) -> Drop {
    Drop {
        name,
        make,
        fate,
        words,
    }
}

#[rustfmt::skip]
const DROPS: &[Drop] = &[
    drop("a text", |p| p.file("a.txt", "no scan".repeat(100)), Refused, "no NIfTI-1 header"),
    drop("a header that lies", |p| p.nifti(|raw| raw.dim[3] = 32_767), Refused, "only"),
    drop("NIfTI-2", |p| p.nifti(|raw| raw.sizeof_hdr = 540), Refused, "NIfTI-2"),
    drop("no affine", |p| p.nifti(|raw| raw.sform_code = 0), Refused, "no usable affine"),
    drop("half of a scan", |p| { let whole = scan(|_| ()); p.file("scan.nii", &whole[..whole.len() / 2]) }, Refused, "only"),
    drop("a scan larger than the box takes", |p| p.nifti(|raw| { raw.dim[1] = 400; let voxels = raw.voxels.clone(); raw.voxels = voxels.repeat(20); }), Refused, "the box takes 4000000"),
    drop("an empty file", |p| p.file("scan.nii", b""), Refused, "empty"),
    drop("one slice of a series", |p| { p.series(|_| ()); p.path("series").join(crate::series::in_order(3)).into() }, Refused, "one DICOM file"),
    drop("a series with a gap", |p| p.series(|s| { s.remove(9); }), Refused, "missing"),
    drop("an MR series", |p| p.series(|s| s.iter_mut().for_each(|one| one.text(tags::MODALITY, VR::CS, "MR"))), Refused, "MR"),
    drop("a series with a damaged slice", |p| p.series_with(|bytes| bytes[..bytes.len() / 2].to_vec()), Refused, "damaged|pixels|missing"),
    drop("a tar that was cut off", |p| p.file("a.tar", &super::tar::sound()[..9000]), Refused, "ends within a file|end mark"),
    drop("a tar of 20,000 empty files", super::tar::crowd, Refused, "more than 16384 files"),
    drop("a series whose UIDs are paths upwards", |p| p.series(|s| s.iter_mut().for_each(|one| one.text(tags::SERIES_INSTANCE_UID, VR::UI, "../../../../tmp/evil"))), Taken, ""),
    drop("NaN in the last voxel, which only the worker finds", nan, Taken, ""),
    drop("half of a gzip file, which only the worker finds", |p| { let whole = gzipped(&scan(|_| ())); p.file("scan.nii.gz", &whole[..whole.len() - 100]) }, Taken, ""),
    drop("a name of 240 letters", |p| p.file(&format!("{}.nii", "n".repeat(236)), b"short"), Refused, "5 bytes"),
    drop("a name with line breaks and commands to the terminal", |p| p.file("a\n\u{1b}[2J.nii", b"short"), Refused, "5 bytes"),
    drop("a link to the box's own key", |p| { symlink("/etc/passwd", p.path("a.nii")).expect("a link"); p.path("a.nii").into() }, Stays, "links are left alone"),
    drop("a pipe", |p| p.pipe("a.nii"), Stays, "pipes are left alone"),
    drop("a hidden file", |p| p.file(".hidden.nii", b"short"), Stays, "hidden names are left alone"),
    drop("a folder of texts", |p| { fs::create_dir(p.path("a")).expect("a folder"); p.file("a/readme", "no scan"); p.path("a").into() }, Stays, "nothing in it could be a scan"),
    drop("a folder of links to itself", |p| { fs::create_dir(p.path("a")).expect("a folder"); symlink("../a", p.path("a/b")).expect("a link"); p.path("a").into() }, Stays, "nothing in it could be a scan"),
];

fn nan(p: &Place<'_>) -> Given {
    use crate::phantom::nifti::{Declared, F32, Order};
    let value = |at: [usize; 3]| if at == [19, 63, 95] { f64::NAN } else { 0.0 };
    let raw = crate::phantom::raw(Order::KITS, Declared::Sform, F32, value);
    p.file("scan.nii", raw.bytes())
}

/// Puts everything into the folder at once, and looks what has become of it.
fn all(ground: &Ground) -> Vec<Result<Told, String>> {
    let mut site = Site::running(ground);
    let mut names = Vec::new();
    for (number, row) in DROPS.iter().enumerate() {
        let place = Place::new(ground, 1);
        let given = (row.make)(&place);
        let from = PathBuf::from(given.0.first().expect("a path"));
        let called = from
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        // A number, so that no two have one name; hidden ones stay hidden.
        let name = match called.strip_prefix('.') {
            Some(rest) => format!(".{number:02}{rest}"),
            None => format!("{number:02}{called}"),
        };
        let to = site.watch.join(&name);
        fs::rename(&from, &to).unwrap_or_else(|error| panic!("{}: {error}", row.name));
        names.push(name);
    }
    let mut told: Vec<_> = DROPS
        .iter()
        .zip(&names)
        .map(|(row, name)| became(&site.watch, row, name))
        .collect();
    // What stays has been looked at when all others are gone, and still stays.
    for ((row, name), told) in DROPS.iter().zip(&names).zip(&mut told) {
        if row.fate == Stays && !there(&site.watch.join(name)) {
            *told = Err(format!("{}: it did not stay", row.name));
        }
    }
    if let Err(why) = site.is_well() {
        told.push(Err(why));
    }
    told
}

fn there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Waits until a row's fate is there.
fn became(watch: &Path, row: &Drop, name: &str) -> Result<Told, String> {
    let answer = match row.fate {
        Refused => "refused/",
        Taken => "taken/",
        Stays => "stays",
    };
    let mut what = row.words.to_owned();
    let mut remedy = String::new();
    if row.fate != Stays {
        let until = Instant::now() + PATIENCE;
        while there(&watch.join(name)) {
            if Instant::now() > until {
                return Err(format!("{}: it is neither taken nor refused", row.name));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if !there(&watch.join(answer).join(name)) {
            return Err(format!("{}: it did not go to {answer}", row.name));
        }
    }
    if row.fate == Refused {
        let text = watch.join(answer).join(format!("{name}.txt"));
        let text = fs::read_to_string(text).map_err(|error| format!("{}: {error}", row.name))?;
        if let Some(why) = unfit(&text) {
            return Err(format!("{}: the text: {why}", row.name));
        }
        let words = text.trim().rsplit_once("; ");
        let Some((told, todo)) = words.filter(|_| row.words.split('|').any(|w| text.contains(w)))
        else {
            return Err(format!("{}: {text}", row.name));
        };
        let folder = format!("{}/", watch.display());
        what = told.replace(&folder, "");
        todo.clone_into(&mut remedy);
    }
    Ok(Told {
        name: row.name.into(),
        answer: answer.into(),
        what,
        remedy,
    })
}

/// The scan that is too large must be so.
const _: () = assert!(400 * 64 * 96 * 2 > MOST_BYTES);
