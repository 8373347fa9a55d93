//! Bodies that are sent again.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Full};
use plimsoll_client::{HttpReplay, Replay as _, ReplayBody, ReplayRequest as _};
use proptest::prelude::*;

/// A body without `Clone`, in frames, with trailers.
struct Chunks {
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.chunks.pop_front().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }
}

fn request(chunks: &[&'static str]) -> Request<Chunks> {
    let trailers = HeaderMap::from_iter([(http::header::ETAG, "1".parse().unwrap())]);
    Request::new(Chunks {
        chunks: chunks
            .iter()
            .map(|chunk| Bytes::from_static(chunk.as_bytes()))
            .collect(),
        trailers: Some(trailers),
    })
}

/// The first attempt, and what is kept.
fn record<B>(req: Request<B>, limit: usize) -> (Request<ReplayBody<B>>, HttpReplay<B>)
where
    B: Body<Error: Into<plimsoll_core::protocol::BoxError>> + Unpin,
{
    let mut kept = req.keep();
    let first = req.first(limit, Some(&mut kept));
    (first, kept)
}

#[tokio::test]
async fn a_body_is_sent_again_with_its_trailers() {
    let (first, mut replay) = record(request(&["ab", "cd", "ef"]), 6);
    let all = first.into_body().collect().await.unwrap();
    assert_eq!(all.trailers().unwrap()["etag"], "1");
    assert_eq!(all.to_bytes(), "abcdef");
    assert!(replay.is_complete());
    for _ in 0..2 {
        assert!(replay.stop());
        let again = replay
            .again(|_| {})
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap();
        assert_eq!(again.trailers().unwrap()["etag"], "1");
        assert_eq!(again.to_bytes(), "abcdef");
    }
}

#[tokio::test]
async fn a_body_that_was_sent_half_way_is_sent_from_its_start() {
    let (first, mut replay) = record(request(&["ab", "cd", "ef"]), 6);
    let mut first = first.into_body();
    assert_eq!(
        first.frame().await.unwrap().unwrap().into_data().unwrap(),
        "ab"
    );
    assert!(!replay.is_complete());
    let second = replay.again(|_| {}).unwrap().into_body();
    assert!(
        first.frame().await.unwrap().is_err(),
        "the first attempt ends"
    );
    assert!(first.frame().await.is_none());
    assert_eq!(second.collect().await.unwrap().to_bytes(), "abcdef");
}

#[tokio::test]
async fn a_body_above_the_limit_is_sent_once() {
    let (first, mut replay) = record(request(&["ab", "cd", "ef"]), 5);
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "abcdef"
    );
    assert!(!replay.is_complete() && !replay.stop());
    assert!(replay.again(|_| {}).is_none());

    // A size that is known is not recorded at all.
    let (first, mut replay) = record(Request::new(Full::<Bytes>::from("abcdef")), 5);
    assert_eq!(first.body().size_hint().exact(), Some(6));
    assert!(!replay.is_complete() && !replay.stop());
    assert!(replay.again(|_| {}).is_none());
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "abcdef"
    );
}

#[tokio::test]
async fn a_body_that_was_not_recorded_is_sent_once() {
    let request = request(&["ab"]);
    let mut kept = request.keep();
    let first = request.first(6, None);
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "ab");
    assert!(!kept.is_complete() && !kept.stop());
    assert!(kept.again(|_| {}).is_none());
}

#[tokio::test]
async fn a_request_without_a_body_is_complete_from_the_start() {
    let request = Request::new(Full::<Bytes>::default());
    let mut kept = request.keep();
    assert!(!request.has_body() && kept.is_complete() && kept.stop());
    let first = request.first(0, None);
    assert!(first.body().is_end_stream());
    let again = kept.again(|_| {}).unwrap();
    assert!(
        again
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
}

#[tokio::test]
async fn the_head_is_sent_again_with_changed_headers() {
    let request = Request::put("http://callee/path")
        .header("x", "1")
        .body(Full::<Bytes>::default());
    let (_, mut replay) = record(request.unwrap(), 0);
    let edit = |headers: &mut HeaderMap| _ = headers.insert("x", "2".parse().unwrap());
    let again = replay.again(edit).unwrap();
    assert_eq!(
        (again.method().as_str(), again.uri().path()),
        ("PUT", "/path")
    );
    assert_eq!(again.headers()["x"], "2");
    assert!(again.body().is_end_stream());
    assert_eq!(again.body().size_hint().exact(), Some(0));
}

proptest! {
    #[test]
    fn whatever_was_sent_before_the_next_attempt_sends_all_or_nothing(
        chunks in proptest::collection::vec("[a-z]{0,5}", 0..8),
        reads in proptest::collection::vec(0..10_usize, 0..4),
        limit in 0..30_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = chunks.concat();
            let body = Chunks {
                chunks: chunks.iter().map(|chunk| Bytes::from(chunk.clone())).collect(),
                trailers: None,
            };
            let (first, mut replay) = record(Request::new(body), limit);
            let mut attempt = first.into_body();
            for frames in reads {
                let mut sent = String::new();
                for _ in 0..frames {
                    if let Some(Ok(frame)) = attempt.frame().await {
                        sent.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
                    }
                }
                assert!(whole.starts_with(&sent), "{whole} {sent}");
                let Some(next) = replay.again(|_| {}) else {
                    assert!(whole.len() > limit);
                    return;
                };
                attempt = next.into_body();
            }
            assert_eq!(attempt.collect().await.unwrap().to_bytes(), whole);
        });
    }
}
