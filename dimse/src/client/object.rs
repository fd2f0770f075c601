//! A part 10 file on its way out.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::Context;
use crate::part10::Meta;

/// An object to be sent: its head has been read, its data set comes from the reader.
#[derive(Debug)]
pub struct Object<R> {
    meta: Meta,
    data: R,
}

impl Object<BufReader<File>> {
    /// From a file.
    ///
    /// # Errors
    /// A file that cannot be read, or that is no DICOM file (`InvalidData`).
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::read(BufReader::new(File::open(path)?))
    }
}

impl<R: Read> Object<R> {
    /// From a reader at the beginning of a file.
    ///
    /// # Errors
    /// The reader's own, or `InvalidData` with what is no DICOM about it.
    pub fn read(mut file: R) -> io::Result<Self> {
        let meta = Meta::read(&mut file)?;
        Ok(Self { meta, data: file })
    }

    /// What must be proposed so that it can be sent.
    pub fn context(&self) -> Context {
        Context {
            sop_class_uid: self.meta.class.clone(),
            transfer_syntax: self.meta.transfer_syntax.clone(),
        }
    }

    /// Its SOP class.
    pub fn sop_class_uid(&self) -> &str {
        &self.meta.class
    }

    /// Its own UID.
    pub fn sop_instance_uid(&self) -> &str {
        &self.meta.instance
    }

    /// How its data set is written.
    pub fn transfer_syntax(&self) -> &str {
        &self.meta.transfer_syntax
    }

    pub(super) const fn data(&mut self) -> &mut R {
        &mut self.data
    }
}
