//! Clients, and what they have seen.

use std::{fmt, time::Duration};

use plimsoll_stream::grpc::gaps;
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use crate::{Kind, Update, Want, WatchRequest, micros, proto::ticker_client::TickerClient};

/// What a client has seen of one call.
#[derive(Debug, Default)]
pub struct Seen {
    /// Ticks.
    pub ticks: u64,
    /// Gaps, and the ticks in them.
    pub gaps: (u64, u64),
    /// How old ticks were when they were read.
    pub ages: Vec<u64>,
    /// The number of the last tick or gap, if there was one.
    pub last: Option<u64>,
    /// Numbers that were neither received nor in a gap, or came twice. Always 0.
    pub unexplained: u64,
    /// The status at the end, if it was not `OK`.
    pub status: Option<Status>,
}

impl Seen {
    /// Reads one update. `None` at the end.
    async fn next(&mut self, updates: &mut Streaming<Update>) -> Option<()> {
        let update = match updates.message().await {
            Ok(update) => update?.update?,
            Err(status) => {
                self.status = Some(status);
                return None;
            }
        };
        let (from, to) = match update {
            Kind::Tick(tick) => {
                self.ticks += 1;
                self.ages.push(micros().saturating_sub(tick.published_at));
                (tick.seq, tick.seq)
            }
            Kind::Gap(gap) => {
                self.gaps.0 += 1;
                self.gaps.1 += gap.to - gap.from + 1;
                (gap.from, gap.to)
            }
        };
        if let Some(last) = self.last {
            self.unexplained += u64::from(from != last + 1);
        }
        self.last = Some(to);
        Some(())
    }

    /// The 99th percentile of the age of ticks.
    fn p99(&self) -> Duration {
        let mut ages = self.ages.clone();
        ages.sort_unstable();
        let at = (ages.len() * 99 / 100).min(ages.len().saturating_sub(1));
        Duration::from_micros(ages.get(at).copied().unwrap_or_default())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gaps, missed) = self.gaps;
        let (ticks, unexplained, p99) =
            (self.ticks, self.unexplained, self.p99().as_secs_f64() * 1e3);
        write!(
            f,
            "ticks {ticks}, gaps {gaps} with {missed}, unexplained {unexplained}, p99 {p99:.1} ms"
        )?;
        let Some(status) = &self.status else {
            return Ok(());
        };
        write!(f, "; then {:?}, {}", status.code(), status.message())?;
        for key in [
            "plimsoll-lag",
            "grpc-retry-pushback-ms",
            gaps::FROM,
            gaps::TO,
        ] {
            if let Some(Ok(value)) = status.metadata().get(key).map(|value| value.to_str()) {
                write!(f, ", {key} {value}")?;
            }
        }
        Ok(())
    }
}

/// Watches to the end, and takes this long for each tick.
///
/// # Errors
///
/// The status with which the server answers.
pub async fn watch(
    channel: Channel,
    request: WatchRequest,
    pause: Duration,
) -> Result<Seen, Status> {
    let updates = TickerClient::new(channel).watch(request).await?;
    let (mut updates, mut seen) = (updates.into_inner(), Seen::default());
    while seen.next(&mut updates).await.is_some() {
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    Ok(seen)
}

/// Pulls 50 updates at a time to the end, and takes this long for each batch. Also returns for how
/// many updates it has asked.
///
/// # Errors
///
/// The status with which the server answers.
pub async fn pull(channel: Channel, pause: Duration) -> Result<(Seen, u64), Status> {
    const BATCH: u32 = 50;
    let (want, wanted) = mpsc::channel(1);
    let updates = TickerClient::new(channel)
        .pull(ReceiverStream::new(wanted))
        .await?;
    let (mut updates, mut seen, mut asked) = (updates.into_inner(), Seen::default(), 0);
    while want.send(Want { updates: BATCH }).await.is_ok() {
        asked += u64::from(BATCH);
        for _ in 0..BATCH {
            if seen.next(&mut updates).await.is_none() {
                return Ok((seen, asked));
            }
        }
        sleep(pause).await;
    }
    Ok((seen, asked))
}
