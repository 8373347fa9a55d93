//! The builder of a board.

use std::{
    fmt,
    future::Future,
    hash::RandomState,
    sync::{Arc, Mutex},
};

use axum::{Router, http::request::Parts};
use bytes::Bytes;
use plimsoll_metrics::Metrics;

use crate::{
    Control, Input, InvalidDashboard,
    actions::{Action, Actions, Authorize},
    check,
    event::Keys,
    fleet,
    guard::Guard,
    ring::{FLEET_RINGS, RINGS},
    routes, sampler,
    scope::Scope,
    shared::{Shared, Start},
};

/// Viewers of a board unless it is set: the pages of a team. Each is a connection that takes the
/// update of each second. `the_page_shows_rejections_an_open_circuit_and_a_changed_limit` fails when
/// it differs.
const VIEWERS: usize = 20;

/// A board with the default settings: read only, 20 viewers, this process alone.
///
/// The same as [`Dashboard::new`] and [`Dashboard::router`], whose settings cannot be invalid here.
/// See the [crate](crate) for an example, and [`Dashboard::router`] for its task.
pub fn dashboard(metrics: &Metrics) -> Router {
    routes::router(Dashboard::new(metrics).shared(None))
}

/// The settings of a board.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use plimsoll_dashboard::Dashboard;
/// use plimsoll_metrics::Metrics;
///
/// let metrics = Metrics::new();
/// let board = Dashboard::new(&metrics).viewers(50).router()?;
/// let app: Router = Router::new().nest("/plimsoll", board);
/// # Ok(()) }
/// ```
#[must_use = "a board is served by its router"]
pub struct Dashboard {
    metrics: Metrics,
    viewers: usize,
    keys: Keys,
    peers: Option<(Vec<String>, Start)>,
    actions: Vec<Action>,
    authorize: Option<Authorize>,
    until: Option<Start>,
}

impl Dashboard {
    /// A board of these metrics: read only, 20 viewers, this process alone.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            viewers: VIEWERS,
            keys: Keys::Hashed(RandomState::new()),
            peers: None,
            actions: Vec::new(),
            authorize: None,
            until: None,
        }
    }

    /// Sets how many pages receive updates at one time. 20 by default, 1 to 1,000.
    ///
    /// With one more, the oldest is let go: its page stops, and shows a button that connects it
    /// again. A board with a fleet has as many viewers of the fleet.
    pub fn viewers(mut self, viewers: usize) -> Self {
        self.viewers = viewers;
        self
    }

    /// Shows the keys of events as they are, such as the hosts of a keyed breaker.
    ///
    /// By default a key is a hash under a seed of this process, since it may be a secret or an
    /// address of a person.
    pub fn show_keys(mut self) -> Self {
        self.keys = Keys::Plain;
        self
    }

    /// Adds a view of the fleet: this process and its peers, merged.
    ///
    /// `fetch` returns the `peer.json` of the board of a peer, for each of `names` every five
    /// seconds. The names are those of the page, and nothing in a request selects a peer. Up to 32
    /// peers, eight asked at a time.
    ///
    /// An answer may take two seconds and have 4 MiB: bound what `fetch` reads. A peer whose answer
    /// fails is shown as stale, and after a minute as failing, with its last totals. Counts are
    /// summed and histograms are merged, so a percentile is that of all calls.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use bytes::Bytes;
    /// # async fn get(_: String) -> Result<Bytes, std::io::Error> { Ok(Bytes::new()) }
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// use plimsoll_dashboard::Dashboard;
    ///
    /// let board = Dashboard::new(&metrics)
    ///     .peers(["10.0.0.2:3000", "10.0.0.3:3000"], |peer| get(format!("http://{peer}/plimsoll/peer.json")))
    ///     .router()?;
    /// # let _: axum::Router = board;
    /// # Ok(()) }
    /// ```
    pub fn peers<F, Fut, E>(
        mut self,
        names: impl IntoIterator<Item = impl Into<String>>,
        fetch: F,
    ) -> Self
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: fmt::Display,
    {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.peers = Some((names.clone(), fleet::start(names, fetch)));
        self
    }

    /// Permits changes from the page, to requests that `authorize` accepts.
    ///
    /// `authorize` sees the head of each request that lists or runs actions: check a session or an
    /// address there. Besides, a change needs a token that the page received, which belongs to a
    /// `SameSite=Strict` cookie, and the same origin. All others are answered with 403. A panic in
    /// `authorize` rejects the request.
    ///
    /// Serve a writable board over TLS. Its tokens are those of one process: behind a balancer that
    /// spreads requests, use the board of one replica.
    pub fn writable(mut self, authorize: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.authorize = Some(Box::new(authorize));
        self
    }

    /// Adds an action to the panel of a gate, for a [writable](Self::writable) board.
    ///
    /// `run` receives an input that fits `control`. What it returns as an error is shown to the
    /// operator. A change becomes an [event](Metrics::events); a panic is caught and changes
    /// nothing. Up to 256 actions.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let metrics = plimsoll_metrics::Metrics::new();
    /// use plimsoll_concurrency::ConcurrencyLimit;
    /// use plimsoll_dashboard::{Control, Dashboard, Input};
    ///
    /// let limit = ConcurrencyLimit::adaptive().handle();
    /// let board = Dashboard::new(&metrics)
    ///     .writable(|request| request.headers.get("x-operator").is_some())
    ///     .action("edge", "pin the limit", Control::Number(1.0..=1000.0), move |input| match input {
    ///         Input::Number(to) => limit.pin(to as usize).map_err(|error| error.to_string()),
    ///         _ => Ok(()),
    ///     })
    ///     .router()?;
    /// # let _: axum::Router = board;
    /// # Ok(()) }
    /// ```
    pub fn action(
        mut self,
        gate: impl Into<String>,
        name: impl Into<String>,
        control: Control,
        run: impl Fn(Input) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.actions.push(Action {
            gate: gate.into(),
            name: name.into(),
            control,
            run: Box::new(run),
        });
        self
    }

    /// Ends the task and the streams of all viewers when `shutdown` ends.
    ///
    /// A graceful shutdown of a server waits for its connections, and a page that watches would
    /// hold it up. Give the same signal to both.
    pub fn until<F>(mut self, shutdown: F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = Mutex::new(Some(shutdown));
        self.until = Some(Box::new(move |shared| {
            let mut place = shutdown
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(shutdown) = place.take() {
                tokio::spawn(async move {
                    shutdown.await;
                    if let Some(shared) = shared.upgrade() {
                        shared.close();
                    }
                });
            }
        }));
        self
    }

    /// Makes the router, for [`Router::nest`] under any path.
    ///
    /// It spawns a task that reads all figures once a second: now, within a tokio runtime, or with
    /// the first request. With peers there is a second task. Both end when the last clone of the
    /// router is dropped, or with [`until`](Self::until). Clones share all of it.
    ///
    /// The board has no gate, and needs none. Every client that reaches the path can read it: put it behind
    /// the authentication of your operators, or on a listener of its own.
    ///
    /// # Errors
    ///
    /// [`InvalidDashboard`] when a setting is out of bounds.
    pub fn router(mut self) -> Result<Router, InvalidDashboard> {
        check::viewers(self.viewers)?;
        check::peers(self.peers.as_ref().map_or(&[], |(names, _)| names))?;
        check::actions(&self.actions, self.authorize.is_some())?;
        let actions = match self.authorize.take() {
            Some(authorize) => Some(Actions {
                list: std::mem::take(&mut self.actions),
                authorize,
                guard: Guard::new().ok_or(InvalidDashboard::Random)?,
            }),
            None => None,
        };
        Ok(routes::router(self.shared(actions)))
    }

    fn shared(self, actions: Option<Actions>) -> Arc<Shared> {
        let writable = actions.is_some();
        let fleet = self.peers.is_some();
        let mut start: Vec<Start> = vec![Box::new(|shared| {
            tokio::spawn(sampler::run(shared));
        })];
        start.extend(self.peers.map(|(_, start)| start));
        start.extend(self.until);
        Arc::new(Shared {
            metrics: self.metrics,
            keys: self.keys,
            own: Scope::new(RINGS, self.viewers, writable, fleet),
            fleet: fleet.then(|| Scope::new(FLEET_RINGS, self.viewers, false, true)),
            actions,
            start,
            started: false.into(),
            closed: false.into(),
            latest: Mutex::default(),
        })
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("viewers", &self.viewers)
            .field("writable", &self.authorize.is_some())
            .field("actions", &self.actions.len())
            .field("peers", &self.peers.as_ref().map(|(names, _)| names))
            .finish_non_exhaustive()
    }
}
