//! The series that the results are of, however it was read.

use crate::{error::ObjectsError, uid::is_uid};

/// How far below one slice the next must lie along the normal, mm; nearer is the same place.
const LEAST_STEP_MM: f64 = 1e-3;

/// Most slices; a label map holds one more.
const MOST_SLICES: usize = 65_535;

/// What the objects take over from the source series. Texts are decoded, without padding, and empty where the series has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// Whose.
    pub patient: Patient,
    /// Of which study.
    pub study: Study,
    /// Series Instance UID.
    pub series_uid: String,
    /// Frame of Reference UID.
    pub frame_of_reference_uid: String,
    /// Position Reference Indicator.
    pub position_reference: String,
    /// SOP Class UID of the images.
    pub sop_class_uid: String,
    /// Rows of an image as it is stored.
    pub rows: u16,
    /// Columns of an image as it is stored.
    pub cols: u16,
    /// Image Orientation (Patient): directions along a row, then down a column.
    pub orientation: [f64; 6],
    /// Pixel Spacing, mm: between rows, then between columns.
    pub pixel_spacing_mm: [f64; 2],
    /// Slice Thickness, mm, if the series gives it.
    pub slice_thickness_mm: Option<f64>,
    /// The slices from the head, as the label map has them.
    pub slices: Vec<SourceSlice>,
}

/// One image of the series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSlice {
    /// SOP Instance UID.
    pub sop_instance_uid: String,
    /// Image Position (Patient), mm: the centre of the first pixel.
    pub position_mm: [f64; 3],
}

/// The patient as the series names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patient {
    /// Patient's Name.
    pub name: String,
    /// Patient ID.
    pub id: String,
    /// Issuer of Patient ID.
    pub id_issuer: String,
    /// Patient's Birth Date, `YYYYMMDD`.
    pub birth_date: String,
    /// Patient's Sex: `M`, `F` or `O`.
    pub sex: String,
    /// Patient's Age, such as `063Y`.
    pub age: String,
}

/// The study that the series belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Study {
    /// Study Instance UID.
    pub uid: String,
    /// Study Date, `YYYYMMDD`.
    pub date: String,
    /// Study Time, `HHMMSS` and fractions.
    pub time: String,
    /// Study ID.
    pub id: String,
    /// Accession Number.
    pub accession_number: String,
    /// Referring Physician's Name.
    pub referring_physician: String,
    /// Study Description.
    pub description: String,
    /// Minutes of Timezone Offset From UTC, if the series gives it; dates and times above are in that zone.
    pub utc_offset_minutes: Option<i16>,
}

/// How a canonical slice (row 0 at the front, column 0 at the patient's right) lies in a stored image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Canonical rows run along the image's columns.
    transposed: bool,
    /// The image's rows count from the other end.
    flip_rows: bool,
    /// The image's columns count from the other end.
    flip_cols: bool,
    rows: usize,
    cols: usize,
}

impl Layout {
    /// Row and column in the stored image of a canonical pixel.
    pub(crate) fn place(&self, row: usize, col: usize) -> (usize, usize) {
        let (row, col) = if self.transposed {
            (col, row)
        } else {
            (row, col)
        };
        let flip = |index, length, flip| if flip { length - 1 - index } else { index };
        (
            flip(row, self.rows, self.flip_rows),
            flip(col, self.cols, self.flip_cols),
        )
    }

    /// Rows and columns of a canonical slice.
    pub(crate) fn canonical(&self) -> (usize, usize) {
        if self.transposed {
            (self.cols, self.rows)
        } else {
            (self.rows, self.cols)
        }
    }
}

impl Source {
    /// Says whether objects can refer to the series.
    ///
    /// # Errors
    /// Why they cannot: UIDs that are none, images without pixels or of absurd sizes, images that do not stack up.
    pub fn check(&self) -> Result<(), ObjectsError> {
        self.layout().map(|_| ())
    }

    /// Checks everything that the objects rely on and finds how canonical slices lie in the images.
    pub(crate) fn layout(&self) -> Result<Layout, ObjectsError> {
        self.check_uids()?;
        if self.rows == 0 || self.cols == 0 {
            return Err(ObjectsError::Empty {
                rows: self.rows,
                cols: self.cols,
            });
        }
        self.check_sizes()?;
        let layout = self.orient()?;
        self.check_order()?;
        Ok(layout)
    }

    fn check_uids(&self) -> Result<(), ObjectsError> {
        let named = [
            ("Study Instance UID", &self.study.uid),
            ("Series Instance UID", &self.series_uid),
            ("Frame of Reference UID", &self.frame_of_reference_uid),
            ("SOP Class UID", &self.sop_class_uid),
        ];
        let slices = self
            .slices
            .iter()
            .map(|slice| ("SOP Instance UID", &slice.sop_instance_uid));
        match named
            .into_iter()
            .chain(slices)
            .find(|(_, uid)| !is_uid(uid))
        {
            Some((what, uid)) => Err(ObjectsError::Uid {
                what,
                uid: uid.chars().take(80).collect(),
            }),
            None => Ok(()),
        }
    }

    fn check_sizes(&self) -> Result<(), ObjectsError> {
        let usable = |what, usable, found: String| {
            if usable {
                Ok(())
            } else {
                Err(ObjectsError::Geometry { what, found })
            }
        };
        let positive = |mm: &f64| mm.is_finite() && *mm > 0.0;
        usable(
            "Pixel Spacing",
            self.pixel_spacing_mm.iter().all(positive),
            format!("{:?}", self.pixel_spacing_mm),
        )?;
        usable(
            "Slice Thickness",
            self.slice_thickness_mm.as_ref().is_none_or(positive),
            format!("{:?}", self.slice_thickness_mm),
        )?;
        let [row, col] = self.directions();
        let unit = |v: [f64; 3]| (dot(v, v) - 1.0).abs() < 1e-2;
        usable(
            "Image Orientation",
            unit(row) && unit(col) && dot(row, col).abs() < 1e-2,
            format!("{:?}", self.orientation),
        )?;
        for slice in &self.slices {
            usable(
                "Image Position",
                slice.position_mm.iter().all(|mm| mm.is_finite()),
                format!("{:?}", slice.position_mm),
            )?;
        }
        Ok(())
    }

    fn orient(&self) -> Result<Layout, ObjectsError> {
        let [row, col] = self.directions();
        let normal = cross(row, col);
        let transposed = row[1].abs() > row[0].abs();
        let (across, down) = if transposed {
            (row[1], col[0])
        } else {
            (row[0], col[1])
        };
        // Nearest to transverse, so that each image axis has a patient axis of its own.
        if normal[2].abs() <= normal[0].abs().max(normal[1].abs()) || across == 0.0 || down == 0.0 {
            return Err(ObjectsError::NotTransverse {
                orientation: self.orientation,
            });
        }
        Ok(Layout {
            transposed,
            flip_rows: down < 0.0,
            flip_cols: across < 0.0,
            rows: usize::from(self.rows),
            cols: usize::from(self.cols),
        })
    }

    fn check_order(&self) -> Result<(), ObjectsError> {
        let slices = self.slices.len();
        if slices == 0 || slices > MOST_SLICES {
            return Err(ObjectsError::SliceCount { slices });
        }
        match self.steps_mm().position(|step| step < LEAST_STEP_MM) {
            Some(step) => Err(ObjectsError::Order { slice: step + 1 }),
            None => Ok(()),
        }
    }

    /// Distances from each slice to the next along the normal, mm; positive towards the feet.
    fn steps_mm(&self) -> impl Iterator<Item = f64> {
        let [row, col] = self.directions();
        let normal = cross(row, col);
        let down = if normal[2] > 0.0 { -1.0 } else { 1.0 };
        self.slices.windows(2).map(move |pair| {
            let [a, b] = [pair[0].position_mm, pair[1].position_mm];
            down * dot([b[0] - a[0], b[1] - a[1], b[2] - a[2]], normal)
        })
    }

    /// The median distance of neighbouring slices, mm; `None` with one slice.
    pub(crate) fn slice_spacing_mm(&self) -> Option<f64> {
        let mut steps: Vec<f64> = self.steps_mm().collect();
        steps.sort_by(f64::total_cmp);
        steps.get(steps.len() / 2).copied()
    }

    fn directions(&self) -> [[f64; 3]; 2] {
        let [a, b, c, d, e, f] = self.orientation;
        [[a, b, c], [d, e, f]]
    }
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
