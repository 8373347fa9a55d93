//! Tuples of up to eight policies, each the nested pair `Then(&a, Then(&b, &c))`.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::Instant;

use super::{Then, ThenWait};
use crate::{Announcement, Interests, Outcome, Policy, Rejection, Verdict, WaitsOn};

/// `nest!(@policy A B C)` is `Then(A, Then(B, C))`, and so on.
macro_rules! nest {
    (@policy $last:ident) => { $last };
    (@policy $first:ident $($rest:ident)+) => { Then($first, nest!(@policy $($rest)+)) };
    (@pair $last:ident) => { $last };
    (@pair $first:ident $($rest:ident)+) => { ($first, nest!(@pair $($rest)+)) };
    (@wait $last:ident) => { $last::Wait };
    (@wait $first:ident $($rest:ident)+) => {
        ThenWait<$first::Permit, $first::Wait, nest!(@wait $($rest)+)>
    };
}

macro_rules! tuple_policy {
    ($($name:ident $permit:ident),+) => {
        /// Asks the policies from left to right. A rejection revokes the permits of those before
        /// it.
        #[allow(non_snake_case)] // Fields are named after their type parameters.
        impl<Req, $($name: Policy<Req>),+> Policy<Req> for ($($name,)+) {
            // Performance: flat, since each level of a nested pair is padded, and a larger permit
            // makes each move of the call more expensive (`instructions`, `fused-six@accept`).
            type Permit = ($($name::Permit,)+);
            type Wait = nest!(@wait $($name)+);

            #[inline]
            fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
                let ($($name,)+) = self;
                let verdict = nest!(@policy $($name)+).admit(req, now);
                verdict.map(|nest!(@pair $($permit)+)| ($($permit,)+))
            }
            fn poll_wait(
                &self,
                wait: Pin<&mut Self::Wait>,
                req: &mut Req,
                now: Instant,
                cx: &mut Context<'_>,
            ) -> Poll<Result<Self::Permit, Rejection>> {
                let ($($name,)+) = self;
                let polled = nest!(@policy $($name)+).poll_wait(wait, req, now, cx);
                polled.map_ok(|nest!(@pair $($permit)+)| ($($permit,)+))
            }
            fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
                let ($($name,)+) = self;
                Policy::<Req>::abandon(&nest!(@policy $($name)+), wait, now);
            }
            #[inline]
            fn finish(&self, ($($permit,)+): Self::Permit, outcome: &Outcome) {
                let ($($name,)+) = self;
                let permits = nest!(@pair $($permit)+);
                Policy::<Req>::finish(&nest!(@policy $($name)+), permits, outcome);
            }
            #[inline]
            fn revoke(&self, ($($permit,)+): Self::Permit, admitted: Instant, now: Instant) {
                let ($($name,)+) = self;
                let permits = nest!(@pair $($permit)+);
                Policy::<Req>::revoke(&nest!(@policy $($name)+), permits, admitted, now);
            }
            #[inline]
            fn interests(&self, asked: Interests) -> Interests {
                let ($($name,)+) = self;
                let mut needed = Interests::NONE;
                $(if !needed.contains(asked) {
                    needed = needed.union(Policy::<Req>::interests($name, asked));
                })+
                needed
            }
            #[inline]
            fn announce(
                &self,
                ($($permit,)+): &Self::Permit,
                admitted: Instant,
                out: &mut Announcement<'_>,
            ) {
                let ($($name,)+) = self;
                $(Policy::<Req>::announce($name, $permit, admitted, out);)+
            }
            #[inline]
            fn body_waits(&self, ($($permit,)+): &mut Self::Permit, on: WaitsOn) {
                let ($($name,)+) = self;
                $(Policy::<Req>::body_waits($name, $permit, on);)+
            }
            #[inline]
            fn answered(&self, ($($permit,)+): &mut Self::Permit) {
                let ($($name,)+) = self;
                $(Policy::<Req>::answered($name, $permit);)+
            }
            fn asked_to_wait(&self, ($($permit,)+): &Self::Permit, wait: Duration, now: Instant) {
                let ($($name,)+) = self;
                $(Policy::<Req>::asked_to_wait($name, $permit, wait, now);)+
            }
        }
    };
}

tuple_policy!(A a);
tuple_policy!(A a, B b);
tuple_policy!(A a, B b, C c);
tuple_policy!(A a, B b, C c, D d);
tuple_policy!(A a, B b, C c, D d, E e);
tuple_policy!(A a, B b, C c, D d, E e, F f);
tuple_policy!(A a, B b, C c, D d, E e, F f, G g);
tuple_policy!(A a, B b, C c, D d, E e, F f, G g, H h);
