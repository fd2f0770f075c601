//! Whether a downloaded file is the right one, whole.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};
use sha2::Sha256;

/// What a file is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// MD5 in lower-case hex.
    Md5(String),
    /// SHA-256 in lower-case hex, or its first digits.
    Sha256(String),
    /// No checksum is published: gzip's own has to hold, to the last byte, and a NIfTI header to come out.
    NiftiGz,
}

/// Bytes of a NIfTI-1 header.
const HEADER: usize = 348;

/// SHA-256 of the file, if it passes `check`; otherwise what is wrong with it. The outer error is one of reading.
pub(super) fn verify(path: &Path, check: &Check) -> std::io::Result<Result<String, String>> {
    let mut md5 = Md5::new();
    let mut sha256 = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        if matches!(check, Check::Md5(_)) {
            md5.update(&buffer[..n]);
        }
        sha256.update(&buffer[..n]);
    }
    let sha256 = hex(&sha256.finalize());
    let differs = |kind: &str, found: &str, expected: &str| {
        Err(format!("its {kind} is {found}, not {expected}"))
    };
    Ok(match check {
        Check::Md5(expected) => {
            let found = hex(&md5.finalize());
            if found == *expected {
                Ok(sha256)
            } else {
                differs("MD5", &found, expected)
            }
        }
        Check::Sha256(expected) if expected.len() >= 8 && sha256.starts_with(expected.as_str()) => {
            Ok(sha256)
        }
        Check::Sha256(expected) => differs("SHA-256", &sha256, expected),
        Check::NiftiGz => nifti(path)?.map(|()| sha256),
    })
}

fn nifti(path: &Path) -> std::io::Result<Result<(), String>> {
    let mut stream = MultiGzDecoder::new(BufReader::new(File::open(path)?));
    let mut header = [0_u8; HEADER];
    if let Err(e) = stream.read_exact(&mut header) {
        return Ok(Err(format!("it is no gzipped NIfTI file ({e})")));
    }
    if header[344..347] != *b"n+1" {
        return Ok(Err("it is gzip, but no NIfTI file".into()));
    }
    Ok(match std::io::copy(&mut stream, &mut std::io::sink()) {
        Ok(_) => Ok(()),
        Err(e) => Err(format!("its compressed data are damaged or cut off ({e})")),
    })
}

/// Lower-case hex digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes all
        text
    })
}
