//! What is named on the command line and is no file of a scan.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::segment;
use crate::ground::scan;
use crate::row::{Given, Row, Section, refused, taken};
use crate::run::{REFUSAL_KIB, WORK_KIB};

pub(crate) const SECTION: Section = Section::of_program(
    "What is named as a scan",
    "nephrobox segment PATH",
    segment,
    REFUSAL_KIB,
    ROWS,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    refused("nothing", |_| Given::default(), 2, "required arguments"),
    refused("an empty name", |_| [""].into(), 2, "a value is required"),
    refused("a file that is not there", |_| ["nowhere.nii.gz"].into(), 3, "no such scan"),
    refused("a name of 5,000 letters", |_| ["n".repeat(5000).as_str()].into(), 3, "no such scan"),
    refused("a name that is no UTF-8", |_| Given(vec![OsString::from_vec(b"scan-\xff\xfe.nii".to_vec())]), 3, "no such scan"),
    refused("a name with line breaks and commands to the terminal", |p| p.file("scan\n\u{1b}[2Jto do: nothing\r.nii", b"short"), 3, "5 bytes"),
    refused("a pipe that nobody writes into", |p| p.pipe("scan.nii"), 3, "no DICOM file"),
    refused("a socket", |p| { UnixListener::bind(p.path("scan.nii")).expect("a socket"); p.path("scan.nii").into() }, 3, "no DICOM file"),
    refused("a device without end", |_| ["/dev/zero"].into(), 3, "no DICOM file"),
    refused("a device without content", |_| ["/dev/null"].into(), 3, "no DICOM file"),
    refused("a link to itself", |p| { symlink("scan.nii", p.path("scan.nii")).expect("a link"); p.path("scan.nii").into() }, 3, "no such scan"),
    refused("a link to nowhere", |p| { symlink("nowhere", p.path("scan.nii")).expect("a link"); p.path("scan.nii").into() }, 3, "no such scan"),
    refused("a file of 1 TB without content", |p| p.sparse("scan.nii", b"", 1 << 40), 3, "no NIfTI-1 header"),
    refused("a scan with 1 TB behind it", |p| p.sparse("scan.nii", &scan(|_| ()), 1 << 40), 3, "more follow"),
    refused("two scans", |p| p.nifti(|_| ()).and(p.file("other.nii", scan(|_| ()))), 3, "no DICOM file"),
    refused("a scan and a series", |p| p.series(|_| ()).and(p.nifti(|_| ())), 3, "no DICOM file"),
    refused("an option that does not exist", |p| p.nifti(|_| ()).and(["--upside-down"]), 2, "unexpected argument"),
    refused("a model twice", |p| p.nifti(|_| ()).and(["--model", "other.nbx"]), 2, "cannot be used multiple times"),
    refused("a device that does not exist", |p| p.nifti(|_| ()).and(["--arithmetic", "f99"]), 2, "invalid value"),
    taken("a link to a scan", |p| { let given = p.nifti(|_| ()); symlink("scan.nii", p.path("link.nii")).expect("a link"); drop(given); p.path("link.nii").into() }, "Kidney volume").within(WORK_KIB),
    taken("a case folder", |p| { fs::create_dir(p.path("case")).expect("a folder"); p.file("case/imaging.nii", scan(|_| ())); p.path("case").into() }, "Kidney volume").within(WORK_KIB),
];
