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
        file: "crates/plimsoll-core/src/key/label.rs",
        mutant: "replace > with >= in label_of",
        reason: "a label of the longest length is cut to the length that it has",
    },
    Survivor {
        file: "crates/plimsoll-core/src/live.rs",
        mutant: "replace - with / in Live<WORDS, SLOTS>::read",
        reason: "differs only when a writer is that many changes ahead: the loom model fails",
    },
    Survivor {
        file: "crates/plimsoll-core/src/live.rs",
        mutant: "replace - with + in Live<WORDS, SLOTS>::read",
        reason: "differs only when a writer is that many changes ahead: the loom model fails",
    },
    Survivor {
        file: "crates/plimsoll-core/src/live.rs",
        mutant: "replace < with <= in Live<WORDS, SLOTS>::read",
        reason: "differs only when a writer is that many changes ahead: the loom model fails",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::admitted with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::rejected with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::abandoned with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::finished with ()",
        reason: "the default does nothing",
    },
    Survivor {
        file: "crates/plimsoll-core/src/observe.rs",
        mutant: "replace Observe::missing_key with ()",
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
        file: "crates/plimsoll-core/src/key/trace_id.rs",
        mutant: "replace | with ^ in hex",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace - with / in Slot<P>::enter",
        reason: "differs only at 2^32 - 2 users of one cell",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace match guard self.hash.load(Relaxed) == hash with true in Slot<P>::enter",
        reason: "differs only when another thread gives the slot away between the two reads",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace Slot<P>::is_of -> bool with true",
        reason: "compiled for loom models only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace Slot<P>::is_of -> bool with false",
        reason: "compiled for loom models only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace || with && in Slot<P>::is_of",
        reason: "compiled for loom models only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/policy/keyed/slot.rs",
        mutant: "replace == with != in Slot<P>::is_of",
        reason: "compiled for loom models only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/priority.rs",
        mutant: "replace % with + in CohortHasher::cohort",
        reason: "equal: `in_cohort` takes the number modulo 128",
    },
    Survivor {
        file: "crates/plimsoll-core/src/rate_limit_fields/known.rs",
        mutant: "replace slot_of -> usize with 0",
        reason: "every slot is correct: the choice affects speed only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/rate_limit_fields/known.rs",
        mutant: "replace slot_of -> usize with 1",
        reason: "every slot is correct: the choice affects speed only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/rate_limit_fields/known.rs",
        mutant: "replace >> with << in slot_of",
        reason: "every slot is correct: the choice affects speed only",
    },
    Survivor {
        file: "crates/plimsoll-core/src/rate_limit_fields/known.rs",
        mutant: "replace Known::is_of -> bool with false",
        reason: "only slower: the fields are made again, with the same text",
    },
    Survivor {
        file: "crates/plimsoll-core/src/test_kit/audit.rs",
        mutant: "replace <impl Policy<Req> for RejectAll>::finish with ()",
        reason: "never called: no permit can be made",
    },
    Survivor {
        file: "crates/plimsoll-core/src/test_kit/audit.rs",
        mutant: "replace <impl Policy<Req> for RejectAll>::revoke with ()",
        reason: "never called: no permit can be made",
    },
    Survivor {
        file: "crates/plimsoll-core/src/test_kit/contract.rs",
        mutant: "replace + with * in Contract<P>::law_04_nothing_is_reserved_in_poll_ready",
        reason: "more handles are parked, and none of them may hold anything",
    },
    Survivor {
        file: "crates/plimsoll-core/src/protocol/refusal/details.rs",
        mutant: "replace | with ^ in Backwards::message",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/sliding_log/mod.rs",
        mutant: "replace && with || in <impl Policy<Req> for SlidingLog<C>>::interests",
        reason: "equal: a caller reads only what it asked for",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/cell/refund.rs",
        mutant: "replace | with ^ in Cell<'_, N>::count_refunded",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/cell/refund.rs",
        mutant: "replace > with >= in Cell<'_, N>::count_moved",
        reason: "adding nothing changes nothing",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/keyed/hashed.rs",
        mutant: "replace | with ^ in Mark::on_probation",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/leaky_bucket/policy.rs",
        mutant: "replace match guard timer.deadline() != until_instant with true in <impl Policy<Req> for LeakyBucket<C, D>>::poll_wait",
        reason: "only slower: the timer is reset to the same deadline",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/leaky_bucket/state/queue.rs",
        mutant: "delete ! in State::join",
        reason: "a request that is due joins the queue and is granted at its first poll",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/leaky_bucket/word.rs",
        mutant: "replace | with ^ in Word::marked",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/leases.rs",
        mutant: "replace match guard self .shards .iter() .any(|lease| lease.return_rest(bucket, now)) with true in Leases::take_slow",
        reason: "only slower: leases without a rest are asked once more",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/quota.rs",
        mutant: "replace match guard Allowance::is_name(name) with false in Quota::with_name",
        reason: "differs only when 4,096 names are kept: that fails all other tests of the process",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/quota/text.rs",
        mutant: "replace < with <= in <impl fmt::Display for Quota>::fmt",
        reason: "equal: an offset of 0 is not printed",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/settings.rs",
        mutant: "replace && with || in Settings<N>::set_anchor",
        reason: "only slower: the words of a quota that did not change are set again",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/sliding_log/log.rs",
        mutant: "replace | with ^ in Log::publish",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/sliding_log/ring.rs",
        mutant: "replace -= with += in Ring::newer_than",
        reason: "equal: the search takes more steps",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/sliding_log/ring.rs",
        mutant: "replace -= with /= in Ring::newer_than",
        reason: "equal: the search takes more steps",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/sliding_log/ring.rs",
        mutant: "replace + with * in Ring::newer_than",
        reason: "equal: the search takes more steps",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/terms.rs",
        mutant: "replace | with ^ in Terms::to_words",
        reason: "the bits do not overlap",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/terms.rs",
        mutant: "replace match guard share != Share::FULL with true in Terms::cold",
        reason: "a shortcut: a full share holds the whole burst",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/warm_up.rs",
        mutant: "replace || with && in Ramp::until",
        reason: "a shortcut: the search finds the same, to a nanosecond",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/warm_up.rs",
        mutant: "replace Warming::is_over -> bool with true",
        reason: "only slower: the ramp in use is written again",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/window.rs",
        mutant: "replace match guard taken.before == 0 with false in Window::fits",
        reason: "a shortcut: nothing before leaves all the room",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/window.rs",
        mutant: "replace > with >= in Window::view",
        reason: "equal: at age 0 the window is never ahead",
    },
    Survivor {
        file: "crates/plimsoll-rate-limit/src/window.rs",
        mutant: "replace | with ^ in Window::pack",
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
        file: "crates/plimsoll-circuit-breaker/src/shared/end.rs",
        mutant: "replace Shared::learn_usual with ()",
        reason: "a shortcut: the slow path records the same success",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/shared/end.rs",
        mutant: "replace || with && in Shared::learn_usual",
        reason: "differs only when two threads end calls at once: the loom models fail",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/shared/end.rs",
        mutant: "replace != with == in Shared::learn_usual",
        reason: "a shortcut: the slow path records the same success",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/window/count.rs",
        mutant: "replace Count::is_healthy -> bool with false",
        reason: "a shortcut: writing a success over a success changes nothing",
    },
    Survivor {
        file: "crates/plimsoll-circuit-breaker/src/window/count.rs",
        mutant: "replace & with | in Ring::turn",
        reason: "differs only when two threads clear one bit at once: the loom models fail",
    },
    Survivor {
        file: "crates/plimsoll-client/src/throttle/policy.rs",
        mutant: "replace match guard !permit.waits with false in <impl Policy<Req> for AdaptiveThrottle<R>>::finish",
        reason: "equal while the window keeps its length: calls of a tick whose head has come do not wait",
    },
];
