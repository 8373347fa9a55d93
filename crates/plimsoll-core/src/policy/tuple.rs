//! Tuples of up to eight policies, each the nested pair `Then(&a, Then(&b, &c))`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::Instant;

use super::{Then, ThenWait};
use crate::{Announcement, Outcome, Policy, Rejection, Verdict};

/// `nest!(@permit A B C)` = `(A::Permit, (B::Permit, C::Permit))`, and so on.
macro_rules! nest {
    (@permit $last:ident) => { $last::Permit };
    (@permit $first:ident $($rest:ident)+) => { ($first::Permit, nest!(@permit $($rest)+)) };
    (@wait $last:ident) => { $last::Wait };
    (@wait $first:ident $($rest:ident)+) => {
        ThenWait<$first::Permit, $first::Wait, nest!(@wait $($rest)+)>
    };
    (@refs $last:ident) => { $last };
    (@refs $first:ident $($rest:ident)+) => { Then($first, nest!(@refs $($rest)+)) };
}

macro_rules! tuple_policy {
    ($($name:ident)+) => {
        /// Asked from left to right; a refusal revokes what those before it gave.
        #[allow(non_snake_case)] // the fields are called after their type parameters
        impl<Req, $($name: Policy<Req>),+> Policy<Req> for ($($name,)+) {
            type Permit = nest!(@permit $($name)+);
            type Wait = nest!(@wait $($name)+);

            #[inline]
            fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
                let ($($name,)+) = self;
                nest!(@refs $($name)+).admit(req, now)
            }
            fn poll_wait(
                &self,
                wait: Pin<&mut Self::Wait>,
                req: &mut Req,
                now: Instant,
                cx: &mut Context<'_>,
            ) -> Poll<Result<Self::Permit, Rejection>> {
                let ($($name,)+) = self;
                nest!(@refs $($name)+).poll_wait(wait, req, now, cx)
            }
            fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
                let ($($name,)+) = self;
                Policy::<Req>::abandon(&nest!(@refs $($name)+), wait, now);
            }
            #[inline]
            fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
                let ($($name,)+) = self;
                Policy::<Req>::finish(&nest!(@refs $($name)+), permit, outcome);
            }
            #[inline]
            fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
                let ($($name,)+) = self;
                Policy::<Req>::revoke(&nest!(@refs $($name)+), permit, admitted, now);
            }
            #[inline]
            fn reads_latency(&self) -> bool {
                let ($($name,)+) = self;
                $(Policy::<Req>::reads_latency($name))||+
            }
            #[inline]
            fn announces(&self) -> bool {
                let ($($name,)+) = self;
                $(Policy::<Req>::announces($name))||+
            }
            #[inline]
            fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
                let ($($name,)+) = self;
                Policy::<Req>::announce(&nest!(@refs $($name)+), permit, admitted, out);
            }
        }
    };
}

tuple_policy!(A);
tuple_policy!(A B);
tuple_policy!(A B C);
tuple_policy!(A B C D);
tuple_policy!(A B C D E);
tuple_policy!(A B C D E F);
tuple_policy!(A B C D E F G);
tuple_policy!(A B C D E F G H);
