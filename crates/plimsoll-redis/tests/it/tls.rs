//! TLS, with a test certificate authority.

use std::fs;

use plimsoll_rate_limit::Quota;
use plimsoll_redis::{RedisRateLimit, RedisServer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::{
    ask, ms,
    server::{Server, free_port},
};

/// The certificate of an authority, and a certificate that it signed with its key, as PEM.
struct Pki {
    root: String,
    certificate: String,
    key: String,
}

fn pki() -> Pki {
    let mut root = CertificateParams::new(Vec::new()).expect("no names");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.distinguished_name.push(DnType::CommonName, "root");
    let root = CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key"))
        .expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut leaf = CertificateParams::new(names).expect("names");
    // A different name: with the same name it would seem to be self-signed.
    leaf.distinguished_name.push(DnType::CommonName, "leaf");
    let certificate = leaf.signed_by(&key, &root).expect("a certificate");
    Pki {
        root: root.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    }
}

/// A server with TLS, its port, and the folder with its certificates.
fn secure(pki: &Pki, ask_clients: &str, more: &[&str]) -> (Server, u16, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let root = file("root.pem", &pki.root);
    let certificate = file("server.pem", &pki.certificate);
    let key = file("server.key", &pki.key);
    let port = free_port();
    let port_number = port.to_string();
    let tls = [
        "--tls-port",
        &port_number,
        "--tls-ca-cert-file",
        &root,
        "--tls-cert-file",
        &certificate,
        "--tls-key-file",
        &key,
        "--tls-auth-clients",
        ask_clients,
    ];
    let server = Server::with(&[&tls, more].concat());
    (server, port, folder)
}

async fn works(server: RedisServer) -> bool {
    let limit = RedisRateLimit::builder(server)
        .quota(Quota::per_hour(100).named("q"))
        .deadline(ms(1000))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    _ = tokio::time::timeout(ms(2000), handle.wait_connected()).await;
    assert!(ask(&limit, &mut ()).await.is_ok());
    handle.admitted() == 1
}

fn server(port: u16) -> RedisServer {
    RedisServer::new(format!("rediss://localhost:{port}")).expect("a URL")
}

#[tokio::test]
async fn only_the_given_authority_is_trusted() {
    let (ours, theirs) = (pki(), pki());
    let (_redis, port, _folder) = secure(&ours, "no", &[]);
    let trusting = server(port)
        .root_certificate(ours.root)
        .expect("a certificate");
    assert!(works(trusting).await);
    let wrong = server(port)
        .root_certificate(theirs.root)
        .expect("a certificate");
    assert!(!works(wrong).await);
    assert!(!works(server(port)).await, "unknown to the system");
    assert!(server(port).root_certificate("rubbish").is_err());
}

#[tokio::test]
async fn mutual_tls_needs_a_client_certificate() {
    let pki = pki();
    let (_redis, port, _folder) = secure(&pki, "yes", &[]);
    let without = server(port)
        .root_certificate(pki.root.as_str())
        .expect("a certificate");
    assert!(!works(without.clone()).await);
    let with = without
        .client_certificate(pki.certificate, pki.key)
        .expect("a certificate and a key");
    assert!(works(with).await);
}

#[cfg(feature = "cluster")]
#[tokio::test]
async fn the_nodes_of_a_cluster_are_reached_over_tls() {
    let pki = pki();
    let more = ["--cluster-enabled", "yes", "--tls-cluster", "yes"];
    let (redis, port, _folder) = secure(&pki, "yes", &more);
    assert_eq!(redis.command("CLUSTER ADDSLOTSRANGE 0 16383"), "+OK");
    redis.wait_for("CLUSTER INFO", "cluster_state:ok");
    let without = RedisServer::cluster([format!("rediss://localhost:{port}")])
        .expect("a URL")
        .root_certificate(pki.root)
        .expect("a certificate");
    assert!(!works(without.clone()).await);
    let with = without
        .client_certificate(pki.certificate, pki.key)
        .expect("a certificate and a key");
    assert!(works(with).await);
}
