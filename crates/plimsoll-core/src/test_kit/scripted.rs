//! An inner service that follows the request's script, and records how it is used.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tower_service::Service;

/// A request of the test kit, with a [`Script`] in its extensions.
pub type KitRequest = Request<()>;

/// How the scripted service answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// This status, with an empty body.
    Status(StatusCode),
    /// `200` and a body of two frames.
    Body,
    /// `200`, a frame, and trailers with this `grpc-status`.
    Trailers(&'static str),
    /// `200`, a frame, and then an error.
    BrokenBody,
    /// `200`, a frame, and then a body that stays pending.
    EndlessBody,
    /// The service's own error.
    Error,
    /// The service's future panics.
    Panic,
    /// `call` itself panics.
    PanicInCall,
    /// The service never answers.
    Hang,
}

/// A request with this script.
pub fn request(script: Script) -> KitRequest {
    let mut request = Request::new(());
    request.extensions_mut().insert(script);
    request
}

/// The scripted service's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptedError;

impl fmt::Display for ScriptedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error of the script")
    }
}

impl std::error::Error for ScriptedError {}

/// A service that follows the script. Reserves a place in `poll_ready`, and detects calls without
/// one.
#[derive(Debug, Default)]
pub struct Scripted {
    ready: bool,
    watch: Arc<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    reserved: AtomicUsize,
    calls: AtomicUsize,
    called_unready: AtomicBool,
}

impl Scripted {
    /// Returns how many places `poll_ready` reserved that are neither used nor released.
    pub fn reserved(&self) -> usize {
        self.watch.reserved.load(SeqCst)
    }

    /// Returns how many requests reached the service.
    pub fn calls(&self) -> usize {
        self.watch.calls.load(SeqCst)
    }

    /// Returns whether the service was ever called without being ready.
    pub fn was_called_unready(&self) -> bool {
        self.watch.called_unready.load(SeqCst)
    }
}

/// A clone is not ready.
impl Clone for Scripted {
    fn clone(&self) -> Self {
        Self {
            ready: false,
            watch: Arc::clone(&self.watch),
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if self.ready {
            self.watch.reserved.fetch_sub(1, SeqCst);
        }
    }
}

impl Service<KitRequest> for Scripted {
    type Response = Response<ScriptedBody>;
    type Error = ScriptedError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ScriptedError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ScriptedError>> {
        if !self.ready {
            self.ready = true;
            self.watch.reserved.fetch_add(1, SeqCst);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: KitRequest) -> Self::Future {
        self.watch.calls.fetch_add(1, SeqCst);
        if std::mem::take(&mut self.ready) {
            self.watch.reserved.fetch_sub(1, SeqCst);
        } else {
            self.watch.called_unready.store(true, SeqCst);
        }
        let script = req.extensions().get().cloned().unwrap_or(Script::Body);
        assert_ne!(script, Script::PanicInCall, "panic of the script");
        Box::pin(async move {
            match script {
                Script::Status(status) => {
                    let mut response = Response::new(ScriptedBody::default());
                    *response.status_mut() = status;
                    Ok(response)
                }
                Script::Error => Err(ScriptedError),
                Script::Panic => panic!("panic of the script"),
                Script::Hang => std::future::pending().await,
                script => Ok(Response::new(ScriptedBody::of(&script))),
            }
        })
    }
}

/// A response body as scripted.
#[derive(Debug, Default)]
pub struct ScriptedBody {
    frames: VecDeque<Step>,
}

#[derive(Debug)]
enum Step {
    Data,
    Trailers(&'static str),
    Error,
    Hang,
}

impl ScriptedBody {
    fn of(script: &Script) -> Self {
        let frames = match script {
            Script::Body => vec![Step::Data, Step::Data],
            Script::Trailers(status) => vec![Step::Data, Step::Trailers(status)],
            Script::BrokenBody => vec![Step::Data, Step::Error],
            Script::EndlessBody => vec![Step::Data, Step::Hang],
            _ => vec![],
        };
        Self {
            frames: frames.into(),
        }
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = ScriptedError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ScriptedError>>> {
        if let Some(Step::Hang) = self.frames.front() {
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front().map(|step| match step {
            Step::Data => Ok(Frame::data(Bytes::from_static(b"data"))),
            Step::Trailers(status) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static(status));
                Ok(Frame::trailers(trailers))
            }
            Step::Error | Step::Hang => Err(ScriptedError),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }
}

impl From<Infallible> for ScriptedError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_script() {
        assert_eq!(ScriptedError.to_string(), "error of the script");
    }
}
