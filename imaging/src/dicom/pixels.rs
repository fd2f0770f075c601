//! From stored numbers to HU.
//!
//! Used by the slice. A stored number is the low bits of two bytes (or one), with or without a sign; what lies above them can be
//! anything. HU are rounded to the nearest integer (ties to even) and saturated to `i16`, as everywhere.

/// HU of air, which padding becomes.
const AIR: i16 = -1024;

/// Everything denser than this may be tissue; lung begins at about -900 HU.
const TISSUE: i16 = -900;

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// 8 or 16.
    allocated: u16,
    /// Low bits that count.
    bits: u16,
    signed: bool,
}

impl Stored {
    /// Errors say in a few words what CT does not have.
    pub(crate) fn new(
        allocated: u16,
        bits: u16,
        high_bit: u16,
        representation: u16,
    ) -> Result<Self, String> {
        if ![8, 16].contains(&allocated) || !(1..=allocated).contains(&bits) || representation > 1 {
            return Err(format!(
                "its pixels have {bits} of {allocated} bits in representation {representation}"
            ));
        }
        if high_bit != bits - 1 {
            return Err(format!(
                "the highest of its pixels' {bits} bits is bit {high_bit} and not bit {}",
                bits - 1
            ));
        }
        Ok(Self {
            allocated,
            bits,
            signed: representation == 1,
        })
    }

    /// Bytes of a stored number.
    pub(crate) fn bytes(self) -> usize {
        usize::from(self.allocated / 8)
    }

    /// The number in the low bits of `raw`.
    pub(crate) fn value(self, raw: u16) -> i32 {
        let unused = 16 - u32::from(self.bits);
        if self.signed {
            i32::from(((raw << unused) as i16) >> unused)
        } else {
            i32::from((raw << unused) >> unused)
        }
    }
}

/// How stored numbers become HU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    slope: f64,
    intercept: f64,
    /// Stored numbers from the first to the last are no measurement.
    padding: Option<(i32, i32)>,
}

impl Scale {
    pub(crate) fn new(slope: f64, intercept: f64, padding: Option<(i32, i32)>) -> Self {
        Self {
            slope,
            intercept,
            padding: padding.map(|(a, b)| (a.min(b), a.max(b))),
        }
    }

    /// Slope and intercept.
    pub(crate) fn factors(&self) -> [f64; 2] {
        [self.slope, self.intercept]
    }

    pub(crate) fn hu(&self, value: i32) -> i16 {
        if let Some((first, last)) = self.padding
            && (first..=last).contains(&value)
        {
            return AIR;
        }
        self.scaled(value)
    }

    fn scaled(&self, value: i32) -> i16 {
        (f64::from(value) * self.slope + self.intercept).round_ties_even() as i16
    }

    /// The HU of padding where tissue can have the same.
    pub(crate) fn padding_in_tissue(&self) -> Option<i16> {
        let (first, last) = self.padding?;
        [first, last]
            .map(|value| self.scaled(value))
            .into_iter()
            .find(|&hu| (TISSUE..i16::MAX).contains(&hu))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_above_the_stored_ones_do_not_count() {
        let unsigned = Stored::new(16, 12, 11, 0).unwrap();
        assert_eq!(unsigned.value(0xF123), 0x123);
        let signed = Stored::new(16, 12, 11, 1).unwrap();
        assert_eq!(signed.value(0x0FFF), -1);
        assert_eq!(signed.value(0x77FF), 2047);
        let whole = Stored::new(16, 16, 15, 0).unwrap();
        assert_eq!(whole.value(0xFFFF), 65535);
        assert_eq!(Stored::new(16, 16, 15, 1).unwrap().value(0x8000), -32768);
    }

    #[test]
    fn odd_arrangements_of_bits_are_refused() {
        for (allocated, bits, high, representation) in [
            (32, 32, 31, 0),
            (16, 17, 16, 0),
            (16, 0, 0, 0),
            (16, 12, 15, 0),
            (8, 8, 7, 2),
        ] {
            assert!(Stored::new(allocated, bits, high, representation).is_err());
        }
    }

    #[test]
    fn hu_are_rounded_and_saturated() {
        let half = Scale::new(0.5, -1024.0, None);
        assert_eq!(half.hu(1), -1024, "ties to even");
        assert_eq!(half.hu(3), -1022);
        assert_eq!(Scale::new(1.0, 0.0, None).hu(65535), i16::MAX);
        assert_eq!(Scale::new(1e30, 0.0, None).hu(-1), i16::MIN);
    }

    #[test]
    fn padding_is_air() {
        let scale = Scale::new(1.0, 0.0, Some((-2000, -2000)));
        assert_eq!((scale.hu(-2000), scale.hu(-1999)), (-1024, -1999));
        assert_eq!(scale.padding_in_tissue(), None);
        let range = Scale::new(1.0, -1024.0, Some((70, 60)));
        assert_eq!(
            [59, 60, 70, 71].map(|value| range.hu(value)),
            [-965, -1024, -1024, -953]
        );
        let water = Scale::new(1.0, 0.0, Some((0, 0)));
        assert_eq!((water.hu(0), water.padding_in_tissue()), (-1024, Some(0)));
    }
}
