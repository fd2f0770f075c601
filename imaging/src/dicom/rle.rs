//! DICOM's run-length coding (PS3.5, annex G) for one component: all high bytes, then all low bytes, each in `PackBits`.
//!
//! Used by the unpacking of pixels.

/// Bytes of the header: how many segments there are, and where they begin.
const HEADER: usize = 64;

/// Unpacks `pixels` numbers of one or two bytes; errors say in a few words how the image is damaged.
pub(crate) fn decode(bytes: &[u8], pixels: usize, wide: bool) -> Result<Vec<u16>, String> {
    let count = if wide { 2 } else { 1 };
    let words = bytes
        .get(..HEADER)
        .ok_or("its RLE image has no header")?
        .as_chunks::<4>()
        .0;
    let word = |index: usize| u32::from_le_bytes(words[index]) as usize;
    if word(0) != count {
        return Err(format!(
            "its RLE image has {} segments and not {count}",
            word(0)
        ));
    }
    let mut numbers = vec![0; pixels];
    for segment in 1..=count {
        let packed = bytes
            .get(word(segment)..)
            .ok_or("its RLE image has a segment beyond its end")?;
        add(packed, &mut numbers)?;
    }
    Ok(numbers)
}

/// Unpacks a byte for each number and puts it below the byte that is there.
fn add(mut packed: &[u8], numbers: &mut [u16]) -> Result<(), String> {
    let short = || "its RLE image ends early".to_owned();
    let mut rest = numbers;
    while !rest.is_empty() {
        let (&control, behind) = packed.split_first().ok_or_else(short)?;
        // 128 says nothing; below it that many bytes and one follow, above it one that is repeated.
        let (count, taken) = match control {
            0..=127 => (usize::from(control) + 1, usize::from(control) + 1),
            128 => (0, 0),
            129..=255 => (257 - usize::from(control), 1),
        };
        let bytes = behind.get(..taken).ok_or_else(short)?;
        packed = &behind[taken..];
        // The last run may be longer than what is left.
        let (run, left) = rest.split_at_mut(count.min(rest.len()));
        for (number, &byte) in run.iter_mut().zip(bytes.iter().cycle()) {
            *number = (*number << 8) | u16::from(byte);
        }
        rest = left;
    }
    Ok(())
}
