//! Runs the program, and reads what it prints.

use std::{collections::HashMap, process::Command};

/// The numbers after these words of a line.
fn numbers<'a>(line: &'a str, words: &[&'a str]) -> HashMap<&'a str, u64> {
    let number = |word: &'a str| {
        let at = line
            .find(word)
            .unwrap_or_else(|| panic!("{word} in {line}"));
        let rest = &line[at + word.len()..];
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (
            word,
            digits
                .parse()
                .unwrap_or_else(|_| panic!("{word} in {line}")),
        )
    };
    words.iter().map(|word| number(word)).collect()
}

#[test]
fn a_slow_and_a_credit_client_do_not_move_a_fast_one_on_the_same_connection() {
    let output = Command::new(env!("CARGO_BIN_EXE_grpc-stream"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = |start: &str| {
        let found = printed.lines().rfind(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start} in {printed}"))
    };
    let seen = ["ticks ", "gaps ", "with ", "unexplained "];

    let server = numbers(
        line("server: HubCounters"),
        &["published: ", "missed: ", "disconnected: "],
    );
    let fast = numbers(line("fast: "), &seen);
    assert!(server["published: "] > 1_000, "{printed}");
    // It may have come after the first ticks.
    assert!(fast["ticks "] + 500 >= server["published: "], "{printed}");
    assert_eq!((fast["gaps "], fast["unexplained "]), (0, 0), "{printed}");
    // Also on a busy machine; the others are behind by seconds.
    assert!(
        numbers(line("fast: "), &["p99 "])["p99 "] < 500,
        "{printed}"
    );

    let slow = line("slow: ");
    assert!(
        slow.contains("ResourceExhausted, the client is too slow, plimsoll-lag "),
        "{slow}"
    );
    assert!(slow.contains("grpc-retry-pushback-ms "), "{slow}");
    assert_eq!(server["disconnected: "], 1);
    let again = numbers(line("slow, again: "), &seen);
    let credit = numbers(
        line("credit: "),
        &[seen.as_slice(), &["asked for "]].concat(),
    );
    for client in [&numbers(slow, &seen), &again, &credit] {
        assert_eq!(client["unexplained "], 0, "{printed}");
    }
    assert!(
        credit["ticks "] + credit["gaps "] <= credit["asked for "],
        "{printed}"
    );
    // The hub does not count the gap in front of an old cursor.
    assert!(
        again["with "] + credit["with "] >= server["missed: "],
        "{printed}"
    );
}
