//! Reads the body of an answer up to its trailers, within a bound.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Extensions, HeaderMap, Response, StatusCode, response::Parts};
use http_body::Body;

use super::{
    body::{AnswerBody, Read},
    read::{PeekAnswer, ReadAnswer},
};

/// An HTTP answer whose body is read.
pub struct HttpPeek<B: Body> {
    head: Parts,
    frames: Read<B>,
    rest: Option<B>,
    trailers: Option<HeaderMap>,
    room: usize,
}

impl<B: Body> HttpPeek<B> {
    pub(super) fn new(answer: Response<B>, limit: usize) -> Self {
        let (head, body) = answer.into_parts();
        Self {
            head,
            frames: Read::<B>::new(),
            rest: Some(body),
            trailers: None,
            room: limit,
        }
    }
}

impl<B: Body + Unpin> ReadAnswer for Response<B> {
    type Output = Response<AnswerBody<B>>;
    type Peek = HttpPeek<B>;

    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    #[inline]
    fn into_output(self) -> Self::Output {
        self.map(AnswerBody::unread)
    }

    fn peek(self, limit: usize) -> HttpPeek<B> {
        HttpPeek::new(self, limit)
    }
}

// No field is pinned: see `AnswerBody`.
impl<B: Body + Unpin> Unpin for HttpPeek<B> {}

impl<B: Body + Unpin> PeekAnswer for HttpPeek<B> {
    type Output = Response<AnswerBody<B>>;

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(body) = &mut self.rest {
            let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else {
                self.rest = None;
                break;
            };
            let mut is_full = false;
            match &frame {
                Ok(frame) => {
                    let data = frame.data_ref().map_or(0, bytes::Buf::remaining);
                    is_full = data > self.room;
                    self.room = self.room.saturating_sub(data);
                    if let Some(trailers) = frame.trailers_ref() {
                        self.trailers = Some(trailers.clone());
                    }
                }
                Err(_) => self.rest = None,
            }
            self.frames.push_back(frame);
            if is_full {
                break;
            }
        }
        Poll::Ready(())
    }

    fn status(&self) -> StatusCode {
        self.head.status
    }

    fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    fn into_output(self) -> Self::Output {
        let body = AnswerBody::read(self.frames, self.rest);
        Response::from_parts(self.head, body)
    }
}

impl<B: Body> fmt::Debug for HttpPeek<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPeek")
            .field("status", &self.head.status)
            .field("frames", &self.frames.len())
            .finish_non_exhaustive()
    }
}
