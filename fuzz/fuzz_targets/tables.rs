#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pada_fuzz::run("tables", data));
