//! One connection: opened, checked, and used.

use std::sync::Arc;

use redis::{AsyncConnectionConfig, Cmd, RedisError, Value, aio::MultiplexedConnection};
use tokio::time::{Instant, timeout};

use crate::{Disconnected, disconnected::Topology, link_settings::LinkSettings, target::Target};

/// Pipelines in flight at a time: while Redis works on one, the next is written.
const IN_FLIGHT: usize = 2;

/// A connection to one server, or to all nodes of a cluster. Clones share it.
#[derive(Clone)]
pub(crate) enum Connection {
    One(MultiplexedConnection),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection, Arc<LinkSettings>),
}

/// A connection that can write, and the time by the clock of Redis, not before the instant.
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    pub(crate) clock: Option<(u64, Instant)>,
}

impl Connection {
    /// How many batches may be sent while `in_flight` are in flight, and how many commands each may
    /// hold.
    pub(crate) fn room(&self, in_flight: usize, batch: usize) -> (usize, usize) {
        match self {
            Self::One(_) => (IN_FLIGHT.saturating_sub(in_flight), batch),
            #[cfg(feature = "cluster")]
            Self::Cluster(..) => (crate::cluster::IN_FLIGHT.saturating_sub(in_flight), 1),
        }
    }

    /// Loads the scripts again, and reads the time. In a cluster they are loaded when a node
    /// reports that it does not have them.
    pub(crate) async fn reload(
        &self,
        settings: &LinkSettings,
    ) -> Result<Option<(u64, Instant)>, Disconnected> {
        match self {
            Self::One(connection) => {
                let clock = load(settings, connection.clone(), std::iter::empty());
                clock.await.map(Some)
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(..) => Ok(None),
        }
    }

    /// Sends the commands of one batch.
    pub(crate) async fn send(self, commands: Vec<Cmd>) -> Result<Vec<Value>, RedisError> {
        match self {
            Self::One(mut connection) => {
                let mut pipeline = redis::Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command);
                }
                let count = pipeline.len();
                connection.send_packed_commands(&pipeline, 0, count).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(connection, settings) => {
                crate::cluster::send(&settings, connection, commands).await
            }
        }
    }
}

/// Connects, and checks that the server can write keys of this limit. A replica, a node of a
/// cluster that owns only some of them, and a server that rejects the user fail the check.
pub(crate) async fn open(settings: &Arc<LinkSettings>) -> Result<Opened, Disconnected> {
    match &settings.target {
        Target::One(client) => open_one(settings, client).await,
        #[cfg(feature = "sentinel")]
        Target::Sentinel(sentinels, certificates) => {
            let client = sentinels.client(certificates.as_ref());
            let mut client = client.map_err(|error| Disconnected::because(error, Topology::One))?;
            let client = in_time(settings, client.async_get_client()).await?;
            open_one(settings, &client).await
        }
        #[cfg(feature = "cluster")]
        Target::Cluster(client) => {
            let connection = crate::cluster::open(settings, client).await?;
            Ok(Opened {
                connection: Connection::Cluster(connection, Arc::clone(settings)),
                clock: None,
            })
        }
    }
}

async fn open_one(settings: &LinkSettings, client: &redis::Client) -> Result<Opened, Disconnected> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.patience()))
        .set_response_timeout(Some(settings.stall()))
        .set_pipeline_buffer_size(IN_FLIGHT + 1);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let connection = in_time(settings, connecting).await?;
    let probes = settings.scripts.probes();
    let clock = load(settings, connection.clone(), probes).await?;
    Ok(Opened {
        connection: Connection::One(connection),
        clock: Some(clock),
    })
}

/// Loads the scripts, reads the time, and runs `commands`. Their errors about the server count,
/// their answers do not.
async fn load(
    settings: &LinkSettings,
    mut connection: MultiplexedConnection,
    commands: impl Iterator<Item = Cmd>,
) -> Result<(u64, Instant), Disconnected> {
    let asked = Instant::now();
    let mut pipeline = settings.scripts.load();
    for command in commands {
        pipeline.add_command(command);
    }
    let loaded = connection.send_packed_commands(&pipeline, 0, pipeline.len());
    let values = in_time(settings, loaded).await?;
    for value in &values {
        if let Value::ServerError(error) = value
            && let Some(why) = Disconnected::by(error, Topology::One)
        {
            return Err(why);
        }
    }
    Ok((time_in(&values).ok_or(Disconnected::NotRedis)?, asked))
}

async fn in_time<T>(
    settings: &LinkSettings,
    work: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Disconnected> {
    match timeout(settings.patience(), work).await {
        Ok(done) => done.map_err(|error| Disconnected::because(error, Topology::One)),
        Err(_) => Err(Disconnected::Unreachable),
    }
}

/// The time in the answers to [`Scripts::load`], in microseconds; `None` for other answers.
fn time_in(values: &[Value]) -> Option<u64> {
    let [
        Value::BulkString(_),
        Value::BulkString(_),
        Value::BulkString(_),
        Value::Array(time),
        ..,
    ] = values
    else {
        return None;
    };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = &time[..] else {
        return None;
    };
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok();
    let seconds = number(seconds)?.checked_mul(1_000_000)?;
    seconds.checked_add(number(micros)?)
}
