//! Two policies as one: all the logic of fusing. Tuples are nested pairs of it.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::{Announcement, Interests, Outcome, Policy, Rejection, Verdict, WaitsOn, panics};

/// Asks `A`, then `B`. When `B` rejects, the permit of `A` is revoked.
///
/// Usually written as a tuple, which nests pairs of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Then<A, B>(pub A, pub B);

pin_project! {
    /// The wait of one of two fused policies.
    #[derive(Debug)]
    pub struct ThenWait<PermitA, WaitA, WaitB> {
        #[pin]
        stage: Stage<PermitA, WaitA, WaitB>,
    }
}

pin_project! {
    #[project = StageProj]
    #[derive(Debug)]
    enum Stage<PermitA, WaitA, WaitB> {
        // In the queue of the first policy; the second has not been asked.
        First { #[pin] wait: WaitA, admitted: Instant },
        // In the queue of the second policy, with the permit of the first.
        Second { permit: Option<PermitA>, #[pin] wait: WaitB, admitted: Instant },
        // The wait has ended: nothing is left to abandon, even if a panic follows.
        Over,
    }
}

impl<PermitA, WaitA, WaitB> From<Stage<PermitA, WaitA, WaitB>> for ThenWait<PermitA, WaitA, WaitB> {
    #[inline]
    fn from(stage: Stage<PermitA, WaitA, WaitB>) -> Self {
        Self { stage }
    }
}

/// Holds the first permit while the second policy is asked. A panic there revokes it.
struct InHand<'a, Req, A: Policy<Req>> {
    policy: &'a A,
    permit: Option<A::Permit>,
    admitted: Instant,
    now: Instant,
}

impl<Req, A: Policy<Req>> Drop for InHand<'_, Req, A> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            revoke(self.policy, permit, self.admitted, self.now);
        }
    }
}

/// Performance: takes values, so that a guard need not be kept in memory (`instructions`,
/// `fused-six@accept`). So does `finish_unwinding`.
#[cold]
#[inline(never)]
fn revoke<Req, P: Policy<Req>>(policy: &P, permit: P::Permit, admitted: Instant, now: Instant) {
    panics::in_drop(|| policy.revoke(permit, admitted, now));
}

/// Holds the first permit while the second policy finishes. A panic there finishes it.
struct Finishing<'a, Req, A: Policy<Req>> {
    policy: &'a A,
    permit: Option<A::Permit>,
    outcome: &'a Outcome,
}

impl<Req, A: Policy<Req>> Drop for Finishing<'_, Req, A> {
    #[inline]
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            finish_unwinding(self.policy, permit, self.outcome);
        }
    }
}

#[cold]
#[inline(never)]
fn finish_unwinding<Req, P: Policy<Req>>(policy: &P, permit: P::Permit, outcome: &Outcome) {
    panics::in_drop(|| policy.finish(permit, outcome));
}

impl<A, B> Then<A, B> {
    /// The second half of `admit`. `first` is revoked unless the second policy admits or queues.
    #[inline]
    #[allow(clippy::type_complexity)] // The verdict of two policies contains the types of both.
    fn ask_second<Req>(
        &self,
        first: A::Permit,
        admitted: Instant,
        req: &mut Req,
        now: Instant,
    ) -> Verdict<(A::Permit, B::Permit), ThenWait<A::Permit, A::Wait, B::Wait>>
    where
        A: Policy<Req>,
        B: Policy<Req>,
    {
        let mut in_hand = InHand::<Req, A> {
            policy: &self.0,
            permit: Some(first),
            admitted,
            now,
        };
        match self.1.admit(req, now) {
            Verdict::Admit(second) => match in_hand.permit.take() {
                Some(first) => Verdict::Admit((first, second)),
                None => unreachable!("the first permit is taken only here"),
            },
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(
                Stage::Second {
                    permit: in_hand.permit.take(),
                    wait,
                    admitted,
                }
                .into(),
            ),
        }
    }
}

impl<Req, A: Policy<Req>, B: Policy<Req>> Policy<Req> for Then<A, B> {
    type Permit = (A::Permit, B::Permit);
    type Wait = ThenWait<A::Permit, A::Wait, B::Wait>;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Self::Wait> {
        match self.0.admit(req, now) {
            Verdict::Admit(first) => self.ask_second(first, now, req, now),
            Verdict::Reject(rejection) => Verdict::Reject(rejection),
            Verdict::Wait(wait) => Verdict::Wait(
                Stage::First {
                    wait,
                    admitted: now,
                }
                .into(),
            ),
        }
    }

    fn poll_wait(
        &self,
        mut wait: Pin<&mut Self::Wait>,
        req: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        loop {
            match wait.as_mut().project().stage.project() {
                StageProj::First {
                    wait: first,
                    admitted,
                } => {
                    let polled = ready!(self.0.poll_wait(first, req, now, cx));
                    let admitted = *admitted;
                    wait.set(Stage::Over.into());
                    let first = polled?;
                    match self.ask_second(first, admitted, req, now) {
                        Verdict::Admit(both) => return Poll::Ready(Ok(both)),
                        Verdict::Reject(rejection) => return Poll::Ready(Err(rejection)),
                        Verdict::Wait(second) => wait.set(second),
                    }
                }
                StageProj::Second {
                    permit,
                    wait: second,
                    admitted,
                } => {
                    let polled = ready!(self.1.poll_wait(second, req, now, cx));
                    let (first, admitted) = (permit.take(), *admitted);
                    wait.set(Stage::Over.into());
                    return Poll::Ready(match (first, polled) {
                        (Some(first), Ok(second)) => Ok((first, second)),
                        (Some(first), Err(rejection)) => {
                            self.0.revoke(first, admitted, now);
                            Err(rejection)
                        }
                        (None, _) => unreachable!("a wait is not polled after it ended"),
                    });
                }
                StageProj::Over => unreachable!("a wait is not polled after it ended"),
            }
        }
    }

    fn abandon(&self, wait: Pin<&mut Self::Wait>, now: Instant) {
        match wait.project().stage.project() {
            StageProj::First { wait, .. } => self.0.abandon(wait, now),
            StageProj::Second {
                permit,
                wait,
                admitted,
            } => {
                let _first = InHand::<Req, A> {
                    policy: &self.0,
                    permit: permit.take(),
                    admitted: *admitted,
                    now,
                };
                self.1.abandon(wait, now);
            }
            StageProj::Over => {}
        }
    }

    #[inline]
    fn finish(&self, (first, second): Self::Permit, outcome: &Outcome) {
        let mut finishing = Finishing::<Req, A> {
            policy: &self.0,
            permit: Some(first),
            outcome,
        };
        self.1.finish(second, outcome);
        if let Some(first) = finishing.permit.take() {
            self.0.finish(first, outcome);
        }
    }

    #[inline]
    fn revoke(&self, (first, second): Self::Permit, admitted: Instant, now: Instant) {
        let _first = InHand::<Req, A> {
            policy: &self.0,
            permit: Some(first),
            admitted,
            now,
        };
        self.1.revoke(second, admitted, now);
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        let first = self.0.interests(asked);
        if first.contains(asked) {
            return first;
        }
        first.union(self.1.interests(asked))
    }

    #[inline]
    fn announce(
        &self,
        (first, second): &Self::Permit,
        admitted: Instant,
        out: &mut Announcement<'_>,
    ) {
        self.0.announce(first, admitted, out);
        self.1.announce(second, admitted, out);
    }

    #[inline]
    fn body_waits(&self, (first, second): &mut Self::Permit, on: WaitsOn) {
        self.0.body_waits(first, on);
        self.1.body_waits(second, on);
    }

    #[inline]
    fn answered(&self, (first, second): &mut Self::Permit) {
        self.0.answered(first);
        self.1.answered(second);
    }

    fn asked_to_wait(&self, (first, second): &Self::Permit, wait: Duration, now: Instant) {
        self.0.asked_to_wait(first, wait, now);
        self.1.asked_to_wait(second, wait, now);
    }
}
