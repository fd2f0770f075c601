//! Reading a prepared training set: images and label maps straight from the page cache.
//!
//! Used by training, evaluation and experiments. Opening checks versions, the size of every file and the split; it does
//! not hash the data, which a second run of `nephrotrain prepare` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use nephrobox_shared::preprocess::Preprocess;

use super::error::{DataError, DataErrorKind};
use super::files;
use super::prepare::records::{CaseRecord, FORMAT, Fingerprint, Index, Layout};
use super::split::{PatientSplit, Split};
use super::weights::Frequencies;

// Files are little-endian and read in place.
const _: () = assert!(
    cfg!(target_endian = "little"),
    "prepared sets are read in place on little-endian machines only"
);

/// One patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its part of the split.
    pub split: Split,
    /// Number of its prepared slices.
    pub slices: u32,
    /// Weight of each of them, 1 / `slices` (0 if there is none).
    pub weight: f64,
}

/// One prepared slice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceMeta {
    /// Index of its patient in [`Prepared::cases`].
    pub case: u32,
    /// Position of its data folder in [`Prepared::sources`].
    pub source: u32,
    /// Its number in the volume, from the head end.
    pub slice: u32,
    /// Image weight: 1 / number of the patient's prepared slices.
    pub weight: f64,
    /// Pixels of each label (0 background, 1 kidney, 2 tumour) at the prepared size.
    pub counts: [u32; 3],
    /// Its patient's part of the split.
    pub split: Split,
}

/// A prepared training set. Slices are numbered through: by case name, data folder and slice number.
#[derive(Debug)]
pub struct Prepared {
    folder: PathBuf,
    preprocess: Preprocess,
    sources: Vec<String>,
    cases: Vec<Case>,
    slices: Vec<SliceMeta>,
    /// Volume of each slice, and its position therein.
    places: Vec<(u32, u32)>,
    /// Images and label maps of each volume that has any.
    volumes: Vec<(Mmap, Mmap)>,
    parts: [Vec<u32>; 3],
    fingerprint: Fingerprint,
    split_hash: String,
}

impl Prepared {
    /// Opens the folder that `nephrotrain prepare` made.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let layout = Layout::new(folder);
        check_complete(&layout)?;
        let index: Index = files::read_json(&layout.index())?;
        let fingerprint: Fingerprint = files::read_json(&layout.fingerprint())?;
        let split = PatientSplit::read(&layout.split())?;
        let parts_of =
            split.assign(index.cases.iter().map(|c| c.case.as_str()), &layout.split())?;
        split.check_reserved(&index.reserved.iter().cloned().collect(), &layout.split())?;

        let preprocess = index.options.preprocess;
        let mut prepared = Self {
            folder: folder.to_owned(),
            preprocess,
            sources: index.sources,
            cases: Vec::with_capacity(index.cases.len()),
            slices: Vec::new(),
            places: Vec::new(),
            volumes: Vec::new(),
            parts: Default::default(),
            fingerprint,
            split_hash: blake3::hash(split.to_toml().as_bytes())
                .to_hex()
                .to_string(),
        };
        for case in &index.cases {
            prepared.add_case(case, &parts_of, &layout)?;
        }
        Ok(prepared)
    }

    fn add_case(
        &mut self,
        record: &CaseRecord,
        parts_of: &BTreeMap<String, Split>,
        layout: &Layout,
    ) -> Result<(), DataError> {
        let (case, split) = (self.cases.len() as u32, parts_of[&record.case]);
        let first = self.slices.len();
        for volume in record.volumes.iter().filter(|v| !v.slices.is_empty()) {
            let pixels = (self.pixels() * volume.slices.len()) as u64;
            let images = files::map(
                &layout.images(&record.case, volume.source),
                pixels * size_of::<f32>() as u64,
            )?;
            let labels = files::map(&layout.labels(&record.case, volume.source), pixels)?;
            for (at, slice) in (0u32..).zip(&volume.slices) {
                self.parts[split as usize].push(self.slices.len() as u32);
                self.places.push((self.volumes.len() as u32, at));
                self.slices.push(SliceMeta {
                    case,
                    source: volume.source,
                    slice: slice.slice,
                    weight: record.weight,
                    counts: slice.counts,
                    split,
                });
            }
            self.volumes.push((images, labels));
        }
        let slices = (self.slices.len() - first) as u32;
        self.cases.push(Case {
            name: record.case.clone(),
            split,
            slices,
            weight: record.weight,
        });
        Ok(())
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number of slices.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// Whether there is no slice at all.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Rows, and columns, of every image.
    pub fn side(&self) -> usize {
        self.preprocess.rows
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.preprocess.rows * self.preprocess.cols
    }

    /// How the images were made; the model package carries it to the box.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Names of the data folders.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The patients, by name.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Numbers of the slices of one part, ascending.
    pub fn split(&self, split: Split) -> &[u32] {
        &self.parts[split as usize]
    }

    /// What is known of slice `index`.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len), as for all methods that take one.
    pub fn meta(&self, index: u32) -> &SliceMeta {
        &self.slices[index as usize]
    }

    /// "case_00012 slice 87", for messages.
    pub fn name(&self, index: u32) -> String {
        let meta = self.meta(index);
        let source = if self.sources.len() > 1 {
            format!(" of {}", self.sources[meta.source as usize])
        } else {
            String::new()
        };
        format!(
            "{} slice {}{source}",
            self.cases[meta.case as usize].name, meta.slice
        )
    }

    /// The image of slice `index`: [`side`](Self::side) x `side` values in \[0, 1\], row-major.
    pub fn image(&self, index: u32) -> &[f32] {
        let (volume, at) = self.places[index as usize];
        let bytes = self.pixels() * size_of::<f32>();
        // A map starts on a page and an image is a multiple of 4 bytes, so the cast cannot fail.
        bytemuck::cast_slice(&self.volumes[volume as usize].0[at as usize * bytes..][..bytes])
    }

    /// The label map of slice `index`: `side` x `side` labels 0, 1 or 2, row-major.
    pub fn labels(&self, index: u32) -> &[u8] {
        let (volume, at) = self.places[index as usize];
        &self.volumes[volume as usize].1[at as usize * self.pixels()..][..self.pixels()]
    }

    /// Which data these are.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// BLAKE3 of the split, hexadecimal: the fingerprint tells the data, this tells who is in which part.
    pub fn split_hash(&self) -> &str {
        &self.split_hash
    }

    /// Class weights by median frequency balancing over the training slices, by label; `None` for a class that none
    /// of them has.
    pub fn class_weights(&self) -> [Option<f64>; 3] {
        let mut frequencies = Frequencies::default();
        for &index in self.split(Split::Train) {
            frequencies.add(self.meta(index).counts);
        }
        frequencies.weights()
    }
}

/// Makes sure that the folder is a finished prepared set of this version.
fn check_complete(layout: &Layout) -> Result<(), DataError> {
    let again =
        "run `nephrotrain prepare` again with the same options; it makes only what is missing";
    if !layout.plan().exists() {
        let remedy = "make one with `nephrotrain prepare --data KITS19 --out PREPARED`";
        let what = "this is not a prepared training set";
        return Err(DataError::new(
            DataErrorKind::Folder,
            layout.folder(),
            what,
            remedy,
        ));
    }
    if !layout.index().exists() {
        let what = "this training set is only partly prepared";
        return Err(DataError::new(
            DataErrorKind::Damaged,
            layout.folder(),
            what,
            again,
        ));
    }
    let index: serde_json::Value = files::read_json(&layout.index())?;
    if index["format"] != FORMAT {
        let what = format!(
            "this training set has format {}, this program reads {FORMAT}",
            index["format"]
        );
        let remedy = "prepare it again into a new folder with this version of nephrotrain";
        return Err(DataError::new(
            DataErrorKind::Damaged,
            layout.index(),
            what,
            remedy,
        ));
    }
    Ok(())
}
