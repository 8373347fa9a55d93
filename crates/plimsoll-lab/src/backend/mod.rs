//! The server behind the gates: a chain of stations, each with workers or with a shared processor.
//!
//! Dropping a call ends its work, unless the server is set to continue: then the rest of the work
//! becomes a task without a receiver.
//!
//! The state is thread-local, like the [world]; futures hold numbers only, so that every stack can
//! box and spawn them.

mod crowd;
mod workers;

use std::{
    cell::RefCell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tokio::runtime::Handle;
use tower::Service;

use self::{
    crowd::{Crowd, Stay},
    workers::{Turn, Workers},
};
use crate::{
    measure,
    scenario::{Server, Station as StationSpec, Step},
    world,
};

/// The work of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    /// Nanoseconds of work at full speed.
    pub(crate) work: f64,
    /// The work over its expected value.
    pub(crate) drawn: f64,
    /// The status of the answer.
    pub(crate) status: StatusCode,
}

/// Marks answers of the server, with any status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Served;

/// Requests as contenders receive them.
pub(crate) type Req = Request<Job>;
/// Answers without a body.
pub(crate) type Res = Response<Empty<Bytes>>;

/// The number of a station among those of its kind.
#[derive(Debug, Clone, Copy)]
enum Station {
    Workers(usize),
    Crowd(usize),
}

thread_local! {
    /// In the order in which a request visits them.
    static STATIONS: RefCell<Vec<Station>> = const { RefCell::new(Vec::new()) };
}

/// A handle to the server of this thread's world.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backend {
    goes_on: bool,
}

impl Backend {
    /// Builds the server of this world; `steps` will happen to it.
    pub(crate) fn build(server: &Server, steps: &[Step]) -> Self {
        workers::clear();
        crowd::clear();
        let stations = server.stations.iter().map(|spec| match *spec {
            StationSpec::Workers {
                count,
                share,
                spin,
                cold,
            } => {
                let workers = Workers::new(count, share, spin, steps);
                Station::Workers(workers::add(workers.colder(cold, steps)))
            }
            StationSpec::Crowd { sigma, kappa } => {
                Station::Crowd(crowd::add(Crowd::new(sigma, kappa)))
            }
        });
        STATIONS.set(stations.collect());
        Self {
            goes_on: server.goes_on,
        }
    }

    /// Sets a callback that gets each request's wait for a worker and its run time when it starts:
    /// the server's view of its own queue.
    pub(crate) fn on_turn(report: impl Fn(Duration, Duration) + 'static) {
        workers::on_turn(report);
    }
}

impl Service<Req> for Backend {
    type Response = Res;
    type Error = Infallible;
    type Future = Working;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Working {
        measure::start(req.body().drawn, world::now());
        Working {
            work: req.body().work,
            status: req.body().status,
            station: 0,
            stage: None,
            goes_on: self.goes_on,
        }
    }
}

/// A request in service.
pub(crate) struct Working {
    work: f64,
    status: StatusCode,
    station: usize,
    stage: Option<Stage>,
    /// Whether its work continues when it is dropped.
    goes_on: bool,
}

impl Drop for Working {
    fn drop(&mut self) {
        // A request that was never polled has not reached the server; after the end of the world
        // nothing runs.
        if self.goes_on
            && let Some(mut stage) = self.stage.take()
            && let Ok(runtime) = Handle::try_current()
        {
            if let Stage::Turn(turn) = &mut stage {
                turn.abandon();
            }
            runtime.spawn(Self {
                work: self.work,
                status: self.status,
                station: self.station,
                stage: Some(stage),
                goes_on: false,
            });
        }
    }
}

enum Stage {
    Turn(Turn),
    Stay(Stay),
}

impl Future for Working {
    type Output = Result<Res, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            let entered = || {
                STATIONS.with_borrow(|stations| {
                    Some(match *stations.get(this.station)? {
                        Station::Workers(number) => Stage::Turn(Turn::new(number, this.work)),
                        Station::Crowd(number) => Stage::Stay(Stay::new(number, this.work)),
                    })
                })
            };
            if this.stage.is_none() {
                this.stage = entered();
            }
            let done = match &mut this.stage {
                None => return Poll::Ready(Ok(answer(this.status))),
                Some(Stage::Turn(turn)) => turn.poll(cx),
                Some(Stage::Stay(stay)) => stay.poll(cx),
            };
            if done.is_pending() {
                return Poll::Pending;
            }
            this.stage = None;
            this.station += 1;
        }
    }
}

fn answer(status: StatusCode) -> Res {
    let mut res = Response::new(Empty::new());
    *res.status_mut() = status;
    res.extensions_mut().insert(Served);
    res
}
