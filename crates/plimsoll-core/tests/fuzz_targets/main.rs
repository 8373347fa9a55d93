//! Runs each fuzz target on a few thousand inputs made of fragments of headers.

// The `fuzz` package includes the same module and calls its functions.
#[allow(unreachable_pub)]
mod targets;

use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestError, TestRunner},
};

/// Inputs per target. They take less than half a second in a debug build.
const CASES: u32 = 10_000;

/// Runs `target` on lines of `values`, or of `words`, numbers and stray bytes.
///
/// Fails unless at least one input in fifty is accepted and one in fifty is rejected: inputs that a
/// parser rejects early prove little.
fn check(
    target: fn(&[u8]) -> bool,
    values: &'static [&'static str],
    words: &'static [&'static str],
) {
    let bytes = |text: &'static str| text.as_bytes().to_vec();
    let value = select(values).prop_map(bytes);
    let word = select(words).prop_map(bytes);
    let fragment = prop_oneof![
        4 => value.clone(),
        16 => word.clone(),
        2 => any::<u16>().prop_map(|number| number.to_string().into_bytes()),
        2 => vec(any::<u8>(), 1..4),
        1 => (word, 1_usize..80).prop_map(|(word, times)| word.repeat(times)),
    ];
    let fragments = vec(fragment, 0..8).prop_map(|fragments| fragments.concat());
    let line = (any::<u8>(), prop_oneof![value, fragments]);
    let line = line.prop_map(|(name, value)| [vec![name], value].concat());
    let lines = prop_oneof![vec(line.clone(), 1), vec(line, 0..5)];
    let input = (any::<u8>(), lines);
    let input = input.prop_map(|(knob, lines)| [vec![knob], lines.join(&b'\n')].concat());

    let accepted = Cell::new(0);
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(CASES)
    });
    let run = runner.run(&input, |input| {
        accepted.set(accepted.get() + u32::from(target(&input)));
        Ok(())
    });
    match run {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{why}\ninput: b\"{}\"", input.escape_ascii()),
        Err(abort) => panic!("{abort}"),
    }
    let accepted = accepted.get();
    let both = CASES / 50..CASES - CASES / 50;
    assert!(
        both.contains(&accepted),
        "{accepted} of {CASES} inputs were accepted"
    );
}

/// More trusted proxies than are read.
const MANY_PROXIES: &str = "::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,\
                            ::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1";

/// One test per target: well-formed values, and words to build malformed ones.
macro_rules! targets {
    ($($target:ident: $values:expr, $words:expr;)*) => {$(
        #[test]
        fn $target() {
            check(targets::$target, &$values, &$words);
        }
    )*};
}

targets! {
    client_ip:
        [
            "203.0.113.7", "198.51.100.1, 10.0.0.1", "2001:db8::1", "[2001:db8::1]:443", "::ffff:192.0.2.1",
            "for=192.0.2.60;proto=http;by=203.0.113.43", "For=\"[2001:db8::2]:_p\"", "for=\"192\\.0.2.60\"", MANY_PROXIES,
        ],
        [
            "10.0.0.1", "10.0.0.1, ", "::1", ":80", ",", ", ", ";", "for=", "by=_x;", "\"", "\\", "\\\"", "[",
            "]", "unknown", " ",
        ];
    ip_range:
        ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::ffff:10.0.0.0/104", "0.0.0.0/0"],
        ["10.0.0.0", "::", "2001:db8::", "::ffff:10.0.0.0", "/", "/8", "/32", "/129", "/0", "+", " ", "[", "]"];
    secrets_and_tenants:
        ["Bearer abc.d-e_f~+/==", "bearer  a ", "Basic YTpi", "key"],
        ["Bearer ", "BEARER", "abc", "=", " ", "\t"];
    trace_id:
        [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ],
        [
            "00", "-", "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "ff", "cc-", " ", "F",
            "00000000000000000000000000000000",
        ];
    authority:
        ["a.example", "EXAMPLE.com:80", "http://b.example/", "https://user@A.example:8443/?q", "[::1]:443"],
        ["a", "http://", "@", ":", ":80", ":65536", "[", "]", "%2e", "/", "?", "_", " ", "192.0.2.1"];
    priority:
        ["CRITICAL_PLUS", "critical", "SHEDDABLE", "Sheddable_Plus", "0", "64", "127"],
        ["CRITICAL", "_PLUS", "SHEDDABLE", " ", "128", "00", "7", "+", "-"];
    deadline:
        ["1S", "250m", "99999999H", "0n", "5000", "0", "999999999999"],
        ["0", "1", "9", "99999999", "H", "M", "S", "m", "u", "n", "+", "-", " "];
    threshold:
        ["0", "51", "511", "007"],
        ["1", "512", "00", "+", "-", " "];
    refusal:
        [
            "application/grpc", "application/grpc-web+proto", "application/json", "*/*;q=0.1",
            "application/problem+json, */*;q=0", "text/html", "1S", "20m", "9S",
        ],
        [
            "application/grpc", "-web", "-text", "+proto", ";", "application/*", "*/*", ",", ", ", ";q=0",
            "; q=0.000", ";Q=0.5", " ", "99m", "5H",
        ];
    rate_limit_advice:
        [
            "\"a\";r=0;t=5", "\"b\";q=100;w=60", "\"b\";q=1;w=0", "\"c\\\"\";r=7, \"d\\\\\";r=1;pk=:YQ==:",
            "\"e\";q=1;qu=\"content-bytes\";r=999999999999999", "120", "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:38 GMT", "Sun Nov  6 08:49:39 1994", "0",
        ],
        [
            "\"a\"", ";r=", ";t=", ";q=", ";w=", ";qu=\"requests\"", "5", ", ", ",", "(", ")", "\\\"", "\"", "-1",
            "1.5", "?1",
        ];
    quota_fields:
        ["limit=100, remaining=5, reset=5", "7", "99999"],
        ["remaining=", ", ", ",", " ", "0", "+", "-"];
    grpc_status:
        ["0", "1", "8", "14", "16"],
        ["17", "00", " ", "+", "-"];
    content_length:
        ["0", "1", "15", "18446744073709551615"],
        ["5", "+", "-", " ", ","];
}
