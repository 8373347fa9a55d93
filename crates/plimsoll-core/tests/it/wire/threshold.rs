//! The announced threshold, in the head and in the trailers.

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{GateLayer, Http, Kind, Rejection};
use tower::{Layer as _, ServiceExt as _};

use super::{Announces, QUOTA, answer, grpc_request, text};

/// Announces a threshold in the head and in the trailers.
struct Threshold(u16);

impl<Req> plimsoll_core::Policy<Req> for Threshold {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn announce(
        &self,
        (): &(),
        _: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        // Another threshold in the trailers.
        out.threshold(self.0 + u16::from(out.in_trailers()));
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn a_threshold_is_written_in_the_head_and_again_in_the_trailers() {
    let inner = tower::service_fn(|_: Request<()>| async {
        let trailers = async { Some(Ok(HeaderMap::from_iter([status_ok()]))) };
        let body = Full::new(bytes::Bytes::from_static(b"hello")).with_trailers(trailers);
        Ok::<_, std::convert::Infallible>(Response::new(body))
    });
    // The quota is only in the head. The higher of two thresholds is written.
    let layer = GateLayer::new((Threshold(300), Announces([QUOTA]), Threshold(90)));
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert_eq!(text(response.headers(), "plimsoll-threshold"), Some("300"));
    assert!(response.headers().contains_key("ratelimit"));
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(text(trailers, "plimsoll-threshold"), Some("301"));
    assert_eq!(text(trailers, "grpc-status"), Some("0"));
    assert_eq!(trailers.len(), 2);
}

fn status_ok() -> (http::HeaderName, http::HeaderValue) {
    (
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )
}

#[tokio::test]
async fn a_rejection_has_its_threshold_in_both_protocols() {
    let rejection = Rejection::new("load-shed", Kind::Full).with_threshold(384);
    for req in [Request::new(()), grpc_request()] {
        let (head, _) = answer(Http::new(), rejection, req).await;
        assert_eq!(text(head.headers(), "plimsoll-threshold"), Some("384"));
    }
    let silent = Rejection::new("load-shed", Kind::Full);
    let (head, _) = answer(Http::new(), silent, Request::new(())).await;
    assert!(!head.headers().contains_key("plimsoll-threshold"));
}

/// Implements an announcement, but does not ask to announce.
struct Silent(Threshold);

impl<Req> plimsoll_core::Policy<Req> for Silent {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn interests(&self, _: plimsoll_core::policy::Interests) -> plimsoll_core::policy::Interests {
        plimsoll_core::policy::Interests::ALL.with_announce(false)
    }
    fn announce(
        &self,
        (): &(),
        now: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        plimsoll_core::Policy::<Req>::announce(&self.0, &(), now, out);
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

#[tokio::test]
async fn a_stack_announces_if_one_of_its_policies_does() {
    async fn announced<P: plimsoll_core::Policy<Request<()>> + 'static>(policy: P) -> bool {
        let inner = tower::service_fn(|_: Request<()>| async {
            let body = Full::new(bytes::Bytes::from_static(b"hello"));
            Ok::<_, std::convert::Infallible>(Response::new(body))
        });
        let layer = GateLayer::new(policy);
        let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
        response.headers().contains_key("plimsoll-threshold")
    }
    let silent = || Silent(Threshold(300));
    assert!(!announced(silent()).await);
    assert!(!announced((silent(), (), silent())).await);
    assert!(announced(((), Threshold(300))).await);
    assert!(announced((Threshold(300), (), ())).await);
    assert!(
        announced(plimsoll_core::When::new(
            |_: &Request<()>| true,
            Threshold(300)
        ))
        .await
    );
}

#[test]
fn an_announcement_keeps_the_higher_threshold_and_gives_access_to_the_headers() {
    let mut headers = HeaderMap::new();
    let mut out = plimsoll_core::policy::Announcement::to(&mut headers);
    for level in [200, 300, 100] {
        out.threshold(level);
    }
    out.headers().insert("x-own", "1".parse().unwrap());
    assert_eq!(text(&headers, "plimsoll-threshold"), Some("300"));
    assert_eq!(text(&headers, "x-own"), Some("1"));
}
