/// Mutants that no test can or should kill, by cargo-mutants' name without line and column.
const SURVIVORS: &[Survivor] = &[
    Survivor {
        file: "crates/plimsoll-core/src/announcement.rs",
        mutant: "replace < with <= in Announcement<'a>::threshold",
        reason: "writes the value that is already there",
    },
    Survivor {
        file: "crates/plimsoll-core/src/count.rs",
        mutant: "replace % with / in Counter::add",
        reason: "every part is correct: the choice affects speed only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/count.rs",
        mutant: "replace % with / in Counter::add_in_parts",
        reason: "every part is correct: the choice affects speed only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/decimal.rs",
        mutant: "delete match arm Ok(one @0..10) in decimal",
        reason: "a shortcut: the general case writes the same digits",
    },
    Survivor {
        file: "crates/plimsoll-core/src/decimal.rs",
        mutant: "delete match arm Ok(two @10..100) in decimal",
        reason: "a shortcut: the general case writes the same digits",
    },
    Survivor {
        file: "crates/plimsoll-core/src/epoch.rs",
        mutant: "delete match arm Some(Start{reading:Some(first), ..}) in Epoch::nanos",
        reason: "a shortcut: without it instants are subtracted",
    },
    Survivor {
        file: "crates/plimsoll-core/src/gate/mod.rs",
        mutant: "replace Observer::is_some -> bool with true",
        reason: "only slower: without an observer no event is sent",
    },
    Survivor {
        file: "crates/plimsoll-core/src/gate/held.rs",
        mutant: "replace Hold::body_waits with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/live.rs",
        mutant: "replace - with / in Live<WORDS, SLOTS>::read",
        reason: "differs only when a writer is that many changes ahead: the loom model fails",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::admitted with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/mod.rs",
        mutant: "replace Policy::body_waits with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/mod.rs",
        mutant: "replace Policy::announce with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/protocol/http/call.rs",
        mutant: "replace HttpCall::is_rare -> bool with true",
        reason: "a shortcut: for other responses the slow path changes nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/protocol/mod.rs",
        mutant: "replace Protocol::received with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/protocol/mod.rs",
        mutant: "replace Protocol::head_of -> Option<RequestHead<'a>> with None",
        reason: "equal to the default",
    },
    Survivor {
        file: "crates/plimsoll-core/src/key/client_ip.rs",
        mutant: "replace > with >= in ClientIp::v6_prefix",
        reason: "equal for 128",
    },
    Survivor {
        file: "crates/plimsoll-core/src/key/trace_id.rs",
        mutant: "replace | with ^ in hex",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-core/src/protocol/refusal/details.rs",
        mutant: "replace | with ^ in Backwards::message",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/common.rs",
        mutant: "replace Common::is_current -> bool with false",
        reason: "a shortcut: without it each rejection takes the lock, with the same decision",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/common.rs",
        mutant: "replace Common::may_trip -> bool with true",
        reason: "a shortcut: `trips` checks the same bound exactly",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/shared.rs",
        mutant: "replace Shared::is_healthy -> bool with false",
        reason: "a shortcut: the slow path records the same success",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/window.rs",
        mutant: "replace Window::is_healthy -> bool with false",
        reason: "a shortcut: writing a success over a success changes nothing",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/window.rs",
        mutant: "replace & with | in Window::turn",
        reason: "differs only when two threads clear one bit at once: the loom models fail",
    },
];
