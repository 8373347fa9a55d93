//! The bounded listener in a process without free file descriptors.

use std::{
    env,
    fs::File,
    io::{Read as _, Seek as _},
    process::Command,
    time::Duration,
};

use tokio::{net::TcpStream, runtime, time::sleep};

use crate::listener::{answer, ask, serve, until};

/// Set in the process that has few descriptors.
const FEW: &str = "PLIMSOLL_FEW_DESCRIPTORS";
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Runs in its own process, so that other tests keep their descriptors.
#[test]
fn without_descriptors_it_sleeps_and_then_accepts() {
    if env::var_os(FEW).is_some() {
        return run_without_descriptors();
    }
    let this = "descriptors::without_descriptors_it_sleeps_and_then_accepts";
    let child = Command::new("sh")
        .args(["-c", r#"ulimit -n 64 && exec "$0" "$@""#])
        .arg(env::current_exe().unwrap())
        .args([this, "--exact", "--nocapture"])
        .env(FEW, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let complained = String::from_utf8_lossy(&child.stderr);
    assert!(
        child.status.success() && said.contains("1 passed"),
        "{said}\n{complained}"
    );
}

fn run_without_descriptors() {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let (addr, handle) = serve(1_000, 1_000).await;
        let mut stat = File::open("/proc/self/stat").unwrap(); // while there are descriptors
        for round in 1..=2 {
            // There is no yield to the server's task: when it next runs, there is a connection and
            // no descriptor.
            let client = std::net::TcpStream::connect(addr).unwrap();
            client.set_nonblocking(true).unwrap();
            let mut client = TcpStream::from_std(client).unwrap();
            let all = take_all();
            ask(&mut client, "/").await;
            let metrics = runtime::Handle::current().metrics();
            let busy_before = processor_ticks(&mut stat);
            let parked_before = metrics.worker_park_count(0);
            sleep(Duration::from_millis(500)).await;
            let busy = processor_ticks(&mut stat) - busy_before;
            let parked = metrics.worker_park_count(0) - parked_before;
            assert_eq!((handle.open(), handle.accepted()), (0, round - 1));
            assert!(File::open("/dev/null").is_err(), "no descriptor is free");
            assert!(
                busy < 10 && parked < 50,
                "worked for {busy} of 50 ticks, woke {parked} times"
            );
            drop(all);
            let answer = answer(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert_eq!((handle.open(), handle.accepted()), (1, round));
            drop(client);
            until("the connection is closed", || handle.open() == 0).await;
        }
    });
}

/// Returns the processor time that this process has used, in hundredths of a second. Elapsed time
/// would not do: on a busy machine a sleeping runtime wakes late, and would count as busy.
fn processor_ticks(stat: &mut File) -> u64 {
    let mut line = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut line).unwrap();
    // proc_pid_stat(5): field 2 is the name, in parentheses; fields 14 and 15 are `utime` and
    // `stime`.
    let (_, fields) = line.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    times.map(|time| time.parse::<u64>().unwrap()).sum()
}

/// Opens files until the process has no descriptor left.
fn take_all() -> Vec<File> {
    let mut all = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => all.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES), "{error}");
                return all;
            }
        }
    }
}
