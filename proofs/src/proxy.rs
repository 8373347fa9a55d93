//! nginx and `HAProxy` in front of a server, each with its own folder and port.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// What is between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Direct,
    /// nginx.
    Nginx,
    /// `HAProxy`.
    HaProxy,
}

/// What clients and servers speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// HTTP/1.1, and what it is upgraded to.
    Http1,
    /// gRPC over HTTP/2 without TLS.
    Grpc,
}

/// A running proxy. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where clients connect.
    pub addr: SocketAddr,
    _process: Option<(Child, TempDir)>,
}

/// nginx: `sndbuf` bounds what the kernel takes for a client, and the answer of the server turns
/// buffering off (`X-Accel-Buffering`), so that `proxy_buffers` are all that nginx holds.
const NGINX: &str = "
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen FRONT sndbuf=16k;
    location / {
      proxy_pass http://BACK;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 1h;
    }
  }
}
";

/// nginx for gRPC: it holds one `grpc_buffer_size` for each stream. Towards the server it has no
/// windows of its own, so the kernel's buffers bound what the server writes ahead.
const NGINX_GRPC: &str = "
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s;
  server {
    listen FRONT http2 sndbuf=16k;
    location / {
      grpc_pass grpc://BACK;
      grpc_read_timeout 1h;
    }
  }
}
";

/// `HAProxy`: the two `tune` lines bound what the kernel takes on both sides.
const HAPROXY: &str = "
global
  maxconn 512
  tune.sndbuf.client 16384
  tune.rcvbuf.server 16384
defaults
  mode http
  option http-no-delay
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend front
  bind FRONT
  default_backend back
backend back
  server one BACK
";

/// The configuration of a proxy.
fn configuration(kind: Kind, wire: Wire) -> String {
    match (kind, wire) {
        (Kind::Nginx, Wire::Http1) => NGINX.to_owned(),
        (Kind::Nginx, Wire::Grpc) => NGINX_GRPC.to_owned(),
        (_, Wire::Http1) => HAPROXY.to_owned(),
        (_, Wire::Grpc) => HAPROXY
            .replace("bind FRONT", "bind FRONT proto h2")
            .replace("server one BACK", "server one BACK proto h2"),
    }
}

impl Proxy {
    /// Starts a proxy in front of a server, at the same address, and waits until it accepts
    /// connections.
    ///
    /// # Errors
    ///
    /// The program is missing, or does not start within 20 s.
    pub async fn start(kind: Kind, wire: Wire, server: SocketAddr) -> io::Result<Self> {
        if kind == Kind::Direct {
            return Ok(Self {
                addr: server,
                _process: None,
            });
        }
        // The port is free now, and tests of one run do not get the same one.
        let addr = TcpListener::bind((server.ip(), 0))?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("proxy.conf");
        let program = match kind {
            Kind::Nginx => "nginx",
            _ => "haproxy",
        };
        let text = configuration(kind, wire).replace("FRONT", &addr.to_string());
        fs::write(&file, text.replace("BACK", &server.to_string()))?;
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => command.arg("-p").arg(folder.path()).arg("-c").arg(&file),
            _ => command.arg("-db").arg("-f").arg(&file),
        };
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let text = format!("{program}: {error}; `cargo xtask test` installs it");
                io::Error::new(error.kind(), text)
            })?;
        let accepts = async {
            while TcpStream::connect(addr).await.is_err() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), accepts)
            .await
            .map_err(|_| io::Error::other(format!("{program} does not accept connections")))?;
        Ok(Self {
            addr,
            _process: Some((process, folder)),
        })
    }
}
