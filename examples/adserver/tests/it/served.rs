//! The ad server as a child process with `--serve`.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

/// A served ad server. Stopped on drop.
pub(crate) struct Served {
    child: Child,
    lines: Receiver<String>,
    /// Its host and port.
    pub(crate) address: String,
}

impl Served {
    /// Starts it with these arguments, and waits for its address.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_adserver"))
            .arg("--serve")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut served = Self {
            child,
            lines,
            address: String::new(),
        };
        let line = served.wait_for("the board: http://", Duration::from_secs(30));
        let address = line.trim_start_matches("the board: http://");
        address
            .trim_end_matches("/plimsoll")
            .clone_into(&mut served.address);
        served
    }

    /// The next line that begins with `start`.
    pub(crate) fn wait_for(&self, start: &str, patience: Duration) -> String {
        loop {
            let line = self.lines.recv_timeout(patience);
            let line = line.unwrap_or_else(|_| panic!("no line begins with {start:?}"));
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // Its parts end with it.
        _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        _ = self.child.wait();
    }
}
