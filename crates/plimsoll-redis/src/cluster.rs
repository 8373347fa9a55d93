//! A Redis Cluster, through the client library: it finds the node of a key, and follows `MOVED` and
//! `ASK`.

use std::{io, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{
    Arg, Cmd, RedisError, ServerError, Value,
    aio::ConnectionLike as _,
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
    cluster_routing::{
        MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr,
    },
};
use tokio::time::timeout;

use crate::{Disconnected, disconnected::Topology, link_settings::LinkSettings};

/// Commands in flight at a time. Each is sent on its own, since the next may be for another node,
/// and a stalled node must not delay the others. Enough for a node that stalls at 4,000 requests
/// per second.
pub(crate) const IN_FLIGHT: usize = 1024;

/// Connects to the nodes. One writable master is enough: keys of the others are decided locally
/// until their master is back.
pub(crate) async fn open(
    settings: &LinkSettings,
    client: &ClusterClient,
) -> Result<ClusterConnection, Disconnected> {
    let node = settings.deadline.max(Duration::from_millis(250));
    let config = ClusterConfig::new()
        .set_connection_timeout(node)
        .set_response_timeout(node);
    // The given nodes are dialled, the slots are read, and the other nodes are dialled.
    let connecting = timeout(4 * node, client.get_async_connection_with_config(config));
    let connection = match connecting.await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(Disconnected::because(error, Topology::Cluster)),
        Err(_) => return Err(Disconnected::Unreachable),
    };
    let probes = settings.scripts.probes();
    let probes = probes.map(|probe| send(settings, connection.clone(), vec![probe]));
    let mut probes: FuturesUnordered<_> = probes.collect();
    let mut why = Disconnected::Unreachable;
    while let Some(answer) = probes.next().await {
        match answer.as_deref() {
            Ok([Value::ServerError(error)]) => {
                why = Disconnected::by(error, Topology::Cluster).unwrap_or(why);
            }
            Ok(_) => return Ok(connection),
            Err(_) => {}
        }
    }
    Err(why)
}

/// Sends commands one after the other. Loads the scripts into a node that does not have them.
pub(crate) async fn send(
    settings: &LinkSettings,
    mut connection: ClusterConnection,
    commands: Vec<Cmd>,
) -> Result<Vec<Value>, RedisError> {
    let mut values = Vec::with_capacity(commands.len());
    for command in commands {
        let asked = ask(settings, &mut connection, &command);
        values.push(match timeout(settings.stall(), asked).await {
            Ok(value) => value?,
            Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        });
    }
    Ok(values)
}

async fn ask(
    settings: &LinkSettings,
    connection: &mut ClusterConnection,
    command: &Cmd,
) -> Result<Value, RedisError> {
    // EVALSHA, the hash, the number of keys, the first key.
    let Some(Arg::Simple(key)) = command.args_iter().nth(3) else {
        return answer(connection.req_packed_command(command).await);
    };
    // First the master of the slot. While the slot moves, another node may answer.
    let master = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
    for to in [
        RoutingInfo::SingleNode(master),
        RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None)),
    ] {
        let value = answer(connection.req_packed_command(command).await)?;
        match &value {
            Value::ServerError(error) if error.code() == "NOSCRIPT" => {}
            _ => return Ok(value),
        }
        for load in settings.scripts.load_commands() {
            let loaded = connection.route_command(load, to.clone());
            if let error @ Value::ServerError(_) = answer(loaded.await)? {
                return Ok(error);
            }
        }
    }
    answer(connection.req_packed_command(command).await)
}

/// An error that a node answered is an answer, also after the library's retries have failed.
fn answer(result: Result<Value, RedisError>) -> Result<Value, RedisError> {
    result.or_else(|error| ServerError::try_from(error).map(Value::ServerError))
}
