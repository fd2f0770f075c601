//! The bytes of a volume's file, inflated where it is gzip, with a position one can go back and forth in. A DICOM series is read as
//! one file of all its voxels.
//!
//! Used by the header parser and the reader. Gzip is recognised by its first two bytes, not by the name. Several gzip members in a
//! row are one stream, and zero padding after the last is accepted, both as gzip(1) does; anything else that follows is refused.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::dicom::Series;
use crate::error::ImagingError;
use crate::files;

/// First bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// DEFLATE cannot do better than 258 bytes in two bits (RFC 1951, section 3.2.5): 1032 to 1.
const MAX_INFLATION: u64 = 1032;

/// Compressed bytes read from the disk at a time.
const READ_AHEAD: usize = 1 << 17;

/// A position no stream reaches: it makes the next seek start over.
const LOST: u64 = u64::MAX;

enum Stream {
    Plain(BufReader<File>),
    Gzip(Box<GzDecoder<BufReader<File>>>),
    Series(Box<Series>),
    /// Between two states of one method, or after a failed one.
    Closed,
}

/// Whoever wants to know that a long reading goes on.
type Heard = Box<dyn Fn() + Send + Sync>;

pub(crate) struct Source {
    path: PathBuf,
    file_len: u64,
    gzip: bool,
    stream: Stream,
    position: u64,
    heard: Option<Heard>,
}

impl Source {
    pub(crate) fn open(path: &Path) -> Result<Self, ImagingError> {
        let io_error = |action| {
            move |source| ImagingError::Io {
                path: path.to_owned(),
                action,
                source,
            }
        };
        let mut file = files::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::InvalidInput => ImagingError::NotNifti {
                path: path.to_owned(),
                found: format!("this is no scan, {source}"),
            },
            _ => io_error("open")(source),
        })?;
        let metadata = file.metadata().map_err(io_error("open"))?;
        let mut magic = Vec::new();
        file.by_ref()
            .take(2)
            .read_to_end(&mut magic)
            .map_err(io_error("read"))?;
        let mut source = Self {
            path: path.to_owned(),
            file_len: metadata.len(),
            gzip: magic == GZIP_MAGIC,
            stream: Stream::Plain(BufReader::with_capacity(READ_AHEAD, file)),
            position: LOST,
            heard: None,
        };
        source.start_over()?;
        Ok(source)
    }

    pub(crate) fn of_series(series: Series) -> Self {
        Self {
            path: series.path().to_owned(),
            file_len: series.len(),
            gzip: false,
            stream: Stream::Series(Box::new(series)),
            position: 0,
            heard: None,
        }
    }

    /// Calls `heard` after each piece that is read.
    pub(crate) fn on_read(&mut self, heard: Heard) {
        self.heard = Some(heard);
    }

    pub(crate) fn series(&self) -> Option<&Series> {
        match &self.stream {
            Stream::Series(series) => Some(series),
            _ => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_gzip(&self) -> bool {
        self.gzip
    }

    /// Uncompressed bytes there can be at most, from the file's size alone; exact where it is not compressed.
    pub(crate) fn at_most(&self) -> u64 {
        if self.gzip {
            self.file_len.saturating_mul(MAX_INFLATION)
        } else {
            self.file_len
        }
    }

    /// Reads up to `out.len()` bytes, fewer only at the end.
    pub(crate) fn read_up_to(&mut self, out: &mut [u8]) -> Result<usize, ImagingError> {
        let mut filled = 0;
        while filled < out.len() {
            match self.read_some(&mut out[filled..])? {
                0 => break,
                n => filled += n,
            }
            if let Some(heard) = &self.heard {
                heard();
            }
        }
        Ok(filled)
    }

    /// Fills `out` or errors; `expected` is the size the header promises, for the message.
    pub(crate) fn read_all(&mut self, out: &mut [u8], expected: u64) -> Result<(), ImagingError> {
        if self.read_up_to(out)? == out.len() {
            return Ok(());
        }
        let found = std::mem::replace(&mut self.position, LOST);
        Err(ImagingError::TooShort {
            path: self.path.clone(),
            expected,
            found,
            at_most: false,
        })
    }

    /// Moves to an uncompressed byte position, inflating what lies between, or from the start where it lies behind.
    pub(crate) fn seek(&mut self, position: u64, expected: u64) -> Result<(), ImagingError> {
        if let Stream::Series(_) = self.stream {
            self.position = position;
            return Ok(());
        }
        if position < self.position {
            self.start_over()?;
        }
        if let Stream::Plain(reader) = &mut self.stream {
            let distance = (position - self.position) as i64;
            reader
                .seek_relative(distance)
                .map_err(|source| io_error(&self.path, source))?;
            self.position = position;
            return Ok(());
        }
        let mut scratch = [0; 1 << 14];
        while self.position < position {
            let step = (position - self.position).min(scratch.len() as u64) as usize;
            self.read_all(&mut scratch[..step], expected)?;
        }
        Ok(())
    }

    /// Errors if anything but gzip's own padding follows; reads through the last checksum.
    pub(crate) fn expect_end(&mut self) -> Result<(), ImagingError> {
        let expected = self.position;
        if self.read_some(&mut [0])? == 0 {
            return Ok(());
        }
        self.position = LOST;
        Err(ImagingError::TooLong {
            path: self.path.clone(),
            expected,
        })
    }

    fn start_over(&mut self) -> Result<(), ImagingError> {
        let reader = match std::mem::replace(&mut self.stream, Stream::Closed) {
            Stream::Plain(reader) => Some(reader),
            Stream::Gzip(decoder) => Some(decoder.into_inner()),
            Stream::Closed | Stream::Series(_) => None,
        };
        let mut reader = match reader {
            Some(reader) => reader,
            None => BufReader::with_capacity(
                READ_AHEAD,
                files::open(&self.path).map_err(|source| io_error(&self.path, source))?,
            ),
        };
        reader
            .seek(SeekFrom::Start(0))
            .map_err(|source| io_error(&self.path, source))?;
        self.stream = if self.gzip {
            Stream::Gzip(Box::new(GzDecoder::new(reader)))
        } else {
            Stream::Plain(reader)
        };
        self.position = 0;
        Ok(())
    }

    /// One read; 0 only at the end of the file and all its members.
    fn read_some(&mut self, out: &mut [u8]) -> Result<usize, ImagingError> {
        loop {
            let read = match &mut self.stream {
                Stream::Plain(reader) => reader.read(out),
                Stream::Gzip(decoder) => decoder.read(out),
                Stream::Series(series) => {
                    let count = series.read(self.position, out)?;
                    self.position += count as u64;
                    return Ok(count);
                }
                Stream::Closed => Ok(0),
            };
            match read {
                Ok(0) if self.gzip && !out.is_empty() => {
                    if !self.next_member()? {
                        return Ok(0);
                    }
                }
                Ok(n) => {
                    self.position += n as u64;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let position = std::mem::replace(&mut self.position, LOST);
                    // A read error of the disk carries the system's code, the decoder's own do not.
                    return Err(if self.gzip && source.raw_os_error().is_none() {
                        ImagingError::DamagedGzip {
                            path: self.path.clone(),
                            position,
                            source,
                        }
                    } else {
                        io_error(&self.path, source)
                    });
                }
            }
        }
    }

    /// After the end of a gzip member: starts the next one, or says that there is none.
    fn next_member(&mut self) -> Result<bool, ImagingError> {
        let Stream::Gzip(decoder) = &mut self.stream else {
            return Ok(false);
        };
        let mut padded = false;
        loop {
            let ahead = decoder
                .get_mut()
                .fill_buf()
                .map_err(|source| io_error(&self.path, source))?;
            match ahead.first() {
                None => return Ok(false),
                Some(0) => {
                    padded = true;
                    let zeros = ahead.iter().take_while(|&&byte| byte == 0).count();
                    decoder.get_mut().consume(zeros);
                }
                Some(&first) if first == GZIP_MAGIC[0] && !padded => break,
                Some(_) => {
                    self.position = LOST;
                    return Err(ImagingError::TrailingBytes {
                        path: self.path.clone(),
                    });
                }
            }
        }
        if let Stream::Gzip(decoder) = std::mem::replace(&mut self.stream, Stream::Closed) {
            self.stream = Stream::Gzip(Box::new(GzDecoder::new(decoder.into_inner())));
        }
        Ok(true)
    }
}

fn io_error(path: &Path, source: io::Error) -> ImagingError {
    ImagingError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    }
}
