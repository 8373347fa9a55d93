//! The handlers of the board.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{OriginalUri, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
    middleware::map_response,
    routing::get,
};
use bytes::Bytes;

use crate::{
    actions::{Command, Fault},
    assets::{Asset, FILES},
    scope::Scope,
    shared::Shared,
};

/// Everything that a browser may do with the page: run the embedded scripts and styles, and ask
/// this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
/// The longest command of a page, in bytes: an action, its gate, and a number or a choice. Names of
/// gates may be long.
const MAX_COMMAND: usize = 64 << 10;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    shared.ensure_started();
    let mut router = Router::new().route("/", get(root));
    for file in FILES {
        let asset = Asset::new(file);
        let serve = move |headers: HeaderMap| async move { asset.response(&headers) };
        router = router.route(file.0, get(serve));
    }
    router = scope(router, "", &shared.own);
    if let Some(fleet) = &shared.fleet {
        router = scope(router, "/fleet", fleet);
    }
    router = router.route("/peer.json", get(peer));
    if shared.actions.is_some() {
        router = router.route("/control", get(controls).post(command));
    }
    let starting = Arc::clone(&shared);
    let start = move |request: Request| {
        // A router that was made outside of a runtime starts its tasks with the first request.
        starting.ensure_started();
        std::future::ready(request)
    };
    router
        .layer(axum::middleware::map_request(start))
        .layer(map_response(secure))
        .with_state(shared)
}

/// The streams and documents of one board.
fn scope(router: Router<Arc<Shared>>, prefix: &str, scope: &Arc<Scope>) -> Router<Arc<Shared>> {
    let (live, snapshot) = (Arc::clone(scope), Arc::clone(scope));
    let mut router = router
        .route(
            &format!("{prefix}/updates"),
            get(move || async move { updates(&live) }),
        )
        .route(
            &format!("{prefix}/snapshot.json"),
            get(move || async move { json(snapshot.update().json) }),
        );
    for view in 0..3 {
        let scope = Arc::clone(scope);
        let history = move || async move { json(scope.history(view)) };
        router = router.route(&format!("{prefix}/history/{view}.json"), get(history));
    }
    router
}

/// The page. Its links are relative to the folder of the board.
async fn root(uri: OriginalUri, headers: HeaderMap) -> Response<Body> {
    Asset::page(uri.path()).response(&headers)
}

/// The stream of updates. It holds the latest update and no other, however slowly it is read.
fn updates(scope: &Scope) -> Response<Body> {
    let stream = scope.viewers.add(scope.update());
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would collect updates in its buffer.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

async fn peer(State(shared): State<Arc<Shared>>) -> Response<Body> {
    shared
        .reading_json()
        .map_or_else(|| empty(StatusCode::SERVICE_UNAVAILABLE), json)
}

/// The actions of the page, with a token. Without an authorization the list is empty.
async fn controls(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let Some(actions) = &shared.actions else {
        return empty(StatusCode::NOT_FOUND);
    };
    let (parts, _) = request.into_parts();
    let token = if actions.authorizes(&parts) {
        actions.guard.token(&parts.headers)
    } else {
        None
    };
    let (token, cookie) = token.map_or((None, None), |(token, cookie)| (Some(token), cookie));
    let listing = serde_json::to_vec(&actions.listing(token)).unwrap_or_default();
    let mut response = json(listing.into());
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Runs an action. 403 unless the request is authorized and comes from a page of this board.
async fn command(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let Some(actions) = &shared.actions else {
        return empty(StatusCode::NOT_FOUND);
    };
    let (parts, body) = request.into_parts();
    if !actions.guard.accepts(&parts) || !actions.authorizes(&parts) {
        return empty(StatusCode::FORBIDDEN);
    }
    let Ok(body) = to_bytes(body, MAX_COMMAND).await else {
        return empty(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let Ok(command) = serde_json::from_slice::<Command>(&body) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    match actions.run(&command, &shared.metrics) {
        Ok(()) => empty(StatusCode::NO_CONTENT),
        Err(Fault::Unknown) => empty(StatusCode::NOT_FOUND),
        Err(Fault::Input) => text(
            StatusCode::UNPROCESSABLE_ENTITY,
            "not a value of this control",
        ),
        Err(Fault::Failed(error)) => text(StatusCode::UNPROCESSABLE_ENTITY, error),
    }
}

fn json(body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Adds the headers that all responses of the board have.
async fn secure(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
