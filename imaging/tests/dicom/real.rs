//! Real HU through DICOM and back, where `../shared` is present.

use std::fs;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use nephrobox_imaging::ScanReader;

use crate::orientations::volume;
use crate::packings::LOSSLESS;
use crate::series::{SUPINE, in_order, of, save};
use crate::support::shared_data;

#[test]
fn real_scans_come_back_bit_by_bit() {
    let Some(data) = shared_data() else { return };
    for case in ["case_totalseg", "case_chest"] {
        let mut scan =
            ScanReader::open(data.join("ct-volumes").join(case).join("imaging.nii.gz")).unwrap();
        let truth = volume(&mut scan);
        let (shape, spacing) = (scan.geometry().shape(), scan.geometry().spacing());
        let [_, rows, cols] = shape;
        let mut slices = of(
            SUPINE,
            shape,
            [spacing.slice_mm, spacing.row_mm, spacing.col_mm],
            scan.geometry().position([0.0; 3]),
            &|[s, r, c]| truth[(s * rows + r) * cols + c],
        );
        for (k, slice) in slices.iter_mut().enumerate() {
            let hu = &truth[k * rows * cols..][..rows * cols];
            slice.bits(16, 16, false);
            slice.pixels(&hu.iter().map(|&hu| (hu + 8192) as u16).collect::<Vec<_>>());
            slice.text(tags::RESCALE_INTERCEPT, VR::DS, "-8192");
            // Every packing in turn, and none.
            if let Some((syntax, pack)) = LOSSLESS.get(k % (LOSSLESS.len() + 1)) {
                let packed = pack(&slice.raw(), rows as u16, cols as u16);
                slice.packed(syntax, packed);
                slice.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
            }
        }
        let home = tempfile::tempdir().unwrap();
        save(home.path(), &slices, in_order);
        let mut series = ScanReader::open_series(&[home.path().to_owned()]).unwrap();
        assert_eq!(series.findings(), []);
        series.geometry().same_grid(scan.geometry()).unwrap();
        assert!(volume(&mut series) == truth, "{case}");
        // For others to read: see docs/dicom.md.
        if let Some(kept) = std::env::var_os("NEPHROBOX_KEEP_DICOM") {
            let folder = std::path::Path::new(&kept).join(case);
            fs::create_dir_all(&folder).unwrap();
            save(&folder, &slices, in_order);
        }
    }
}
