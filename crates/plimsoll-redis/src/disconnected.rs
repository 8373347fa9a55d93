//! Reasons why a connection is down.

use std::fmt;

use redis::{ErrorKind, RedisError, ServerError};

/// Why a connection to Redis is down, and how to fix it.
///
/// ```
/// use plimsoll_redis::Disconnected;
///
/// let text = Disconnected::ClusterNode.to_string();
/// assert!(text.contains("RedisServer::cluster"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Disconnected {
    /// No connection was made yet, or it was rejected, timed out or broke.
    Unreachable = 1,
    /// The server accepts no writes: `READONLY`, `MASTERDOWN`, `NOREPLICAS`, `MISCONF`.
    NotWritable,
    /// The server is a node of a Redis Cluster, but was configured as a single server: `MOVED`,
    /// `ASK`, `TRYAGAIN`, `CLUSTERDOWN`.
    ///
    /// It owns only some of the keys.
    ClusterNode,
    /// The server is not a node of a cluster, but was configured as one.
    NotClusterNode,
    /// The cluster serves no keys: `CLUSTERDOWN`.
    ClusterDown,
    /// The server rejects this user, or a command that the limit needs: `NOAUTH`, `NOPERM`,
    /// `WRONGPASS`.
    Denied,
    /// The server is loading its data: `LOADING`.
    Loading,
    /// No sentinel has a running master of this name.
    NoMaster,
    /// The server does not answer like Redis.
    NotRedis,
}

impl Disconnected {
    const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::NotWritable,
        Self::ClusterNode,
        Self::NotClusterNode,
        Self::ClusterDown,
        Self::Denied,
        Self::Loading,
        Self::NoMaster,
        Self::NotRedis,
    ];

    /// The inverse of `self as u8`. 0 is a connection that is up.
    pub(crate) fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|why| *why as u8 == number)
    }

    /// The reason in an error of a command; `None` when the connection can still be used.
    pub(crate) fn by(error: &ServerError, topology: Topology) -> Option<Self> {
        let (code, details) = (error.code(), error.details().unwrap_or_default());
        if topology == Topology::Cluster && details.contains("cluster support disabled") {
            return Some(Self::NotClusterNode);
        }
        let code = match code {
            // Before Redis 7, an error inside a script is an `ERR` that quotes it.
            "ERR" => quoted(details),
            code => Some(code),
        };
        Some(match (code?, topology) {
            ("NOAUTH" | "NOPERM" | "WRONGPASS", _) => Self::Denied,
            // Only some slots have no master: the others are served.
            ("CLUSTERDOWN", Topology::Cluster) if details.contains("slot not served") => {
                return None;
            }
            ("CLUSTERDOWN", Topology::Cluster) => Self::ClusterDown,
            // Reported by one node. The client library finds the right one.
            (_, Topology::Cluster) => return None,
            ("READONLY" | "MASTERDOWN" | "NOREPLICAS" | "MISCONF", _) => Self::NotWritable,
            ("MOVED" | "ASK" | "TRYAGAIN" | "CROSSSLOT" | "CLUSTERDOWN", _) => Self::ClusterNode,
            ("LOADING", _) => Self::Loading,
            _ => return None,
        })
    }

    /// The reason in an error of connecting, or of a whole pipeline.
    pub(crate) fn because(error: RedisError, topology: Topology) -> Self {
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::Denied,
            ErrorKind::MasterNameNotFoundBySentinel => Self::NoMaster,
            // The cluster client quotes the last error of several.
            ErrorKind::Io if error.detail().is_some_and(is_denied) => Self::Denied,
            _ => match ServerError::try_from(error) {
                Ok(error) => Self::by(&error, topology).unwrap_or(Self::NotRedis),
                Err(_) => Self::Unreachable,
            },
        }
    }
}

/// The configured kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One server at a time: by address, or named by sentinels.
    One,
    /// The nodes of a cluster.
    Cluster,
}

/// The code of an error that another one quotes: `Error running script (..): -READONLY You can't
/// ..`.
fn quoted(details: &str) -> Option<&str> {
    let (_, error) = details.split_once(": -")?;
    error.split_whitespace().next()
}

/// Whether the text of an error is about the user or the password.
fn is_denied(text: &str) -> bool {
    ["AuthenticationFailed", "NOAUTH", "NOPERM", "WRONGPASS"]
        .iter()
        .any(|word| text.contains(word))
}

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "no connection to Redis",
            Self::NotWritable => "the server accepts no writes; after a failover it is a replica",
            Self::ClusterNode => {
                "the server is a node of a Redis Cluster and owns only some of the keys; \
                 use RedisServer::cluster (feature `cluster`)"
            }
            Self::NotClusterNode => {
                "the server is not a node of a Redis Cluster; use RedisServer::new"
            }
            Self::ClusterDown => "the Redis Cluster is down",
            Self::Denied => {
                "Redis rejects the user, the password, or a command; \
                 see RedisServer for the required commands"
            }
            Self::Loading => "Redis is loading its data",
            Self::NoMaster => "no sentinel has a running master of this name",
            Self::NotRedis => "the server does not answer like Redis",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(line: &str, topology: Topology) -> Option<Disconnected> {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error");
        let redis::Value::ServerError(error) = value else {
            panic!("{value:?}")
        };
        Disconnected::by(&error, topology)
    }

    #[test]
    fn only_errors_about_the_server_end_its_connection() {
        use Disconnected::{ClusterNode, Denied, Loading, NotWritable};

        for (line, why) in [
            (
                "READONLY You can't write against a read only replica.",
                Some(NotWritable),
            ),
            ("MASTERDOWN Link with MASTER is down", Some(NotWritable)),
            (
                "NOREPLICAS Not enough good replicas to write.",
                Some(NotWritable),
            ),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Some(NotWritable),
            ),
            ("MOVED 3999 127.0.0.1:6381", Some(ClusterNode)),
            ("ASK 3999 127.0.0.1:6381", Some(ClusterNode)),
            (
                "TRYAGAIN Multiple keys request during rehashing",
                Some(ClusterNode),
            ),
            ("CLUSTERDOWN The cluster is down", Some(ClusterNode)),
            ("CLUSTERDOWN Hash slot not served", Some(ClusterNode)),
            ("NOAUTH Authentication required.", Some(Denied)),
            ("NOPERM this user has no permissions", Some(Denied)),
            ("WRONGPASS invalid username-password pair", Some(Denied)),
            (
                "LOADING Redis is loading the dataset in memory",
                Some(Loading),
            ),
            (
                "ERR Error running script (call to f_1): @user_script:94: @user_script: 94: \
                 -READONLY You can't write against a read only replica. ",
                Some(NotWritable),
            ),
            ("NOSCRIPT No matching script.", None),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                None,
            ),
            ("BUSY Redis is busy running a script.", None),
            ("ERR unknown command", None),
        ] {
            assert_eq!(by(line, Topology::One), why, "{line}");
        }
    }

    #[test]
    fn an_error_of_one_node_does_not_end_the_connection_to_a_cluster() {
        use Disconnected::{ClusterDown, Denied, NotClusterNode};

        for (line, why) in [
            (
                "READONLY You can't write against a read only replica.",
                None,
            ),
            ("MOVED 3999 127.0.0.1:6381", None),
            ("LOADING Redis is loading the dataset in memory", None),
            ("CLUSTERDOWN Hash slot not served", None),
            ("CLUSTERDOWN The cluster is down", Some(ClusterDown)),
            (
                "ERR This instance has cluster support disabled",
                Some(NotClusterNode),
            ),
            ("NOAUTH Authentication required.", Some(Denied)),
            ("NOPERM this user has no permissions", Some(Denied)),
        ] {
            assert_eq!(by(line, Topology::Cluster), why, "{line}");
        }
    }

    #[test]
    fn every_reason_has_its_own_number() {
        for why in Disconnected::ALL {
            assert_eq!(Disconnected::from_u8(why as u8), Some(why));
        }
        assert_eq!(Disconnected::from_u8(0), None);
    }
}
