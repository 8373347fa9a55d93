//! The routes.

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{
    StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use plimsoll_core::GateLayer;
use plimsoll_fallback::{Cause, Fallback};
use plimsoll_stream::work::{HasRoom, Job, WorkError, WorkQueue};
use serde::Deserialize;

use crate::{
    blur::box_blur,
    pnm::{Image, InvalidImage},
    results::{Found, Results},
};

/// The largest upload, in bytes.
const MAX_UPLOAD: usize = 8 << 20;
/// The longest job.
const MAX_PASSES: usize = 1_000;
/// The longest side of a thumbnail, in pixels.
const THUMBNAIL: usize = 64;

#[derive(Clone)]
struct App {
    work: WorkQueue,
    results: Results,
}

/// The query of an upload.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Blur {
    #[serde(default = "Blur::radius")]
    radius: usize,
    #[serde(default = "Blur::passes")]
    passes: usize,
}

impl Blur {
    const fn radius() -> usize {
        8
    }

    const fn passes() -> usize {
        3
    }

    fn of(self, image: Image) -> Image {
        box_blur(image, self.radius, self.passes.min(MAX_PASSES))
    }
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Image(#[from] InvalidImage),
    #[error(transparent)]
    Work(#[from] WorkError),
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        match self {
            Self::Image(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
            Self::Work(error) => error.into_response(),
        }
    }
}

pub(crate) fn app(work: &WorkQueue) -> Router {
    let app = App {
        work: work.clone(),
        results: Results::default(),
    };
    // Rejects while the queue is full, before the body is read.
    let room = GateLayer::new(HasRoom::new(work.clone()));
    // From the outside: read the upload, substitute a rejection, blur.
    let previews = Router::new()
        .route("/previews", post(preview))
        .layer(
            Fallback::handler_with(
                |req: &Request| req.extensions().get::<Upload>().cloned(),
                thumbnail,
            )
            .into_layer(),
        )
        .layer(from_fn(read_upload));
    Router::new()
        .route("/images", post(image))
        .route("/jobs", post(accept))
        .route_layer(room)
        .route("/jobs/{id}", get(result))
        .route("/stats", get(stats))
        .merge(previews)
        .layer(DefaultBodyLimit::max(MAX_UPLOAD))
        .with_state(app)
}

fn pnm(image: &Image) -> Response {
    ([(CONTENT_TYPE, image.content_type())], image.to_bytes()).into_response()
}

/// Waits for the result: 200, or 503 when the queue is full.
async fn image(
    State(App { work, .. }): State<App>,
    Query(blur): Query<Blur>,
    body: Bytes,
) -> Result<Response, Failed> {
    // The job weighs the bytes of its upload.
    let (weight, image) = (body.len(), Image::parse(&body)?);
    // It has the pixels: the upload is not needed while it waits.
    drop(body);
    let job = Job::blocking(move || blur.of(image)).weight(weight);
    Ok(pnm(&work.run(job).await?))
}

/// Hands the job over: 202 and where the result will be, or 503 when the queue is full.
async fn accept(
    State(App { work, results }): State<App>,
    Query(blur): Query<Blur>,
    body: Bytes,
) -> Result<Response, Failed> {
    let image = Image::parse(&body)?;
    let id = results.begin();
    let done = results.clone();
    let job = Job::blocking(move || done.put(id, blur.of(image)));
    if let Err(error) = work.submit(job.weight(body.len())) {
        results.cancel(id);
        return Err(error.into());
    }
    let location = format!("/jobs/{id}");
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)]).into_response())
}

async fn result(State(App { results, .. }): State<App>, Path(id): Path<u64>) -> Response {
    match results.get(id) {
        Found::Ready(image) => pnm(&image),
        Found::Pending => StatusCode::ACCEPTED.into_response(),
        Found::Unknown => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An upload that was read, for the handler and for the fallback.
#[derive(Clone)]
struct Upload(Bytes);

async fn read_upload(mut req: Request, next: Next) -> Response {
    let body = std::mem::replace(req.body_mut(), Body::empty());
    let Ok(body) = axum::body::to_bytes(body, MAX_UPLOAD).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    req.extensions_mut().insert(Upload(body));
    next.run(req).await
}

/// As `image`, behind a fallback.
async fn preview(
    app: State<App>,
    blur: Query<Blur>,
    Extension(Upload(body)): Extension<Upload>,
) -> Result<Response, Failed> {
    image(app, blur, body).await
}

/// The degraded answer: a thumbnail, which needs no worker.
async fn thumbnail(_: Cause, upload: Option<Upload>) -> Option<Response> {
    let image = Image::parse(&upload?.0).ok()?;
    Some(pnm(&image.thumbnail(THUMBNAIL)))
}

async fn stats(State(App { work, .. }): State<App>) -> String {
    format!(
        "workers {}\ncapacity {}\nwaiting {}\nwaiting_bytes {}\nrunning {}\naccepted {}\n\
         completed {}\nrejected {}\nhung_up {}\npanicked {}\n",
        work.workers(),
        work.capacity(),
        work.waiting(),
        work.waiting_bytes(),
        work.running(),
        work.accepted(),
        work.completed(),
        work.rejected(),
        work.hung_up(),
        work.panicked(),
    )
}
