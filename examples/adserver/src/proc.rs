//! Child processes: this binary again, in another role.
//!
//! A child prints its address, reads commands from its standard input, and ends when that closes. So
//! children end with their parent, also when the parent is killed.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
};

use axum::{Router, serve::ListenerExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin, stdin},
    net::TcpListener,
    process::{ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

use crate::settings::OPEN_FILES;

/// A child process. Dropping it kills it.
pub(crate) struct Child {
    process: tokio::process::Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// Starts this binary in another role.
    pub(crate) fn spawn(role: &str, args: &[String]) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--role", role])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            // Outside the terminal's process group: Ctrl-C reaches the parent only, which ends them.
            .process_group(0)
            .spawn()?;
        let missing = || io::Error::other("a pipe to the child is missing");
        let stdin = process.stdin.take().ok_or_else(missing)?;
        let stdout = process.stdout.take().ok_or_else(missing)?;
        Ok(Self {
            process,
            stdin,
            stdout: BufReader::new(stdout).lines(),
        })
    }

    /// Starts a role that listens, and waits for its address.
    pub(crate) async fn listening(role: &str, args: &[String]) -> io::Result<(Self, SocketAddr)> {
        let mut child = Self::spawn(role, args)?;
        let line = child.line().await?;
        let address = line
            .parse()
            .map_err(|_| io::Error::other(format!("{role}: {line:?}")))?;
        Ok((child, address))
    }

    /// Sends it one line.
    pub(crate) async fn tell(&mut self, line: &str) -> io::Result<()> {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await?;
        self.stdin.flush().await
    }

    /// Returns the next line that it prints.
    pub(crate) async fn line(&mut self) -> io::Result<String> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "a child process ended early");
        self.stdout.next_line().await?.ok_or_else(ended)
    }

    /// Returns a reader of its memory.
    pub(crate) fn memory(&self) -> Memory {
        Memory(self.process.id())
    }
}

/// Reads a process's resident memory from Linux's `/proc`; 0 on other systems.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory(Option<u32>);

impl Memory {
    /// Returns the resident memory now, in MiB.
    pub(crate) fn now_mib(self) -> f64 {
        self.status("VmRSS:")
    }

    /// Returns the largest value since the last [`reset_peak`](Self::reset_peak), in MiB.
    pub(crate) fn peak_mib(self) -> f64 {
        self.status("VmHWM:")
    }

    /// Resets the peak.
    pub(crate) fn reset_peak(self) {
        if let Some(pid) = self.0 {
            // Where that is not permitted the peak is that of all phases so far: too high, never too
            // low.
            _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn status(self, field: &str) -> f64 {
        let read = |pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix(field))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        self.0.and_then(read).unwrap_or(0.0) / 1024.0
    }
}

/// The commands that a child reads from its parent.
pub(crate) struct Commands(Lines<BufReader<Stdin>>);

impl Commands {
    pub(crate) fn new() -> Self {
        Self(BufReader::new(stdin()).lines())
    }

    /// Returns the next command, or `None` when the parent has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.0.next_line().await.ok().flatten()
    }
}

/// Serves on a free port of the loopback and prints the address for the parent.
pub(crate) async fn serve(app: Router) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    Ok(tokio::spawn(async move {
        let listener = listener.tap_io(|socket| {
            // Small responses must not wait for the peer's delayed acknowledgement.
            _ = socket.set_nodelay(true);
        });
        _ = axum::serve(listener, app).await;
    }))
}

/// Raises the limit of open files to [`OPEN_FILES`] or the permitted maximum. Children inherit it.
///
/// # Errors
///
/// When fewer than 4,096 are permitted.
pub(crate) fn raise_open_files() -> Result<(), String> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let allowed = maximum.unwrap_or(u64::MAX).min(OPEN_FILES);
    let current = current.unwrap_or(u64::MAX);
    if current < allowed {
        let raised = Rlimit {
            current: Some(allowed),
            maximum,
        };
        setrlimit(Resource::Nofile, raised)
            .map_err(|error| format!("cannot raise open files: {error}"))?;
    }
    if current.max(allowed) < 4_096 {
        return Err(format!(
            "only {allowed} open files are allowed (`ulimit -Hn`), 4096 are needed"
        ));
    }
    Ok(())
}

/// Raises this process's priority, so that the generator keeps its schedule.
///
/// Where that is not permitted nothing changes, and the reported lag shows the effect.
pub(crate) fn go_first() {
    _ = rustix::process::nice(-10);
}
