//! The address of Redis, with credentials and certificates.

use std::fmt;

#[cfg(feature = "tls")]
use crate::certificates::certificate_in;
use crate::{
    InvalidServer,
    target::{Place, Target},
};

/// The address of Redis, with credentials and certificates.
///
/// One server, a master named by sentinels, or a cluster.
///
/// ```
/// use plimsoll_redis::RedisServer;
///
/// let local = RedisServer::new("redis://127.0.0.1:6379/0")?;
/// let by_password = RedisServer::new("redis://:pass@redis.internal/0")?;
/// let acl_user = RedisServer::new("redis://limiter:pass@redis.internal/0")?;
/// let by_socket = RedisServer::new("redis+unix:///run/redis.sock")?;
/// // Credentials are never logged:
/// assert!(!format!("{acl_user:?}").contains("pass"));
/// # _ = (local, by_password, by_socket);
/// # Ok::<(), plimsoll_redis::InvalidServer>(())
/// ```
///
/// # Commands that an ACL user needs
///
/// On `~<prefix>:*`:
///
/// | server | commands |
/// |---|---|
/// | any | `+evalsha +script\|load +time +get +set +del`, and `+select` for a database other than 0 |
/// | cluster | also `+cluster\|slots +ping +asking` |
/// | named by sentinels | also `+role` |
#[derive(Clone)]
pub struct RedisServer {
    place: Place,
    #[cfg(any(feature = "tls", feature = "sentinel"))]
    certificates: Option<crate::certificates::Certificates>,
    pub(crate) target: Target,
}

impl RedisServer {
    /// Creates the address of one Redis server from a URL.
    ///
    /// The URL is `redis://[user][:password]@host[:port][/db]`, `redis+unix:///path`, or with the
    /// feature `tls` `rediss://...`, which trusts the certificates of the system.
    ///
    /// The server is a master, or an address that leads to a master (a load balancer, a DNS name
    /// that moves). Nothing is connected here. A node of a Redis Cluster is reported as
    /// [`Disconnected::ClusterNode`](crate::Disconnected) once a connection is made.
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or is `rediss://` without the feature.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidServer> {
        Self::at(Place::One(url.into()))
    }

    /// Creates the address of a Redis Cluster from URLs of some of its nodes. The others are found
    /// through them.
    ///
    /// ```
    /// use plimsoll_redis::RedisServer;
    ///
    /// let cluster = RedisServer::cluster([
    ///     "redis://limiter:pass@node-1:6379",
    ///     "redis://limiter:pass@node-2:6379",
    /// ])?;
    /// # _ = cluster;
    /// # Ok::<(), plimsoll_redis::InvalidServer>(())
    /// ```
    ///
    /// Credentials must be the same in all URLs. They are used for all nodes.
    ///
    /// # Errors
    ///
    /// When there is no URL, or one is invalid, is a Unix socket, or has other credentials than the
    /// first.
    #[cfg(feature = "cluster")]
    pub fn cluster(
        urls: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, InvalidServer> {
        Self::at(Place::Cluster(urls.into_iter().map(Into::into).collect()))
    }

    /// Creates the address of the master that Redis Sentinel has under this name, from the URLs of
    /// the sentinels.
    ///
    /// ```
    /// use plimsoll_redis::RedisServer;
    ///
    /// let sentinels = ["redis://s-1:26379", "redis://s-2:26379", "redis://s-3:26379"];
    /// let server = RedisServer::sentinel(sentinels, "mymaster")?
    ///     .master_credentials("limiter", "pass")?;
    /// # _ = server;
    /// # Ok::<(), plimsoll_redis::InvalidServer>(())
    /// ```
    ///
    /// Sentinels are queried for each new connection, so after each failover. The credentials in
    /// the first URL are used for all sentinels. If that URL is `rediss://`, the connection to the
    /// master uses TLS, too.
    ///
    /// # Errors
    ///
    /// When there is no URL, or one is invalid.
    #[cfg(feature = "sentinel")]
    pub fn sentinel(
        urls: impl IntoIterator<Item = impl Into<String>>,
        master: impl Into<String>,
    ) -> Result<Self, InvalidServer> {
        Self::at(Place::Sentinel(crate::sentinel::Sentinels::new(
            urls.into_iter().map(Into::into).collect(),
            master.into(),
        )))
    }

    /// Sets the user and password for the master that sentinels name.
    ///
    /// For a password without a user (`requirepass`) the user is `default`.
    ///
    /// # Errors
    ///
    /// When this server is not named by sentinels: then the URL contains them.
    #[cfg(feature = "sentinel")]
    pub fn master_credentials(
        mut self,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Result<Self, InvalidServer> {
        let sentinels = self.place.sentinels()?;
        sentinels.credentials = Some((user.into(), password.into()));
        self.reopen()
    }

    /// Sets the database of the master that sentinels name. The default is 0.
    ///
    /// # Errors
    ///
    /// When this server is not named by sentinels: then the URL contains it.
    #[cfg(feature = "sentinel")]
    pub fn master_database(mut self, database: i64) -> Result<Self, InvalidServer> {
        self.place.sentinels()?.database = database;
        self.reopen()
    }

    /// Trusts only the certificates in this PEM text.
    ///
    /// # Errors
    ///
    /// When the text contains no certificate.
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Result<Self, InvalidServer> {
        let pem = pem.into();
        certificate_in(&pem)?;
        self.certificates_mut().root_cert = Some(pem);
        self.reopen()
    }

    /// Sets a client certificate for mutual TLS, and its key, both as PEM text.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or no key.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Result<Self, InvalidServer> {
        let certificate = certificate.into();
        certificate_in(&certificate)?;
        self.certificates_mut().client_tls = Some(redis::ClientTlsConfig {
            client_cert: certificate,
            client_key: key.into(),
        });
        self.reopen()
    }

    #[cfg(feature = "tls")]
    fn certificates_mut(&mut self) -> &mut redis::TlsCertificates {
        self.certificates.get_or_insert(redis::TlsCertificates {
            client_tls: None,
            root_cert: None,
        })
    }

    fn at(place: Place) -> Result<Self, InvalidServer> {
        #[cfg(feature = "tls")]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Without an installed provider, rustls panics when both of its providers are compiled
            // in.
            _ = rustls::crypto::ring::default_provider().install_default();
        }
        let target = place.open(None).map_err(InvalidServer)?;
        Ok(Self {
            place,
            #[cfg(any(feature = "tls", feature = "sentinel"))]
            certificates: None,
            target,
        })
    }

    /// Builds the client again after a setting was changed.
    #[cfg(any(feature = "tls", feature = "sentinel"))]
    fn reopen(mut self) -> Result<Self, InvalidServer> {
        let target = self.place.open(self.certificates.as_ref());
        self.target = target.map_err(InvalidServer)?;
        Ok(self)
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the user or the password.
        f.debug_struct("RedisServer")
            .field("address", &format_args!("{}", self.place))
            .finish_non_exhaustive()
    }
}
