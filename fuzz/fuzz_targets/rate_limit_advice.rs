#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    plimsoll_fuzz::rate_limit_advice(data);
});
