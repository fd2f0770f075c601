//! Reading a prepared training set: images and label maps straight from the page cache.
//!
//! Used by training, evaluation and experiments. Opening checks versions, the size of every file and the split; it does
//! not hash the data, which a second run of `nephrotrain prepare` does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use nephrobox_dataset::fingerprint::beside;
use nephrobox_shared::metrics::ClassFrequencies;
use nephrobox_shared::preprocess::Preprocess;

use super::error::{DataError, DataErrorKind};
use super::files;
use super::prepare::records::{CaseRecord, FORMAT, Fingerprint, Index, Layout, Options};
use super::split::{PatientSplit, Split};

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

/// Where a slice lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    volume: u32,
    /// Position of its label map in the volume's file.
    labels: u32,
    /// Positions of its images in the volume's file: the slice nearer the head, its own, the one nearer the feet. All
    /// the same in a set without neighbours.
    images: [u32; 3],
}

/// A prepared training set. Slices are numbered through: by case name, data folder and slice number.
#[derive(Debug)]
pub struct Prepared {
    folder: PathBuf,
    options: Options,
    sources: Vec<String>,
    cases: Vec<Case>,
    slices: Vec<SliceMeta>,
    places: Vec<Place>,
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
        let fingerprint = Fingerprint::read(&layout.fingerprint())?;
        let split = PatientSplit::read(&layout.split())?;
        let parts_of =
            split.assign(index.cases.iter().map(|c| c.case.as_str()), &layout.split())?;
        split.check_reserved(&index.reserved.iter().cloned().collect(), &layout.split())?;

        let mut prepared = Self {
            folder: folder.to_owned(),
            options: index.options,
            sources: index.sources,
            cases: Vec::with_capacity(index.cases.len()),
            slices: Vec::new(),
            places: Vec::new(),
            volumes: Vec::new(),
            parts: Default::default(),
            fingerprint,
            split_hash: split.hash(),
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
            let kept: Vec<u32> = volume.slices.iter().map(|s| s.slice).collect();
            let of = volume.of.unwrap_or_default();
            let stored = self.options.stored(&kept, of);
            let bytes = |images: usize| (self.pixels() * images) as u64;
            let images = files::map(
                &layout.images(&record.case, volume.source),
                bytes(stored.len()) * size_of::<f32>() as u64,
            )?;
            let labels = files::map(
                &layout.labels(&record.case, volume.source),
                bytes(kept.len()),
            )?;
            for (at, slice) in (0u32..).zip(&volume.slices) {
                self.parts[split as usize].push(self.slices.len() as u32);
                let wanted = if self.options.neighbours {
                    beside(slice.slice, of)
                } else {
                    [slice.slice; 3]
                };
                // Every one of them is stored: that is how `stored` came about.
                let place = |slice| stored.partition_point(|&s| s < slice) as u32;
                self.places.push(Place {
                    volume: self.volumes.len() as u32,
                    labels: at,
                    images: wanted.map(place),
                });
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
        self.options.preprocess.rows
    }

    /// Pixels of an image.
    pub fn pixels(&self) -> usize {
        self.options.preprocess.rows * self.options.preprocess.cols
    }

    /// How the images were made; the model package carries it to the box.
    pub fn preprocess(&self) -> &Preprocess {
        &self.options.preprocess
    }

    /// Whether the slices above and below each slice are there too.
    pub fn has_neighbours(&self) -> bool {
        self.options.neighbours
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

    /// Case and slice number in words, for messages.
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
        self.with_neighbours(index)[1]
    }

    /// The image of slice `index` between its neighbours, the one nearer the head first. At the ends of the volume the
    /// slice stands for the neighbour it lacks; in a set without neighbours it does everywhere.
    pub fn with_neighbours(&self, index: u32) -> [&[f32]; 3] {
        let Place { volume, images, .. } = self.places[index as usize];
        let (all, _) = &self.volumes[volume as usize];
        let bytes = self.pixels() * size_of::<f32>();
        // A map starts on a page and an image is a multiple of 4 bytes, so the cast cannot fail.
        images.map(|at| bytemuck::cast_slice(&all[at as usize * bytes..][..bytes]))
    }

    /// The label map of slice `index`: `side` x `side` labels 0, 1 or 2, row-major.
    pub fn labels(&self, index: u32) -> &[u8] {
        let Place { volume, labels, .. } = self.places[index as usize];
        let (_, all) = &self.volumes[volume as usize];
        &all[labels as usize * self.pixels()..][..self.pixels()]
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
        let mut frequencies = ClassFrequencies::new();
        for &index in self.split(Split::Train) {
            frequencies.add(self.meta(index).counts.map(u64::from));
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
