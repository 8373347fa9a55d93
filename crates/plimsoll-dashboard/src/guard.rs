//! Protects the actions from requests that another site makes a browser send.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};

/// The cookie of a session. Its path is the folder of the board, its only reader this server.
const COOKIE: &str = "plimsoll_board";
/// The header in which a page sends its token: a form of another site cannot set it.
const TOKEN: HeaderName = HeaderName::from_static("x-plimsoll-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Bytes of a session and of a token: twice the strength that a guess could reach.
const LENGTH: usize = 32;
/// Sessions that are kept: one for each browser of an operator. The page of an evicted one asks for
/// a new token. `the_oldest_session_is_evicted` fails when there is no bound.
const MAX_SESSIONS: usize = 64;

type Secret = [u8; LENGTH];

/// Makes and checks tokens: one for each session, which is a cookie.
#[derive(Default)]
pub(crate) struct Guard(Mutex<VecDeque<(Secret, Secret)>>);

impl Guard {
    /// `None` when the operating system has no random bytes.
    pub(crate) fn new() -> Option<Self> {
        random()?;
        Some(Self::default())
    }

    /// The token of the session of this request. A request without a session gets one: then the
    /// second value is its cookie.
    pub(crate) fn token(&self, headers: &HeaderMap) -> Option<(String, Option<HeaderValue>)> {
        let mut sessions = self.sessions();
        if let Some(token) = session(headers).and_then(|session| find(&sessions, &session)) {
            return Some((hex(&token), None));
        }
        let (session, token) = (random()?, random()?);
        let cookie = format!("{COOKIE}={}; SameSite=Strict; HttpOnly", hex(&session));
        let cookie = HeaderValue::from_str(&cookie).ok()?;
        if sessions.len() == MAX_SESSIONS {
            sessions.pop_front();
        }
        sessions.push_back((session, token));
        Some((hex(&token), Some(cookie)))
    }

    /// Whether the request comes from a page of this board: same origin, with the token that
    /// belongs to its cookie.
    pub(crate) fn accepts(&self, parts: &Parts) -> bool {
        let given = parts.headers.get(&TOKEN).map(HeaderValue::as_bytes);
        let session = session(&parts.headers);
        let token = session.and_then(|session| find(&self.sessions(), &session));
        match (token, given) {
            (Some(token), Some(given)) => {
                same_origin(parts) && equal(hex(&token).as_bytes(), given)
            }
            _ => false,
        }
    }

    fn sessions(&self) -> MutexGuard<'_, VecDeque<(Secret, Secret)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a session.
fn find(sessions: &VecDeque<(Secret, Secret)>, session: &Secret) -> Option<Secret> {
    let mut found = None;
    for (of, token) in sessions {
        if equal(of, session) {
            found = Some(*token);
        }
    }
    found
}

/// Browsers state the site of the page in `sec-fetch-site`, or at least its origin. Neither header
/// is in requests of other programs, which have the token or do not.
fn same_origin(parts: &Parts) -> bool {
    if let Some(site) = parts.headers.get(&SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = parts.headers.get(header::ORIGIN) else {
        return true;
    };
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let host = host.or_else(|| parts.uri.authority().map(|of| of.as_str().as_bytes()));
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    authority.is_some_and(|(_, authority)| Some(authority.as_bytes()) == host)
}

/// The session of the cookie, if there is one cookie of this name and it is one.
fn session(headers: &HeaderMap) -> Option<Secret> {
    let cookies = headers.get_all(header::COOKIE).into_iter();
    let cookies = cookies
        .filter_map(|of| of.to_str().ok())
        .flat_map(|of| of.split(';'));
    let mut sessions = cookies.filter_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    });
    let session = sessions.next()?;
    if sessions.next().is_some() || session.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(session.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

/// Compares without a branch on the content, so that its time states nothing about it.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differ) == 0
}

fn random() -> Option<Secret> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/control");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn session_of(guard: &Guard) -> (String, String) {
        let (token, cookie) = guard.token(&HeaderMap::new()).unwrap();
        let cookie = cookie.unwrap().to_str().unwrap().to_owned();
        assert!(cookie.contains("SameSite=Strict; HttpOnly"));
        (token, cookie.split(';').next().unwrap().to_owned())
    }

    #[test]
    fn a_token_is_accepted_with_its_own_cookie_alone() {
        let guard = Guard::new().unwrap();
        let ((token, cookie), (other, _)) = (session_of(&guard), session_of(&guard));
        let accepts = |headers: &[(&str, &str)]| guard.accepts(&parts(headers));
        assert!(accepts(&[
            ("cookie", &cookie),
            ("x-plimsoll-token", &token)
        ]));
        assert!(!accepts(&[
            ("cookie", &cookie),
            ("x-plimsoll-token", &other)
        ]));
        assert!(!accepts(&[
            ("cookie", &cookie),
            ("x-plimsoll-token", &token[1..])
        ]));
        assert!(!accepts(&[("cookie", &cookie)]));
        assert!(!accepts(&[("x-plimsoll-token", &token)]));
        assert!(!accepts(&[
            ("cookie", "plimsoll_board=zz"),
            ("x-plimsoll-token", &token)
        ]));
        assert!(
            !Guard::new()
                .unwrap()
                .accepts(&parts(&[("cookie", &cookie), ("x-plimsoll-token", &token)]))
        );
    }

    #[test]
    fn the_oldest_session_is_evicted() {
        let guard = Guard::new().unwrap();
        let (token, cookie) = session_of(&guard);
        let first = parts(&[("cookie", &cookie), ("x-plimsoll-token", &token)]);
        (1..MAX_SESSIONS).for_each(|_| _ = session_of(&guard));
        assert!(guard.accepts(&first));
        // A request with a session gets no second one.
        let (same, cookie) = guard.token(&first.headers).unwrap();
        assert_eq!((same, cookie), (token, None));
        session_of(&guard);
        assert!(!guard.accepts(&first));
    }

    #[test]
    fn a_request_of_another_site_is_rejected() {
        let guard = Guard::new().unwrap();
        let (token, cookie) = session_of(&guard);
        let accepts = |more: &[(&str, &str)]| {
            let mut headers = vec![("cookie", &*cookie), ("x-plimsoll-token", &*token)];
            headers.extend(more);
            guard.accepts(&parts(&headers))
        };
        assert!(accepts(&[
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://elsewhere")
        ]));
        assert!(!accepts(&[("sec-fetch-site", "cross-site")]));
        assert!(!accepts(&[("sec-fetch-site", "same-site")]));
        assert!(accepts(&[
            ("host", "ops:3000"),
            ("origin", "http://ops:3000")
        ]));
        assert!(!accepts(&[
            ("host", "ops:3000"),
            ("origin", "http://evil:3000")
        ]));
        assert!(!accepts(&[("host", "ops:3000"), ("origin", "null")]));
    }
}
