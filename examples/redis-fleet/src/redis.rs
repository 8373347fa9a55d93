//! The Redis of the fleet: the one in `REDIS_URL`, or one that this program starts and can pause.

use std::{env, error::Error, net::TcpListener, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

/// The address of Redis. A server started by this program is killed when this is dropped.
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

    /// Pauses or resumes Redis. `false` when it was not started by this program.
    pub(crate) fn pause(&self, pause: bool) -> bool {
        let signal = if pause { Signal::STOP } else { Signal::CONT };
        let id = self.own.as_ref().and_then(|(child, _)| child.id());
        let pid = id.and_then(|id| Pid::from_raw(id.cast_signed()));
        pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
    }
}
