//! Certificates for TLS, when the feature is on.

#[cfg(feature = "tls")]
pub(crate) type Certificates = redis::TlsCertificates;

/// Without TLS there are none.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
pub(crate) enum Certificates {}

/// Text without a certificate would be taken for an empty list of them.
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
