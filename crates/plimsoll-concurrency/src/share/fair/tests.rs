use std::time::Duration;

use plimsoll_core::{
    Class, Outcome, Policy,
    policy::{Verdict, WaitsOn},
};

use super::*;
use crate::ConcurrencyLimit;

/// With 9 of 10 requests the limit is nearly full but not full, so the fair shares have to reclaim
/// the slots of unread responses.
#[test]
fn unread_responses_are_reclaimed_from_key_criticality_and_limit() {
    for requests in [9, 10] {
        let limit = ConcurrencyLimit::new(10).unwrap();
        let share = FairShare::new(limit.handle());
        let (handle, of) = (limit.handle(), Priority::default().criticality());
        let in_band = || share.shared.band(of).inside.load(Relaxed);
        let stack = (share.cell(), limit);
        let now = Instant::now();
        let mut permits = Vec::new();
        for _ in 0..requests {
            let Verdict::Admit(mut permit) = stack.admit(&mut (), now) else {
                panic!("ten are below the limit");
            };
            Policy::<()>::body_waits(&stack, &mut permit, WaitsOn::Caller);
            permits.push(permit);
        }
        assert_eq!(in_band(), requests - 9, "counted while it was nearly full");
        // The tenth request, if any, arrived after a first look.
        let closed = now + Duration::from_secs(3);
        stack.0.reclaim(of, closed);
        assert_eq!(stack.0.in_flight(), requests as usize);
        stack.0.reclaim(of, closed + Duration::from_secs(10));
        let counts = || (in_band(), stack.0.in_flight(), handle.in_flight());
        assert_eq!(counts(), (0, 0, 0));
        for permit in permits {
            let outcome = Outcome::new(Class::Success, Duration::ZERO, now);
            Policy::<()>::finish(&stack, permit, &outcome);
        }
        assert_eq!(counts(), (0, 0, 0));
    }
}
