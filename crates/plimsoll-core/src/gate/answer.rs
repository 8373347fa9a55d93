//! Answers of a gate that do not come from the inner service.

use tower_service::Service;

use super::{Held, Shared};
use crate::{
    Policy, Protocol, Rejected, Rejection,
    protocol::{Answer, ResponseOf},
};

/// The answer of a protocol `T` behind a gate with policy `P`.
pub(super) type AnswerOf<S, P, T, Req> = Answer<
    Result<ResponseOf<S, P, T, Req>, <T as Protocol<Req, ResOf<S, Req>, ErrOf<S, Req>>>::Error>,
    <T as Protocol<Req, ResOf<S, Req>, ErrOf<S, Req>>>::Later<Held<P, T, Req>>,
>;
pub(super) type ResOf<S, Req> = <S as Service<Req>>::Response;
pub(super) type ErrOf<S, Req> = <S as Service<Req>>::Error;

#[cold]
pub(super) fn polled_again() -> ! {
    panic!("a response future was polled after it was ready")
}

impl<P, T> Shared<P, T> {
    /// Notifies the observers of the rejection, and answers the request through the protocol.
    pub(super) fn reject<S, Req>(&self, req: &Req, rejection: &Rejection) -> AnswerOf<S, P, T, Req>
    where
        S: Service<Req>,
        P: Policy<Req> + 'static,
        T: Protocol<Req, S::Response, S::Error>,
        Req: 'static,
    {
        self.observer.notify(|gate, observer| {
            let rejected = Rejected::new(rejection, self.protocol.head_of(req));
            observer.rejected(gate, &rejected);
        });
        let call = self.protocol.begin(req);
        self.protocol.reject(call, req, rejection)
    }
}
