//! Certificates for TLS, when the feature is on.

#[cfg(feature = "tls")]
pub(crate) type Certificates = redis::TlsCertificates;

/// Without the feature there are no certificates.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
pub(crate) enum Certificates {}

/// Rejects text without a certificate, which would otherwise count as an empty list.
#[cfg(feature = "tls")]
pub(crate) fn certificate_in(pem: &[u8]) -> Result<(), crate::InvalidServer> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    match CertificateDer::pem_slice_iter(pem).next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(crate::InvalidServer(redis::RedisError::from((
            redis::ErrorKind::InvalidClientConfig,
            "no certificate in the PEM text",
        )))),
    }
}
