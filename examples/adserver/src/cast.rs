//! The processes of a run: a store, three bidders, a server and a generator.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use tokio::time::{Instant, sleep_until};

use crate::{
    figures::{Run, Second},
    phases::Event,
    proc::Child,
    settings::BIDDERS,
    tally::{Line, Load},
};

/// The processes of one run. Dropping it ends them.
pub(crate) struct Cast {
    store: Child,
    bidders: Vec<Child>,
    server: Child,
    generator: Child,
    /// Where the server listens.
    pub(crate) target: SocketAddr,
}

impl Cast {
    /// Starts all processes, the server in `role`, with limits for `capacity` and its log in `folder`.
    pub(crate) async fn start(role: &str, capacity: f64, folder: &Path) -> io::Result<Self> {
        let (store, store_address) = Child::listening("store", &[]).await?;
        let log = folder.join(format!("{role}.log"));
        let mut args = vec![
            format!("--store={store_address}"),
            format!("--capacity={capacity}"),
            format!("--log={}", log.display()),
        ];
        let mut bidders = Vec::new();
        for _ in BIDDERS {
            let (bidder, address) = Child::listening("bidder", &[]).await?;
            args.push(format!("--bidder={address}"));
            bidders.push(bidder);
        }
        let (server, target) = Child::listening(role, &args).await?;
        let generator = Child::spawn("generator", &[])?;
        Ok(Self {
            store,
            bidders,
            server,
            generator,
            target,
        })
    }

    /// Empties the store's queue.
    pub(crate) async fn restart_store(&mut self) -> io::Result<()> {
        self.store.tell("restart").await
    }

    /// Runs a load with these events, and calls `watch` each second.
    pub(crate) async fn play(
        &mut self,
        load: &Load,
        events: &[Event],
        mut watch: impl FnMut(&Second),
    ) -> io::Result<Run> {
        let memory = self.server.memory();
        memory.reset_peak();
        self.generator.tell(&serde_json::to_string(load)?).await?;
        let start = Instant::now();
        let mut events = events.iter().copied().peekable();
        let mut seconds = Vec::new();
        loop {
            let next = events.peek().copied();
            let due =
                start + Duration::from_secs_f64(next.map_or(0.0, |event| event.at * load.seconds));
            let line = tokio::select! {
                biased;
                () = sleep_until(due), if next.is_some() => {
                    if let Some(event) = events.next() {
                        self.bidders[event.bidder].tell(event.command).await?;
                    }
                    continue;
                }
                line = self.generator.line() => line?,
            };
            match serde_json::from_str(&line)? {
                Line::Second(tally) => {
                    let second = Second {
                        tally,
                        memory_mib: memory.now_mib(),
                    };
                    watch(&second);
                    seconds.push(second);
                }
                Line::Total(total) => {
                    return Ok(Run {
                        total,
                        peak_mib: memory.peak_mib(),
                        seconds,
                    });
                }
            }
        }
    }
}
