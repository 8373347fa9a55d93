//! Where Redis is, and how to prove who is asking.

use std::fmt;

use crate::InvalidServer;

/// The address of a Redis, with credentials and certificates.
///
/// ```
/// use plimsoll_redis::RedisServer;
///
/// let local = RedisServer::new("redis://127.0.0.1:6379/0")?;
/// let by_password = RedisServer::new("redis://:pass@redis.internal/0")?;
/// let acl_user = RedisServer::new("redis://limiter:pass@redis.internal/0")?;
/// let by_socket = RedisServer::new("redis+unix:///run/redis.sock")?;
/// // Never in a log:
/// assert!(!format!("{acl_user:?}").contains("pass"));
/// # _ = (local, by_password, by_socket);
/// # Ok::<(), plimsoll_redis::InvalidServer>(())
/// ```
///
/// An ACL user needs `+evalsha +script|load +time +get +set +del` on `~<prefix>:*`, and `+select` for a database other than 0.
#[derive(Clone)]
pub struct RedisServer {
    #[cfg(feature = "tls")]
    url: String,
    pub(crate) client: redis::Client,
    #[cfg(feature = "tls")]
    certificates: redis::TlsCertificates,
}

impl RedisServer {
    /// A Redis by URL: `redis://[user][:password]@host[:port][/db]`, `redis+unix:///path`, and with the feature `tls`
    /// `rediss://`, which trusts the certificates of the system.
    ///
    /// Nothing is connected here.
    ///
    /// # Errors
    ///
    /// When the URL cannot be read, or is `rediss://` without the feature.
    pub fn new(url: impl Into<String>) -> Result<Self, InvalidServer> {
        let url = url.into();
        #[cfg(feature = "tls")]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Without a choice rustls would panic when both of its providers are compiled in.
            _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self {
            client: redis::Client::open(url.as_str()).map_err(InvalidServer)?,
            #[cfg(feature = "tls")]
            certificates: redis::TlsCertificates {
                client_tls: None,
                root_cert: None,
            },
            #[cfg(feature = "tls")]
            url,
        })
    }

    /// Trusts the certificates in this PEM text, and no others.
    ///
    /// # Errors
    ///
    /// When there is none in it.
    #[cfg(feature = "tls")]
    pub fn root_certificate(mut self, pem: impl Into<Vec<u8>>) -> Result<Self, InvalidServer> {
        let pem = pem.into();
        certificate_in(&pem)?;
        self.certificates.root_cert = Some(pem);
        self.with_certificates()
    }

    /// Shows Redis this certificate (mutual TLS), both as PEM text.
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
        self.certificates.client_tls = Some(redis::ClientTlsConfig {
            client_cert: certificate,
            client_key: key.into(),
        });
        self.with_certificates()
    }

    #[cfg(feature = "tls")]
    fn with_certificates(mut self) -> Result<Self, InvalidServer> {
        let certificates = self.certificates.clone();
        self.client = redis::Client::build_with_tls(self.url.as_str(), certificates)
            .map_err(InvalidServer)?;
        Ok(self)
    }
}

/// Text without a certificate would be taken for an empty list of them.
#[cfg(feature = "tls")]
fn certificate_in(pem: &[u8]) -> Result<(), InvalidServer> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    match CertificateDer::pem_slice_iter(pem).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(InvalidServer(redis::RedisError::from((
            redis::ErrorKind::InvalidClientConfig,
            "no certificate in the PEM text",
        )))),
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No user, no password.
        f.debug_struct("RedisServer")
            .field("address", self.client.get_connection_info().addr())
            .finish_non_exhaustive()
    }
}
