#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| nephrobox_parsers::nifti(bytes));
