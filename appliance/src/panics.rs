//! Panics: faults in the program, told without what the program had in its hands.
//!
//! A panic's words are often put together when it happens, and may quote a header, a path or a name. Those never reach the log, a record
//! or a panel. Told is where in the program it was, and words that were written into the program as they are; of words that were put
//! together, only those of the language that hold nothing but numbers.
//!
//! Who holds what, and what follows:
//!
//! | a panic | costs |
//! | --- | --- |
//! | at work on a scan | the attempt; after two the scan is set aside (`worker`) |
//! | when results are delivered | the attempt to deliver; that destination is asked again (`outbox`) |
//! | when a dropped file or folder is read | that file or folder; it goes to `refused/` (`intake::folder`) |
//! | when a series is sorted out | nothing; the series goes into the queue as it is (`intake::dicom`) |
//! | when a tool is answered, or in a connection | that session or connection (`link`, `dimse`, the status page) |
//! | when the panel is drawn | the picture; it is begun anew (`panel`) |
//! | anywhere else | the process, which ends with 1 and is started again (`run::vital`) |

use std::any::Any;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};

/// How those words begin that the language puts together from numbers alone.
const NUMBERS: [&str; 4] = [
    "index out of bounds: ",
    "range start index ",
    "range end index ",
    "slice index starts at ",
];
/// Instead of words that may quote something.
const KEPT_BACK: &str = "its words are kept back, since they may quote a scan";

/// From now on a panic anywhere in the process is a line in the log, instead of all its words on standard error.
pub fn log() {
    set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        tracing::error!(
            thread = thread.name().unwrap_or("without a name"),
            place = place(panic),
            words = words(panic.payload()),
            "a fault in nephrobox"
        );
    }));
}

/// Does something, and turns a panic into words that may be shown.
///
/// What `work` has changed halfway must be left to nobody, or be whole at every moment.
///
/// # Errors
/// What may be told of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| told(&*panic))
}

/// What may be told of a panic.
pub fn told(panic: &(dyn Any + Send)) -> String {
    format!("a fault in nephrobox, see its log: {}", words(panic))
}

/// Where it was.
fn place(panic: &PanicHookInfo<'_>) -> String {
    panic
        .location()
        .map_or_else(|| "an unknown place".into(), ToString::to_string)
}

/// Its words, as far as they may be shown.
fn words(panic: &(dyn Any + Send)) -> &str {
    if let Some(written) = panic.downcast_ref::<&'static str>() {
        return written;
    }
    let made = panic.downcast_ref::<String>().map_or("", String::as_str);
    let harmless = NUMBERS.iter().any(|start| made.starts_with(start));
    if harmless { made } else { KEPT_BACK }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_stand_in_the_program_are_told_and_those_it_made_of_a_scan_are_not() {
        let told = |panic: fn()| caught(panic).expect_err("it panics");
        assert!(told(|| panic!("no spacing")).ends_with("log: no spacing"));
        // Texts that the compiler sees through are written into the program.
        for quotes in [
            (|| panic!("no spacing in {}", std::hint::black_box("Zzyzx^Quentin"))) as fn(),
            || std::hint::black_box(Err("Zzyzx^Quentin")).unwrap(),
            || assert!("Zzyzx^Qu\u{e9}ntin"[..9].is_empty()),
            || assert_eq!("Zzyzx", std::hint::black_box("Quentin")),
            || std::panic::panic_any(7),
        ] {
            let words = told(quotes);
            assert!(words.ends_with(KEPT_BACK), "{words}");
        }
    }

    #[test]
    fn numbers_of_the_language_are_told() {
        let place = std::hint::black_box(7);
        let words = caught(|| [1, 2, 3][place]).expect_err("it panics");
        assert!(
            words.ends_with("index out of bounds: the len is 3 but the index is 7"),
            "{words}"
        );
        let words = caught(|| [1, 2, 3][..place].len()).expect_err("it panics");
        assert!(words.ends_with("range end index 7 out of range for slice of length 3"));
        assert_eq!(caught(|| place), Ok(7));
    }
}
