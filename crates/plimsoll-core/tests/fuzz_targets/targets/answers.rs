//! What a callee's answer states: quotas, waits, statuses and lengths.

#[allow(clippy::disallowed_types)] // The type of HTTP dates; no clock is read here.
use std::time::SystemTime;
use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response,
    header::{AGE, CONTENT_LENGTH, DATE, RETRY_AFTER},
};
use http_body::{Body, Frame};
use plimsoll_client::RateLimitAdvice;
use plimsoll_core::{
    Class, GateLayer, Instant, Outcome, Policy, RateLimitFields,
    policy::{Allowance, Verdict},
    protocol::{Classify, ClientClassifier, ServerClassifier},
};
use tower::{Layer as _, Service as _, service_fn};

use super::{Input, lines};

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The largest integer of a structured field (RFC 9651, section 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// Promises of `RateLimitAdvice`:
///
/// - A wait is at most the caller's limit.
/// - A list has no more members than its commas allow, with numbers in range.
/// - The members that were read, written plainly, are read again.
/// - The time of receipt matters only without a `Date`.
pub fn rate_limit_advice(data: &[u8]) -> bool {
    let names = [RATELIMIT, RATELIMIT_POLICY, RETRY_AFTER, DATE, AGE];
    let headers = Input::new(data).headers(&names);
    let advice = RateLimitAdvice::read(&headers);
    let longest = Duration::from_secs(60);
    assert!(advice.wait(longest).is_none_or(|wait| wait <= longest));
    #[allow(clippy::disallowed_types)] // As above.
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    let dated = RateLimitAdvice::read_at(&headers, received);
    assert!(
        dated.retry_after >= advice.retry_after,
        "{dated:?}, {advice:?}"
    );
    assert_eq!(
        (&dated.left, &dated.policies),
        (&advice.left, &advice.policies)
    );

    let most = |name| match lines(&headers, &name)[..] {
        [] => 0,
        ref lines => lines.join(&b","[..]).split(|byte| *byte == b',').count(),
    };
    assert!(advice.left.len() <= most(RATELIMIT));
    assert!(advice.policies.len() <= most(RATELIMIT_POLICY));

    let mut plain = HeaderMap::new();
    for quota in &advice.left {
        assert!(quota.remaining <= LARGEST);
        let t = quota.reset.map(|reset| format!(";t={}", reset.as_secs()));
        let line = format!(
            "{};r={}{}",
            string(&quota.name),
            quota.remaining,
            t.unwrap_or_default()
        );
        append(&mut plain, RATELIMIT, &line);
    }
    for policy in &advice.policies {
        assert!(policy.limit <= LARGEST && policy.window != Some(Duration::ZERO));
        let w = policy
            .window
            .map(|window| format!(";w={}", window.as_secs()));
        let line = format!(
            "{};q={}{}",
            string(&policy.name),
            policy.limit,
            w.unwrap_or_default()
        );
        append(&mut plain, RATELIMIT_POLICY, &line);
    }
    let again = RateLimitAdvice::read(&plain);
    let left = |advice: &RateLimitAdvice| -> Vec<_> {
        let left = advice.left.iter();
        left.map(|quota| (quota.name.clone(), quota.remaining, quota.reset))
            .collect()
    };
    assert_eq!(left(&again), left(&advice));
    let policies = |advice: &RateLimitAdvice| -> Vec<_> {
        let policies = advice.policies.iter();
        policies
            .map(|policy| (policy.name.clone(), policy.limit, policy.window))
            .collect()
    };
    assert_eq!(policies(&again), policies(&advice));
    !advice.left.is_empty() || !advice.policies.is_empty()
}

/// A String of a structured field.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn append(headers: &mut HeaderMap, name: HeaderName, line: &str) {
    let line = HeaderValue::from_str(line).expect("text from a header is a header value");
    headers.append(name, line);
}

/// Promises of `RateLimitFields`:
///
/// - Of a quota in the answer and the gate's own, the tighter one stays.
/// - Writing the gate's own twice changes nothing.
pub fn quota_fields(data: &[u8]) -> bool {
    let input = Input::new(data);
    let mut headers = input.headers(&[RATELIMIT, X_REMAINING]);
    let own = Allowance {
        name: "own",
        limit: 100,
        window_secs: 60,
        remaining: u64::from(input.knob),
        reset: Duration::from_secs(5),
    };
    let offered = own.remaining.min(own.limit);
    let least = |headers: &HeaderMap| {
        let legacy = lines(headers, &X_REMAINING).into_iter().filter_map(|line| {
            let text = std::str::from_utf8(line)
                .ok()
                .filter(|text| text.is_ascii())?;
            text.trim().parse::<u64>().ok()
        });
        legacy.min()
    };
    let stated = least(&headers);
    RateLimitFields::DRAFT_07
        .and_legacy()
        .write(&own, &mut headers);
    assert_eq!(
        least(&headers),
        Some(stated.map_or(offered, |stated| stated.min(offered)))
    );
    if stated.is_none_or(|stated| offered < stated) {
        assert_eq!(lines(&headers, &X_REMAINING).len(), 1, "{headers:?}");
    }
    let mut twice = headers.clone();
    RateLimitFields::DRAFT_07
        .and_legacy()
        .write(&own, &mut twice);
    let left = |headers: &HeaderMap| {
        headers
            .get_all(RATELIMIT)
            .iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(left(&twice), left(&headers));
    assert_eq!(least(&twice), least(&headers));
    stated.is_some()
}

/// Promises of the classifiers:
///
/// - Without a status the class is that of the head.
/// - Only `0` is a success.
/// - Only the 17 codes can be anything but a failure.
/// - The client's class is the server's, or an overload.
pub fn grpc_status(data: &[u8]) -> bool {
    let trailers = Input::new(data).headers(&[GRPC_STATUS]);
    let codes = lines(&trailers, &GRPC_STATUS);
    let mut known = false;
    for head in Class::ALL {
        let server = ServerClassifier.end(head, &trailers);
        let client = ClientClassifier.end(head, &trailers);
        let Some(code) = codes.first() else {
            assert_eq!((server, client), (head, head));
            continue;
        };
        known = (0..=16).any(|number: u8| number.to_string().as_bytes() == *code);
        for class in [server, client] {
            assert_eq!(class == Class::Success, *code == b"0", "{class:?}");
            assert!(known || class == Class::Failure, "{class:?}");
        }
        assert!(client == server || client == Class::Overloaded);
    }
    known
}

/// Promises of `content-length`:
///
/// - A body that is dropped after the stated number of bytes counts as whole, any other as dropped.
/// - The bytes are those of the service.
pub fn content_length(data: &[u8]) -> bool {
    let input = Input::new(data);
    let headers = input.headers(&[CONTENT_LENGTH]);
    let promised = headers
        .get(CONTENT_LENGTH)
        .and_then(|line| line.to_str().ok()?.parse().ok());
    let bytes = Bytes::from(vec![b'x'; usize::from(input.knob % 16)]);
    let ends = Ends::default();
    let service = service_fn(|_: Request<()>| {
        let mut response = Response::new(Unending(Some(bytes.clone())));
        response.headers_mut().clone_from(&headers);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut gate = GateLayer::new(ends.clone()).layer(service);
    let mut context = Context::from_waker(Waker::noop());
    assert!(gate.poll_ready(&mut context).is_ready());
    let answered = pin!(gate.call(Request::new(()))).poll(&mut context);
    let Poll::Ready(Ok(response)) = answered else {
        panic!("the service does not answer at once");
    };
    let mut body = Box::pin(response.into_body());
    let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut context) else {
        panic!("the first frame is not ready");
    };
    assert_eq!(frame.into_data().ok(), Some(bytes.clone()));
    drop(body);
    let is_whole = promised == Some(bytes.len() as u64);
    let dropped = ends
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert_eq!(dropped, [!is_whole]);
    promised.is_some()
}

/// One frame, and then pending without end.
struct Unending(Option<Bytes>);

impl Body for Unending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

/// For each call, whether its body was dropped before its end.
#[derive(Debug, Clone, Default)]
struct Ends(Arc<Mutex<Vec<bool>>>);

impl<Req> Policy<Req> for Ends {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Admit(())
    }

    fn finish(&self, (): (), outcome: &Outcome) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.push(outcome.body_dropped());
    }

    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}
