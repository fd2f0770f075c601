//! JPEG-LS (ITU-T T.87) for one component, lossless and near-lossless.
//!
//! Used by the unpacking of pixels. Our own, because the codecs for it are C++ or, in Rust, do not read what `CharLS`, the codec of
//! most archives, writes; golden images of `CharLS` are among the tests. Names in code follow the standard: A, B, C, N are a context's
//! sums, counts and bias, Ra to Rd the neighbours left, above, above left and above right. Numbers are wide enough that no code
//! stream makes one overflow.

/// Contexts of samples outside runs; two more are for the ends of runs.
const REGULAR: usize = 365;

/// Bits of the length of a run by its index (A.7.1.1).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Decodes an image of `rows` x `cols` samples, whose size the caller has compared with its frame header already.
///
/// Errors say in a few words how the image is damaged.
pub(crate) fn decode(bytes: &[u8], rows: usize, cols: usize, bits: u8) -> Result<Vec<u16>, String> {
    let (parameters, scan) = header(bytes, bits)?;
    Decoder::new(&parameters, scan).image(rows, cols)
}

/// What a code stream says of itself, or what the standard says in its place.
struct Parameters {
    max: i64,
    near: i64,
    /// T1, T2, T3.
    thresholds: [i64; 3],
    reset: i64,
}

/// Reads the segments before the scan (C.2) and returns what follows them.
fn header(bytes: &[u8], bits: u8) -> Result<(Parameters, &[u8]), String> {
    let odd = |what: &str| format!("its JPEG-LS image {what}");
    let mut preset = [0_u16; 5];
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        let [0xFF, kind, high, low, ..] = *rest else {
            return Err(odd("has no scan"));
        };
        if kind == 0xFF {
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = rest
            .get(4..2 + length)
            .ok_or_else(|| odd("ends within a segment"))?;
        rest = &rest[2 + length..];
        match (kind, segment) {
            (0xF8, [1, numbers @ ..]) if numbers.len() == 10 => {
                for (number, word) in preset.iter_mut().zip(numbers.as_chunks::<2>().0) {
                    *number = u16::from_be_bytes(*word);
                }
            }
            (0xF8, _) => return Err(odd("has tables that CT does not")),
            (0xDD, interval) if interval.iter().any(|&byte| byte != 0) => {
                return Err(odd("restarts, which CT does not"));
            }
            (0xDA, [1, _, 0, near, 0, 0]) => {
                return parameters(bits, preset, *near).map(|read| (read, rest));
            }
            (0xDA, _) => return Err(odd("has a scan of another kind than CT")),
            _ => {}
        }
    }
}

/// Presets where they are given, else the defaults of C.2.4.1.1.1.
fn parameters(bits: u8, preset: [u16; 5], near: u8) -> Result<Parameters, String> {
    let near = i64::from(near);
    let [max, t1, t2, t3, reset] = preset.map(i64::from);
    let or = |given: i64, default: i64| if given == 0 { default } else { given };
    let max = or(max, (1 << bits) - 1);
    let limited = |value: i64, least: i64| {
        if (least..=max).contains(&value) {
            value
        } else {
            least
        }
    };
    let basic = if max >= 128 {
        let factor = (max.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4]
    } else {
        let factor = 256 / (max + 1);
        [3 / factor, 7 / factor, 21 / factor]
    };
    let basic = [
        (basic[0] + 3 * near).max(2),
        (basic[1] + 5 * near).max(3),
        (basic[2] + 7 * near).max(4),
    ];
    let t1 = or(t1, limited(basic[0], near + 1));
    let t2 = or(t2, limited(basic[1], t1));
    let t3 = or(t3, limited(basic[2], t2));
    let reset = or(reset, 64);
    let sound = max < 1 << bits
        && near <= max / 2
        && near < t1
        && t1 <= t2
        && t2 <= t3
        && t3 <= max
        && reset >= 3;
    if !sound {
        return Err("its JPEG-LS image has parameters that contradict each other".to_owned());
    }
    Ok(Parameters {
        max,
        near,
        thresholds: [t1, t2, t3],
        reset,
    })
}

#[derive(Clone, Copy)]
struct Context {
    a: i64,
    b: i64,
    c: i64,
    n: i64,
}

struct Decoder<'a> {
    bits: Bits<'a>,
    max: i64,
    near: i64,
    thresholds: [i64; 3],
    reset: i64,
    range: i64,
    /// Bits of a sample that is written in full.
    full: u32,
    limit: u32,
    contexts: Vec<Context>,
    /// Negative errors at the ends of runs, of each kind.
    negatives: [i64; 2],
    run_index: usize,
}

impl<'a> Decoder<'a> {
    fn new(parameters: &Parameters, scan: &'a [u8]) -> Self {
        let &Parameters {
            max,
            near,
            thresholds,
            reset,
        } = parameters;
        let range = (max + 2 * near) / (2 * near + 1) + 1;
        let bits_for = |count: i64| 64 - (count - 1).leading_zeros();
        let sample = bits_for(max + 1).max(2);
        let fresh = Context {
            a: ((range + 32) / 64).max(2),
            b: 0,
            c: 0,
            n: 1,
        };
        Self {
            bits: Bits::new(scan),
            max,
            near,
            thresholds,
            reset,
            range,
            full: bits_for(range),
            limit: 2 * (sample + sample.max(8)),
            contexts: vec![fresh; REGULAR + 2],
            negatives: [0; 2],
            run_index: 0,
        }
    }

    fn image(mut self, rows: usize, cols: usize) -> Result<Vec<u16>, String> {
        let mut image = Vec::with_capacity(rows * cols);
        // One sample more on the left and on the right.
        let (mut above, mut line) = (vec![0_i64; cols + 2], vec![0_i64; cols + 2]);
        for _ in 0..rows {
            line[0] = above[1];
            above[cols + 1] = above[cols];
            self.line(&above, &mut line)?;
            image.extend(line[1..=cols].iter().map(|&sample| sample as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(image)
    }

    fn line(&mut self, above: &[i64], line: &mut [i64]) -> Result<(), String> {
        let end = line.len() - 1;
        let mut at = 1;
        while at < end {
            let (ra, rb, rc, rd) = (line[at - 1], above[at], above[at - 1], above[at + 1]);
            let gradients = [rd - rb, rb - rc, rc - ra].map(|d| self.quantised(d));
            if gradients == [0; 3] {
                let run = self.run(end - at)?;
                line[at..at + run].fill(ra);
                at += run;
                if at == end {
                    break;
                }
                line[at] = self.end_of_run(ra, above[at])?;
            } else {
                line[at] = self.regular(gradients, ra, rb, rc)?;
            }
            at += 1;
        }
        Ok(())
    }

    /// A gradient in nine steps (A.3.3).
    fn quantised(&self, d: i64) -> i64 {
        let size = d.abs();
        if size <= self.near {
            return 0;
        }
        let step = 1 + self.thresholds.iter().filter(|&&t| size >= t).count() as i64;
        step * d.signum()
    }

    /// A sample outside runs (A.4 to A.6).
    fn regular(&mut self, gradients: [i64; 3], ra: i64, rb: i64, rc: i64) -> Result<i64, String> {
        let [q1, q2, q3] = gradients;
        let signed = 81 * q1 + 9 * q2 + q3;
        let sign = signed.signum();
        let index = signed.unsigned_abs() as usize;
        let context = self.contexts[index];
        let edge = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let predicted = (edge + sign * context.c).clamp(0, self.max);
        let k = golomb(context.n, context.a);
        let mapped = self.bits.mapped(k, self.limit, self.full)?;
        let turned = self.near == 0 && k == 0 && 2 * context.b <= -context.n;
        let error = match (mapped % 2 == 0, turned) {
            (true, false) => mapped / 2,
            (false, false) => -(mapped + 1) / 2,
            (false, true) => (mapped - 1) / 2,
            (true, true) => -(mapped / 2) - 1,
        };
        self.contexts[index] = context.after(error, self.near, self.reset);
        Ok(self.sample(predicted, sign * error))
    }

    /// How many samples, at most `most`, are as the one before (A.7.1).
    fn run(&mut self, most: usize) -> Result<usize, String> {
        let mut run = 0;
        while self.bits.one()? {
            let whole = 1 << J[self.run_index];
            if run + whole > most {
                return Ok(most);
            }
            run += whole;
            self.run_index = (self.run_index + 1).min(J.len() - 1);
            if run == most {
                return Ok(most);
            }
        }
        run += self.bits.number(J[self.run_index])? as usize;
        if run < most {
            Ok(run)
        } else {
            Err("its JPEG-LS image has a run beyond a line".to_owned())
        }
    }

    /// The sample that ends a run (A.7.2).
    fn end_of_run(&mut self, ra: i64, rb: i64) -> Result<i64, String> {
        let alike = usize::from((ra - rb).abs() <= self.near);
        let kind = alike as i64;
        let (predicted, sign) = match alike {
            1 => (ra, 1),
            _ => (rb, if ra > rb { -1 } else { 1 }),
        };
        let Context { a, n, .. } = self.contexts[REGULAR + alike];
        let k = golomb(n, if alike == 1 { a + n / 2 } else { a });
        let limit = self.limit - J[self.run_index] - 1;
        let mapped = self.bits.mapped(k, limit, self.full)?;
        let twice = mapped + kind;
        let odd = twice % 2 == 1;
        let size = twice / 2 + i64::from(odd);
        let mostly_negative = k != 0 || 2 * self.negatives[alike] >= n;
        let error = if odd == mostly_negative { -size } else { size };

        let context = &mut self.contexts[REGULAR + alike];
        let negatives = &mut self.negatives[alike];
        *negatives += i64::from(error < 0);
        context.a += (mapped + 1 - kind) / 2;
        if context.n == self.reset {
            context.a /= 2;
            context.n /= 2;
            *negatives /= 2;
        }
        context.n += 1;
        self.run_index = self.run_index.saturating_sub(1);
        Ok(self.sample(predicted, sign * error))
    }

    /// A prediction with its error, modulo the range (A.4.5).
    fn sample(&self, predicted: i64, error: i64) -> i64 {
        let step = 2 * self.near + 1;
        let mut sample = predicted + error * step;
        if sample < -self.near {
            sample += self.range * step;
        } else if sample > self.max + self.near {
            sample -= self.range * step;
        }
        sample.clamp(0, self.max)
    }
}

impl Context {
    /// With one more error counted (A.6).
    fn after(mut self, error: i64, near: i64, reset: i64) -> Self {
        self.b += error * (2 * near + 1);
        self.a += error.abs();
        if self.n == reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
        self
    }
}

/// The Golomb parameter: the least k with n * 2^k >= a (A.5.1).
fn golomb(n: i64, a: i64) -> u32 {
    (0..40).find(|&k| n << k >= a).unwrap_or(40)
}

/// The bits of a scan; after a byte of ones the next has seven.
struct Bits<'a> {
    rest: &'a [u8],
    /// The low `held` bits are still to be read.
    value: u64,
    held: u32,
    after_ones: bool,
}

impl<'a> Bits<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self {
            rest,
            value: 0,
            held: 0,
            after_ones: false,
        }
    }

    fn fill(&mut self) -> Result<(), String> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .filter(|(byte, _)| !(self.after_ones && **byte >= 0x80))
            .ok_or_else(|| "its JPEG-LS image ends early".to_owned())?;
        let bits = if self.after_ones { 7 } else { 8 };
        self.value = (self.value << bits) | u64::from(byte);
        self.held += bits;
        self.after_ones = byte == 0xFF;
        self.rest = rest;
        Ok(())
    }

    fn one(&mut self) -> Result<bool, String> {
        self.number(1).map(|bit| bit == 1)
    }

    /// The next `bits` bits, at most 40.
    fn number(&mut self, bits: u32) -> Result<i64, String> {
        while self.held < bits {
            self.fill()?;
        }
        self.held -= bits;
        let number = self.value >> self.held;
        self.value &= (1 << self.held) - 1;
        Ok(number as i64)
    }

    /// A number in a Golomb code of limited length (A.5.3).
    fn mapped(&mut self, k: u32, limit: u32, full: u32) -> Result<i64, String> {
        let mut zeros = 0;
        let most = limit.saturating_sub(full + 1);
        while zeros < most {
            if self.one()? {
                return Ok((i64::from(zeros) << k) + self.number(k)?);
            }
            zeros += 1;
        }
        if self.one()? {
            Ok(self.number(full)? + 1)
        } else {
            Err("its JPEG-LS image has a code that is too long".to_owned())
        }
    }
}
