//! Scans as large as scanners make them: 512 x 512 x 600, one after the other.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use nephrobox_link::cable::Quality;
use nephrobox_link::client::Client;
use nephrobox_link::message::Object;
use nephrobox_link::message::cut;
use nephrobox_system::file;

use crate::process::{Vitals, figure, forget_peak};
use crate::support::{Home, Kind, PATIENCE, ended_within, flash, long, result};

/// Of the bundled scan, in the order of its file: slices, rows, columns.
const BUNDLED: [usize; 3] = [40, 256, 256];
/// Where its voxels begin.
const VOXELS: usize = 352;
/// How much finer the large one is within a slice.
const FINER: usize = 2;
/// Bytes of memory for each voxel of the largest scan beyond what the box has anyway: 2 of the scan, 1 of the label map, 4 of the
/// pieces of which it consists, and as much again for what comes and goes.
const EACH: u64 = 14;
/// What comes and goes beside that, in KiB: the page of the report and its PDF take 30 MB.
const BREATH_KIB: u64 = 32 << 10;
/// How much more may be held after one scan than after the first of its size, in KiB.
const STILL_KIB: u64 = 8 << 10;

/// The bundled scan with twice as many rows and columns and `finer` times as many slices, as thin as that: the same patient.
fn save(path: &Path, finer: usize) {
    let bundled = File::open(file("models/sample/imaging.nii.gz").expect("a scan"));
    let mut small = Vec::new();
    GzDecoder::new(BufReader::new(bundled.expect("a scan")))
        .read_to_end(&mut small)
        .expect("a scan");
    let (mut header, voxels) = (small[..VOXELS].to_vec(), &small[VOXELS..]);
    for (axis, factor) in [finer, FINER, FINER].into_iter().enumerate() {
        let at = 42 + 2 * axis;
        let size = (BUNDLED[axis] * factor) as u16;
        header[at..at + 2].copy_from_slice(&size.to_le_bytes());
        // The voxel's size, and the affine's column of that axis.
        for at in [
            80 + 4 * axis,
            280 + 4 * axis,
            296 + 4 * axis,
            312 + 4 * axis,
        ] {
            let number = f32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
            header[at..at + 4].copy_from_slice(&(number / factor as f32).to_le_bytes());
        }
    }
    let file = BufWriter::new(File::create(path).expect("a file"));
    let mut packed = GzEncoder::new(file, Compression::fast());
    packed.write_all(&header).expect("written");
    // Slices run fastest, then rows.
    let line = 2 * BUNDLED[0];
    for column in voxels.chunks_exact(line * BUNDLED[1]) {
        let fine: Vec<u8> = column
            .chunks_exact(line)
            .flat_map(|row| {
                let fine: Vec<u8> = row
                    .chunks_exact(2)
                    .flat_map(|voxel| voxel.repeat(finer))
                    .collect();
                fine.repeat(FINER)
            })
            .collect();
        for _ in 0..FINER {
            packed.write_all(&fine).expect("written");
        }
    }
    packed.finish().expect("written").flush().expect("written");
}

/// Another file of the same scan: gzip has the time of packing in its header, which nobody reads.
fn renumbered(path: &Path, number: u32) {
    let mut head = fs::OpenOptions::new().write(true).open(path).expect("it");
    std::io::Seek::seek(&mut head, std::io::SeekFrom::Start(4)).expect("there");
    head.write_all(&number.to_le_bytes()).expect("written");
}

/// The model that comes with the repository, signed with the rig's key.
fn bundled_model(home: &Home) -> PathBuf {
    let model = home.path("demo.nbx");
    fs::copy(file("models/demo-resnet18.nbx").expect("a model"), &model).expect("copied");
    let key = home.rig.key();
    let args = [
        "sign".as_ref(),
        model.as_os_str(),
        "--key".as_ref(),
        key.as_os_str(),
    ];
    home.rig.tool(args).expect("signed");
    model
}

/// Sends a scan and waits for its report; returns what the box held when it had it, and the label map.
fn work(client: &mut Client, pid: u32, scan: &Path) -> (Vitals, Vec<u8>) {
    forget_peak(pid);
    let object = Object::Scan {
        name: cut("scan.nii.gz"),
        // Fewer slices through the network; what is held is the same.
        fast: true,
    };
    let mut scan = File::open(scan).expect("a scan");
    let id = client.put(&object, &mut scan, &mut |_| {}).expect("taken");
    let end = ended_within(client, &id, 10 * PATIENCE);
    assert_eq!(format!("{end:?}"), "Finished");
    // Before the results are fetched, which the box reads into memory for the line; it says that it is done a moment before it has let go of all.
    let held = (0..20).map(|_| {
        std::thread::sleep(Duration::from_millis(100));
        Vitals::of(pid)
    });
    let held = held
        .min_by_key(|held| held.resident_kib)
        .expect("twenty of them");
    (held, result(client, &id, "labels.nii.gz"))
}

#[test]
fn five_full_size_scans_leave_memory_flat_and_its_peak_follows_from_the_volume() {
    // Slices are 40 times as many; the last is the full size, which comes five times.
    let (steps, full) = if long() {
        (&[4, 8][..], 15)
    } else {
        (&[1][..], 2)
    };
    let mut home = Home::with(Quality::default(), "");
    home.rig.start().expect("a box");
    let mut client = home.rig.client().expect("a line");
    let model = if long() {
        bundled_model(&home)
    } else {
        home.model(1, Kind::Good)
    };
    assert!(flash(&mut client, &model).is_ok_and(|good| good));
    let pid = home.rig.pid().expect("it runs");
    let idle = Vitals::of(pid);
    figure(format_args!("with a model, idle:    {idle}"));
    let scan = home.path("scan.nii.gz");
    let mut measure = |finer: usize, number: u32| {
        if number == 0 {
            save(&scan, finer);
        }
        renumbered(&scan, number);
        let (held, labels) = work(&mut client, pid, &scan);
        let slices = BUNDLED[0] * finer;
        let voxels = (BUNDLED[1] * BUNDLED[2] * FINER * FINER * slices) as u64;
        let each = (held.peak_kib.saturating_sub(idle.resident_kib) << 10) as f64 / voxels as f64;
        figure(format_args!(
            "512 x 512 x {slices:>3} ({:>3} MiB): {held}; {each:.1} bytes for each voxel",
            voxels >> 19
        ));
        let bound = idle.resident_kib + ((EACH * voxels) >> 10) + BREATH_KIB;
        assert!(held.peak_kib < bound, "{held}, not {bound} KiB");
        (held, labels)
    };
    for &finer in steps {
        measure(finer, 0);
    }
    let (first, labels) = measure(full, 0);
    for number in 1..5 {
        let (held, again) = measure(full, number);
        assert!(labels == again, "the same scan, the same label map");
        let flat = held.resident_kib < first.resident_kib + STILL_KIB
            && held.peak_kib < first.peak_kib + BREATH_KIB;
        assert!(flat, "{held}, not {first}");
    }
}
