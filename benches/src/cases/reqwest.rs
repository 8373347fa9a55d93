//! Retries of `reqwest`: Plimsoll's, and `reqwest-retry`. No request is sent: the innermost layer answers.
//!
//! Each case makes a `reqwest::Request` and turns its answer into one of the `http` crate; the first
//! case does nothing else, and is to be subtracted from the others.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
};

use http::{Extensions, Method, Request, Response};
use plimsoll_client::RetryLayer;
use reqwest::{Body, Client, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tower::{Layer, Service, service_fn};

use super::{
    Case, Empty,
    bare::{HELLO, HTTP},
};

/// The cases.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("reqwest/without-retry@accept", HTTP, || {
            adapted(service_fn(answering))
        }),
        Case::new("plimsoll/retry-of-reqwest@accept", HTTP, || {
            adapted(RetryLayer::new().layer(service_fn(answering)))
        }),
        Case::new("reqwest-middleware/without-retry@accept", HTTP, || {
            adapted(ClientBuilder::new(Client::new()).with(answers).build())
        }),
        Case::new("reqwest-retry/retry@accept", HTTP, || {
            let policy = ExponentialBackoff::builder().build_with_max_retries(2);
            let client: ClientWithMiddleware = ClientBuilder::new(Client::new())
                .with(RetryTransientMiddleware::new_with_policy(policy))
                .with(answers)
                .build();
            adapted(client)
        }),
    ]
}

fn answer() -> reqwest::Response {
    Response::new(Body::from(HELLO)).into()
}

fn answering(_: reqwest::Request) -> Ready<Result<reqwest::Response, Infallible>> {
    ready(Ok(answer()))
}

/// The innermost middleware.
fn answers<'a>(
    _: reqwest::Request,
    _: &'a mut Extensions,
    _: Next<'a>,
) -> Pin<Box<dyn Future<Output = reqwest_middleware::Result<reqwest::Response>> + Send + 'a>> {
    Box::pin(ready(Ok(answer())))
}

fn adapted<S>(
    client: S,
) -> impl Service<Request<Empty>, Response = Response<Body>, Error = S::Error, Future: Send>
+ Clone
+ Send
+ 'static
where
    S: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Send,
{
    let url = Url::parse("http://ads.example/").expect("a valid URL");
    service_fn(move |_: Request<Empty>| {
        let request = reqwest::Request::new(Method::GET, url.clone());
        let answer = client.clone().call(request);
        async move { answer.await.map(Response::from) }
    })
}
