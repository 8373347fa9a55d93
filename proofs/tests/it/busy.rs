//! A page whose script is busy, so that it handles no event.

use axum::{Router, response::Html, routing::get};
use proofs::face::PATIENCE;
use tokio::time::sleep;

/// The page of [`proofs::face::busy_page`], which follows what this script opens.
///
/// In its first message it waits for an answer, and so it takes no processor from other clients.
pub(crate) fn page<S: Clone + Send + Sync + 'static>(open: &str) -> Router<S> {
    let page = Html(format!(
        "<!doctype html><link rel=icon href='data:,'><script>
        const stream = {open};
        stream.onmessage = () => {{
            const request = new XMLHttpRequest();
            request.open('GET', '/hold', false);
            request.send();
        }};
        </script>"
    ));
    Router::new()
        .route("/page", get(async move || page.clone()))
        .route("/hold", get(async || sleep(PATIENCE).await))
}
