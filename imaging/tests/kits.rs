//! Real files: the label volumes of KiTS19 and the CT beside them, where `../shared` is present.

mod support;

use std::path::PathBuf;

use nephrobox_imaging::{LabelReader, ScanReader, write_labels};
use support::{content, shared_data};

/// Label counts of each slice by its canonical index.
fn counts(reader: &mut LabelReader) -> Vec<[usize; 3]> {
    let mut slice = vec![0; reader.geometry().slice_len()];
    let mut counts = vec![[0; 3]; reader.geometry().slices()];
    while let Some(index) = reader.next_slice(&mut slice).unwrap() {
        for label in 1..3u8 {
            counts[index][usize::from(label)] =
                slice.iter().filter(|&&pixel| pixel == label).count();
        }
        counts[index][0] = slice.len() - counts[index][1] - counts[index][2];
    }
    counts
}

/// Totals that nifti-rs, nibabel and bincount agree on (`../shared/reference/feasibility.md`, section 7).
#[test]
fn case_00000_has_the_voxels_that_nibabel_counts() {
    let Some(data) = shared_data() else { return };
    let mut reader =
        LabelReader::open(data.join("kits19-labels/case_00000/segmentation.nii.gz")).unwrap();
    let geometry = reader.geometry();
    assert_eq!(
        (geometry.shape(), geometry.codes()),
        ([611, 512, 512], "IPL")
    );
    assert_eq!(geometry.spacing().slice_mm, 0.5);
    assert_eq!(geometry.spacing().row_mm, f64::from(0.919_921_9_f32));
    let counts = counts(&mut reader);
    let total = |label: usize| counts.iter().map(|slice| slice[label]).sum::<usize>();
    assert_eq!(
        [total(0), total(1), total(2)],
        [159_235_814, 915_679, 18_491]
    );
    let labelled: Vec<usize> = (0..611)
        .filter(|&s| counts[s][1] + counts[s][2] > 0)
        .collect();
    assert_eq!(
        labelled.len(),
        labelled[labelled.len() - 1] - labelled[0] + 1,
        "one unbroken run, as in every case"
    );
}

/// The nine files of another kind: unsigned 16-bit labels, a qform and no sform. Totals by nibabel 5.4.2.
#[test]
fn case_00015_is_placed_by_its_qform() {
    let Some(data) = shared_data() else { return };
    let mut reader =
        LabelReader::open(data.join("kits19-labels/case_00015/segmentation.nii.gz")).unwrap();
    assert_eq!(
        (reader.geometry().shape(), reader.geometry().codes()),
        ([75, 512, 512], "IPL")
    );
    assert!(reader.geometry().tilt_degrees() < 1e-4);
    let counts = counts(&mut reader);
    let total = |label: usize| counts.iter().map(|slice| slice[label]).sum::<usize>();
    assert_eq!(
        [total(0), total(1), total(2)],
        [19_377_949, 271_289, 11_562]
    );
}

/// Not square: rows and columns cannot be swapped unnoticed.
#[test]
fn case_00160_is_wider_than_high() {
    let Some(data) = shared_data() else { return };
    let reader =
        LabelReader::open(data.join("kits19-labels/case_00160/segmentation.nii.gz")).unwrap();
    assert_eq!(reader.geometry().shape(), [252, 512, 796]);
}

/// `slices.csv` beside real slices says how many kidney pixels each should have; its numbers were counted from the original masks.
#[test]
fn real_slices_match_their_tables_and_their_scans() {
    let Some(data) = shared_data() else { return };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(data.join("curvas-slices"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    for case in cases {
        let scan = ScanReader::open(case.join("imaging.nii.gz")).unwrap();
        let mut labels = LabelReader::open(case.join("segmentation.nii.gz")).unwrap();
        scan.check_labels(&labels).unwrap();
        let counts = counts(&mut labels);
        let table = std::fs::read_to_string(case.join("slices.csv")).unwrap();
        for line in table.lines().skip(1) {
            let fields: Vec<usize> = line
                .split(',')
                .map(|field| field.parse().unwrap())
                .collect();
            assert_eq!(
                counts[fields[0]][1],
                fields[3],
                "{} slice {}",
                case.display(),
                fields[0]
            );
        }
    }
}

/// Air around the patient, the table below, bone inside: front and head can be told from the picture alone.
#[test]
fn the_chest_lies_on_its_back() {
    let Some(data) = shared_data() else { return };
    let mut scan = ScanReader::open(data.join("ct-volumes/case_chest/imaging.nii.gz")).unwrap();
    let [slices, rows, cols] = scan.geometry().shape();
    assert_eq!([slices, rows, cols], [20, 512, 512]);
    let mut slice = vec![0; rows * cols];
    let (mut front, mut back) = (0, 0);
    while scan.next_slice(&mut slice).unwrap().is_some() {
        let bone = |rows: &[i16]| rows.iter().filter(|&&hu| hu > 300).count();
        front += bone(&slice[..rows / 2 * cols]);
        back += bone(&slice[rows / 2 * cols..]);
    }
    assert!(
        back > 2 * front,
        "the spine is at the back: {front} bone pixels in front, {back} behind"
    );
}

#[test]
fn labels_read_and_written_are_the_same_file() {
    let Some(data) = shared_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    for case in [
        "curvas-slices/case_curvas01",
        "ct-volumes/case_totalseg",
        "kits19-labels/case_00015",
    ] {
        let path = data.join(case).join("segmentation.nii.gz");
        let mut reader = LabelReader::open(&path).unwrap();
        let geometry = reader.geometry().clone();
        let back = folder.path().join("labels.nii.gz");
        write_labels(&back, &geometry, &mut |index, out| {
            reader.read_slice(index, out).unwrap()
        })
        .unwrap();
        let (original, back) = (content(&path), content(&back));
        for field in [40..56, 76..108, 123..124, 252..328] {
            assert_eq!(
                back[field.clone()],
                original[field.clone()],
                "{case}: header bytes {field:?}"
            );
        }
        let bytes = usize::from(original[72]) / 8;
        let same = original[352..]
            .chunks(bytes)
            .map(|voxel| voxel[0])
            .eq(back[352..].iter().copied());
        assert!(same, "{case}: voxels");
    }
}
