//! A package opened where it lies.

use core::ops::Range;

use super::{
    Header, MAX_MANIFEST_LEN, MAX_PROGRAM_LEN, MAX_TENSORS, MINOR, PackageError, Signature,
    TensorView,
    layout::{Layout, Trailer},
    table::{ENTRY_LEN, Table},
};

/// A package that has passed every check, over the bytes of its file.
///
/// The bytes may lie at any address; tensors are aligned to 64 bytes within the file, hence in memory too when the file
/// is mapped or loaded at such an address.
#[derive(Clone, Copy, Debug)]
pub struct PackageView<'a> {
    file: &'a [u8],
    header: Header,
    layout: Layout,
    trailer: Trailer,
}

impl<'a> PackageView<'a> {
    /// Checks a whole file and gives access to its parts.
    ///
    /// In this order: magic, major version, the sizes against each other, their limits and the length of `file`, the hash,
    /// the bytes that must be 0, the signature field's form, every entry of the tensor table. The hash takes about a
    /// millisecond for each megabyte on a small board. The signature itself is not verified.
    pub fn open(file: &'a [u8]) -> Result<Self, PackageError> {
        let header = Header::read(file)?;
        let found = file.len() as u64;
        if header.total_len != found {
            return Err(PackageError::Length {
                expected: header.total_len,
                found,
            });
        }
        let layout = Layout::new(&header).ok_or(PackageError::Sections)?;
        let entries_len = u64::from(header.tensors) * ENTRY_LEN as u64;
        if layout.total != file.len() || entries_len > header.table_len {
            return Err(PackageError::Sections);
        }
        if header.tensors as usize > MAX_TENSORS {
            return Err(PackageError::TooManyTensors {
                tensors: header.tensors as usize,
            });
        }
        // What is decoded takes many times its bytes, so it is bounded before it is.
        for (section, bytes, limit) in [
            ("manifest", header.manifest_len, MAX_MANIFEST_LEN),
            ("program", header.program_len, MAX_PROGRAM_LEN),
        ] {
            if bytes > limit {
                return Err(PackageError::TooLong {
                    section,
                    bytes,
                    limit,
                });
            }
        }
        let trailer = Trailer::read(file, layout.trailer).ok_or(PackageError::Sections)?;
        let hash = blake3::hash(file.get(..layout.trailer).ok_or(PackageError::Sections)?);
        // The trailer's form is reported only for a package that is otherwise whole.
        let stored = file
            .get(layout.trailer..)
            .and_then(<[u8]>::first_chunk::<32>);
        if stored != Some(hash.as_bytes()) {
            return Err(PackageError::Hash);
        }
        let view = Self {
            file,
            header,
            layout,
            trailer: trailer?,
        };
        view.check_zeros()?;
        view.check_tensors()?;
        Ok(view)
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// BLAKE3 over everything before the trailer: the package's identity, and what a signature signs.
    pub const fn hash(&self) -> &[u8; 32] {
        &self.trailer.hash
    }

    /// The signature, **not verified**; `None` for an unsigned package.
    pub const fn signature(&self) -> Option<&Signature> {
        self.trailer.signature.as_ref()
    }

    /// The manifest's postcard bytes.
    pub fn manifest_bytes(&self) -> &'a [u8] {
        self.layout.manifest.of(self.file)
    }

    /// Decodes and checks the manifest.
    ///
    /// In a package of a newer minor version, fields that this program does not know are passed over.
    #[cfg(feature = "alloc")]
    pub fn manifest(&self) -> Result<super::Manifest, PackageError> {
        let (manifest, rest) = postcard::take_from_bytes::<super::Manifest>(self.manifest_bytes())
            .map_err(|_| PackageError::ManifestEncoding)?;
        if !self.is_newer_minor() && !rest.is_empty() {
            return Err(PackageError::ManifestEncoding);
        }
        manifest.check()?;
        Ok(manifest)
    }

    /// The program's bytes, which the engine decodes and checks.
    pub fn program(&self) -> &'a [u8] {
        self.layout.program.of(self.file)
    }

    /// How many tensors there are.
    pub const fn len(&self) -> usize {
        self.header.tensors as usize
    }

    /// Whether there are no tensors.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor at a position of the table.
    pub fn tensor(&self, index: usize) -> Option<TensorView<'a>> {
        if index < self.len() {
            self.table().tensor(index, 0).ok()
        } else {
            None
        }
    }

    /// All tensors in the table's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorView<'a>> {
        let table = self.table();
        (0..self.len()).filter_map(move |index| table.tensor(index, 0).ok())
    }

    fn table(&self) -> Table<'a> {
        let table = self.layout.table.of(self.file);
        let (entries, names) = table
            .split_at_checked(self.len() * ENTRY_LEN)
            .unwrap_or_default();
        Table {
            entries,
            names,
            data: self.layout.data.of(self.file),
        }
    }

    /// Whether the file may use fields that this program does not know.
    const fn is_newer_minor(&self) -> bool {
        self.header.minor > MINOR
    }

    /// Every entry of the table, and that the tensors fill their section but for zeros between them.
    fn check_tensors(&self) -> Result<(), PackageError> {
        let table = self.table();
        let mut free = 0;
        for index in 0..self.len() {
            let tensor = table
                .tensor(index, free)
                .map_err(|problem| PackageError::Tensor { index, problem })?;
            let info = tensor.info;
            self.check_zero_data(free..info.offset)?;
            free = info.end();
            if info.scales > 0 {
                self.check_zero_data(info.offset + info.data_len()..info.scales_offset)?;
            }
        }
        if free == table.data.len() {
            Ok(())
        } else {
            Err(PackageError::Sections)
        }
    }

    fn check_zero_data(&self, range: Range<usize>) -> Result<(), PackageError> {
        let start = self.layout.data.start;
        self.check_zero(start + range.start..start + range.end)
    }

    /// Gaps between sections and unused fields hold zeros. Newer minor versions may use the fields.
    fn check_zeros(&self) -> Result<(), PackageError> {
        for gap in self.layout.gaps() {
            self.check_zero(gap)?;
        }
        if self.is_newer_minor() {
            return Ok(());
        }
        self.check_zero(Header::UNUSED)?;
        for unused in Trailer::UNUSED {
            self.check_zero(self.layout.trailer + unused.start..self.layout.trailer + unused.end)?;
        }
        for index in 0..self.len() {
            let entry = self.layout.table.start + index * ENTRY_LEN;
            self.check_zero(entry + 52..entry + ENTRY_LEN)?;
        }
        Ok(())
    }

    fn check_zero(&self, range: Range<usize>) -> Result<(), PackageError> {
        let start = range.start;
        match self
            .file
            .get(range)
            .and_then(|bytes| bytes.iter().position(|&byte| byte != 0))
        {
            Some(position) => Err(PackageError::NotZero {
                offset: start + position,
            }),
            None => Ok(()),
        }
    }
}
