//! Tower's own layers, outside and inside of a gate with `Plain`: any request, any response, and
//! rejections as errors.
//!
//! The rejection stays in the chain of sources of the outer layers' errors.

#![allow(
    clippy::needless_question_mark,
    reason = "with a gate behind the layer, the operator converts its error"
)]

use std::{future::ready, time::Duration};

use plimsoll::PlainError;
use stacks::{Shout, plain_gate};
use tower::{
    BoxError, Layer as _, Service, ServiceBuilder, ServiceExt as _,
    buffer::BufferLayer,
    filter::{AsyncFilterLayer, FilterLayer},
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
    load_shed::LoadShedLayer,
    retry::RetryLayer,
    timeout::TimeoutLayer,
    util::{
        AndThenLayer, BoxCloneServiceLayer, BoxCloneSyncServiceLayer, BoxLayer, MapErrLayer,
        MapFutureLayer, MapRequestLayer, MapResponseLayer, MapResultLayer, ThenLayer, option_layer,
    },
};

const MINUTE: Duration = Duration::from_mins(1);

/// The first request is answered and the second rejected.
async fn check<S>(mut stack: S)
where
    S: Service<&'static str, Response = String, Error: Into<BoxError>>,
{
    let mut send = async |text| match stack.ready().await {
        Ok(ready) => ready.call(text).await.map_err(Into::into),
        Err(error) => Err(error.into()),
    };
    assert_eq!(send("hello").await.unwrap(), "HELLO");
    let error: BoxError = send("hello").await.unwrap_err();
    let rejection =
        PlainError::rejection_in(&*error).expect("the chain of sources has a rejection");
    assert_eq!(rejection.policy(), "rate-limit");
}

/// Builds two stacks with the layer.
macro_rules! stacks {
    ($($name:ident: $layer:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test(start_paused = true)]
            async fn outside_of_a_gate() {
                check(ServiceBuilder::new().layer($layer).layer(plain_gate()).service(Shout)).await;
            }

            #[tokio::test(start_paused = true)]
            async fn inside_of_a_gate() {
                check(ServiceBuilder::new().layer(plain_gate()).layer($layer).service(Shout)).await;
            }
        }
    )*};
}

fn boxed<E: Into<BoxError>>(error: E) -> BoxError {
    error.into()
}

/// A boxed layer, as chosen by a configuration.
#[tokio::test(start_paused = true)]
async fn boxed_layers() {
    check(BoxLayer::new(plain_gate()).layer(Shout)).await;
    check(BoxCloneServiceLayer::new(plain_gate()).layer(Shout)).await;
    check(BoxCloneSyncServiceLayer::new(plain_gate()).layer(Shout)).await;
}

/// Retries nothing.
#[derive(Debug, Clone)]
struct Never;

impl<Req: Clone, Res, E> tower::retry::Policy<Req, Res, E> for Never {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut Req, _: &mut Result<Res, E>) -> Option<Self::Future> {
        None
    }
    fn clone_request(&mut self, req: &Req) -> Option<Req> {
        Some(req.clone())
    }
}

stacks! {
    and_then: AndThenLayer::new(|text: String| ready(Ok::<_, BoxError>(text)));
    async_filter: AsyncFilterLayer::new(|text: &'static str| ready(Ok::<_, BoxError>(text)));
    buffer: BufferLayer::new(8);
    concurrency_limit: ConcurrencyLimitLayer::new(8);
    filter: FilterLayer::new(|text: &'static str| Ok::<_, BoxError>(text));
    global_concurrency_limit: GlobalConcurrencyLimitLayer::new(8);
    load_shed: LoadShedLayer::new();
    map_error: MapErrLayer::new(boxed);
    map_future: MapFutureLayer::new(|future| async { Result::<String, BoxError>::Ok(future.await?) });
    map_request: MapRequestLayer::new(|text: &'static str| text);
    map_response: MapResponseLayer::new(|text: String| text);
    map_result: MapResultLayer::new(|result: Result<String, _>| result);
    // Both sides of an option must have the same error type.
    option_some: (option_layer(Some(TimeoutLayer::new(MINUTE))), MapErrLayer::new(boxed));
    option_none: (option_layer(None::<TimeoutLayer>), MapErrLayer::new(boxed));
    retry: RetryLayer::new(Never);
    then: ThenLayer::new(|result: Result<String, _>| ready(result));
    timeout: TimeoutLayer::new(MINUTE);
}
