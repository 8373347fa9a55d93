//! User closures that panic: no count is lost.

use std::panic::{AssertUnwindSafe, catch_unwind};

use plimsoll_client::AdaptiveThrottle;
use plimsoll_core::{Criticality, Policy, Priority};
use tokio::time::Instant;

#[test]
fn law_02_a_request_whose_priority_panics_is_not_counted() {
    let throttle = AdaptiveThrottle::new().priorities(|(): &()| -> Priority { panic!("none") });
    let now = Instant::now();
    let admit = AssertUnwindSafe(|| _ = throttle.admit(&mut (), now));
    assert!(catch_unwind(admit).is_err());
    for criticality in Criticality::ALL {
        assert_eq!(throttle.handle().admitted(criticality), 0);
        assert_eq!(throttle.handle().requests(criticality, now), 0);
    }
}
