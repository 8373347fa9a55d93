//! A real `redis-server` for one test.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A server on a free port of the loopback, in its own folder. Killed when dropped.
pub(crate) struct Server {
    port: u16,
    /// The port for other nodes of a cluster.
    bus: u16,
    more: Vec<String>,
    folder: TempDir,
    child: Child,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With additional arguments.
    pub(crate) fn with(more: &[&str]) -> Self {
        Self::within(tempfile::tempdir().expect("a temporary folder"), more)
    }

    /// A replica of another server, in sync.
    pub(crate) fn replica_of(master: &Self) -> Self {
        let replica = Self::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        replica.wait_for("INFO replication", "master_link_status:up");
        replica
    }

    /// A single sentinel that watches a master under this name.
    #[cfg(feature = "sentinel")]
    pub(crate) fn sentinel(name: &str, master: &Self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Sentinels write to their file, and need it to start.
        let settings = format!(
            "sentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} 500\n\
             sentinel failover-timeout {name} 5000\n",
            master.port
        );
        fs::write(folder.path().join("sentinel.conf"), settings).expect("a file");
        Self::within(folder, &["--sentinel"])
    }

    /// Starts the server. If its port was taken meanwhile, the server ends, and others are tried.
    fn within(folder: TempDir, more: &[&str]) -> Self {
        let more: Vec<_> = more.iter().map(|&argument| argument.to_owned()).collect();
        for _ in 0..5 {
            let (port, bus) = (free_port(), free_port());
            let mut child = spawn(port, bus, folder.path(), &more);
            if is_ready(port, &mut child) {
                return Self {
                    port,
                    bus,
                    more,
                    folder,
                    child,
                };
            }
        }
        panic!("no server:\n{}", log_in(folder.path()));
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port for other nodes of a cluster.
    #[cfg(feature = "cluster")]
    pub(crate) fn bus(&self) -> u16 {
        self.bus
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stalls: connections stay, nothing is answered (SIGSTOP).
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes (SIGCONT).
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Dies without closing connections (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    /// Starts again on the same port, empty: no keys, no scripts.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, self.bus, self.folder.path(), &self.more);
        let ready = is_ready(self.port, &mut self.child);
        assert!(ready, "no server:\n{}", log_in(self.folder.path()));
    }

    /// One inline command. Returns the first line of the answer.
    pub(crate) fn command(&self, line: &str) -> String {
        ask(self.port, line).expect("it answers")
    }

    /// Waits until the answer to a command contains this text.
    pub(crate) fn wait_for(&self, command: &str, text: &str) {
        let mut answer = String::new();
        for _ in 0..1000 {
            answer = self.command(command);
            if answer.contains(text) {
                return;
            }
            pause(Duration::from_millis(10));
        }
        panic!("not within ten seconds: {text} in the answer to {command}, got:\n{answer}");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Tests with other processes have to wait in real time.
#[allow(clippy::disallowed_methods)]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// One command, and the first line or string of the answer.
fn ask(port: u16, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    writeln!(stream, "{line}")?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut answer)?;
    if let Some(length) = answer.strip_prefix('$')
        && let Ok(length) = length.trim().parse::<usize>()
    {
        let mut text = vec![0; length];
        reader.read_exact(&mut text)?;
        return Ok(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(answer.trim().to_owned())
}

/// Waits until this server answers, and not another one on its port. `false` when it has ended.
fn is_ready(port: u16, child: &mut Child) -> bool {
    let own = format!("process_id:{}\r", child.id());
    for _ in 0..1000 {
        match ask(port, "INFO server") {
            Ok(answer) if answer.contains(&own) || answer.starts_with("-NOAUTH") => return true,
            _ => pause(Duration::from_millis(10)),
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
    }
    _ = child.kill();
    _ = child.wait();
    false
}

fn log_in(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn spawn(port: u16, bus: u16, folder: &Path, more: &[String]) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a file");
    let mut server = Command::new("redis-server");
    match more {
        [mode] if mode == "--sentinel" => server.arg("sentinel.conf"),
        _ => server
            .args(["--save", "", "--appendonly", "no"])
            // The master copies to a replica at once, without waiting for others.
            .args(["--repl-diskless-sync-delay", "0"]),
    };
    server
        .current_dir(folder)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(more);
    if more.iter().any(|argument| argument == "--cluster-enabled") {
        server.args(["--cluster-port", &bus.to_string()]);
    }
    server
        .stdin(Stdio::null())
        .stdout(log)
        .spawn()
        .unwrap_or_else(|error| {
            panic!("redis-server: {error}. The tests need one: apt-get install redis-server")
        })
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}
