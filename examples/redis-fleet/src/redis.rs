//! The Redis of the fleet: one that is told, or one of our own that can be stopped.

use std::{env, error::Error, net::TcpListener, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

/// Where Redis is. Our own is killed when this is dropped.
pub(crate) struct Redis {
    pub(crate) url: String,
    own: Option<(Child, TempDir)>,
}

impl Redis {
    /// `REDIS_URL`, or a `redis-server` on a free port of the loopback.
    pub(crate) async fn find_or_start() -> Result<Self, Box<dyn Error>> {
        if let Ok(url) = env::var("REDIS_URL") {
            return Ok(Self { url, own: None });
        }
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .current_dir(folder.path())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!("redis-server: {error}; install it (apt-get install redis-server), or set REDIS_URL")
            })?;
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                let url = format!("redis://127.0.0.1:{port}");
                let own = Some((child, folder));
                return Ok(Self { url, own });
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err("redis-server does not listen after three seconds".into())
    }

    /// Lets it stand still, or go on. `false` when it is not ours to do so.
    pub(crate) fn pause(&self, pause: bool) -> bool {
        let signal = if pause { Signal::STOP } else { Signal::CONT };
        let id = self.own.as_ref().and_then(|(child, _)| child.id());
        let pid = id.and_then(|id| Pid::from_raw(id.cast_signed()));
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}
