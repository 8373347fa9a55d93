//! The master that Redis Sentinel names.

use redis::{
    ConnectionInfo, IntoConnectionInfo as _, RedisResult, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::certificates::Certificates;

/// The addresses of the sentinels, and the name of the master.
#[derive(Clone)]
pub(crate) struct Sentinels {
    pub(crate) urls: Vec<String>,
    pub(crate) master: String,
    /// User and password of the master.
    pub(crate) credentials: Option<(String, String)>,
    pub(crate) database: i64,
}

impl Sentinels {
    pub(crate) fn new(urls: Vec<String>, master: String) -> Self {
        Self {
            urls,
            master,
            credentials: None,
            database: 0,
        }
    }

    /// A client for the sentinels, not yet connected.
    pub(crate) fn client(
        &self,
        certificates: Option<&Certificates>,
    ) -> RedisResult<SentinelClient> {
        let urls = self
            .urls
            .iter()
            .map(|url| url.as_str().into_connection_info());
        let sentinels = urls.collect::<RedisResult<Vec<ConnectionInfo>>>()?;
        let addresses = sentinels.iter().map(|info| info.addr().clone());
        let mut builder =
            SentinelClientBuilder::new(addresses, &self.master, SentinelServerType::Master)?
                .set_client_to_redis_db(self.database);
        if let Some((user, password)) = &self.credentials {
            builder = builder
                .set_client_to_redis_username(user)
                .set_client_to_redis_password(password);
        }
        if let Some(first) = sentinels.first() {
            let login = first.redis_settings();
            if let Some(user) = login.username() {
                builder = builder.set_client_to_sentinel_username(user);
            }
            if let Some(password) = login.password() {
                builder = builder.set_client_to_sentinel_password(password);
            }
            if matches!(first.addr(), redis::ConnectionAddr::TcpTls { .. }) {
                builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
            }
        }
        match certificates {
            #[cfg(feature = "tls")]
            Some(certificates) => builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone())
                .build(),
            _ => builder.build(),
        }
    }
}
