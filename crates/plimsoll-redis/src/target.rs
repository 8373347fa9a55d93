//! Addresses, as given and as checked.

use std::fmt;

use redis::{IntoConnectionInfo as _, RedisResult};

#[cfg(feature = "sentinel")]
use crate::{InvalidServer, sentinel::Sentinels};
use crate::{certificates::Certificates, disconnected::Topology};

/// URLs, as given.
#[derive(Clone)]
pub(crate) enum Place {
    One(String),
    #[cfg(feature = "cluster")]
    Cluster(Vec<String>),
    #[cfg(feature = "sentinel")]
    Sentinel(Sentinels),
}

/// The source of connections. Contains passwords, so it is never logged.
#[derive(Clone)]
pub(crate) enum Target {
    One(redis::Client),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
    /// Queried for each new connection.
    #[cfg(feature = "sentinel")]
    Sentinel(Sentinels, Option<Certificates>),
}

impl Place {
    pub(crate) fn open(&self, certificates: Option<&Certificates>) -> RedisResult<Target> {
        match self {
            Self::One(url) => match certificates {
                #[cfg(feature = "tls")]
                Some(certificates) => {
                    redis::Client::build_with_tls(url.as_str(), certificates.clone())
                }
                _ => redis::Client::open(url.as_str()),
            }
            .map(Target::One),
            #[cfg(feature = "cluster")]
            Self::Cluster(urls) => {
                let urls = urls.iter().map(String::as_str);
                // Enough retries for a redirection and one failure; a question expires soon.
                let builder = redis::cluster::ClusterClient::builder(urls)
                    .retries(4)
                    .min_retry_wait(5)
                    .max_retry_wait(50);
                #[cfg(feature = "tls")]
                let builder = match certificates {
                    Some(certificates) => builder.certs(certificates.clone()),
                    None => builder,
                };
                Ok(Target::Cluster(Box::new(builder.build()?)))
            }
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => {
                sentinels.client(certificates)?;
                Ok(Target::Sentinel(sentinels.clone(), certificates.cloned()))
            }
        }
    }

    #[cfg(feature = "sentinel")]
    pub(crate) fn sentinels(&mut self) -> Result<&mut Sentinels, InvalidServer> {
        let Self::Sentinel(sentinels) = self else {
            return Err(InvalidServer(redis::RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "only a master named by sentinels has this setting: for others it is part of the URL",
            ))));
        };
        Ok(sentinels)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(url) => address(url, f),
            #[cfg(feature = "cluster")]
            Self::Cluster(urls) => addresses(urls, f),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinels) => {
                write!(f, "{} by ", sentinels.master)?;
                addresses(&sentinels.urls, f)
            }
        }
    }
}

#[cfg(any(feature = "cluster", feature = "sentinel"))]
fn addresses(urls: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (n, url) in urls.iter().enumerate() {
        f.write_str(if n == 0 { "" } else { ", " })?;
        address(url, f)?;
    }
    Ok(())
}

/// Host and port, without credentials.
fn address(url: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match url.into_connection_info() {
        Ok(info) => write!(f, "{}", info.addr()),
        Err(_) => f.write_str("?"),
    }
}

impl Target {
    pub(crate) fn topology(&self) -> Topology {
        match self {
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => Topology::Cluster,
            _ => Topology::One,
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.topology()).finish()
    }
}
