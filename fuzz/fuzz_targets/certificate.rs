//! What must hold is said in `wire::fuzzing`, which the tests run too.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wire::fuzzing::certificate(bytes));
