//! Runs the program, fills its queue, and ends it with Ctrl-C.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// Longer than anything here takes, also in a debug build on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    addr: SocketAddr,
}

impl Program {
    /// One worker, and a queue of two jobs.
    async fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_image-queue"))
            .envs([
                ("LISTEN", "127.0.0.1:0"),
                ("WORKERS", "1"),
                ("CAPACITY", "2"),
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let addr = first
            .strip_prefix("listening on http://")
            .unwrap()
            .parse()
            .unwrap();
        Self { child, lines, addr }
    }

    async fn stat(&self, name: &str) -> usize {
        let answer = send(self.addr, "GET", "/stats", b"").await;
        let text = String::from_utf8(answer.body).unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        value.unwrap().parse().unwrap()
    }

    async fn until(&self, name: &str, value: usize) {
        let waits = async {
            while self.stat(name).await != value {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waits).await.expect(name);
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

async fn send(addr: SocketAddr, method: &str, target: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A rejected upload is not read to its end.
    _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    // And the server may close before it has read it.
    _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("an answer");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let body = answer.split_off(end + 4);
    let head = String::from_utf8(answer).unwrap();
    let status = head[9..12].parse().unwrap();
    Answer { status, head, body }
}

/// A grey image with a pattern.
fn image(side: usize) -> Vec<u8> {
    let mut image = format!("P5\n{side} {side}\n255\n").into_bytes();
    image.extend((0..side * side).map(|n| (n * 31 % 251) as u8));
    image
}

/// An upload whose job takes much longer than the steps of the tests.
fn upload(addr: SocketAddr, target: &'static str) -> JoinHandle<Answer> {
    tokio::spawn(async move { send(addr, "POST", target, &image(200)).await })
}

const SLOW: &str = "/images?radius=3&passes=120";

/// One job that runs and two that are queued.
async fn fill(program: &Program) -> Vec<JoinHandle<Answer>> {
    let mut uploads = vec![upload(program.addr, SLOW)];
    program.until("running", 1).await;
    for queued in 1..=2 {
        uploads.push(upload(program.addr, SLOW));
        program.until("waiting", queued).await;
    }
    uploads
}

#[tokio::test]
async fn a_full_queue_answers_503_or_a_thumbnail_and_the_rest_is_blurred() {
    let program = Program::start().await;
    let addr = program.addr;
    let uploads = fill(&program).await;
    assert_eq!(program.stat("waiting_bytes").await, 2 * image(200).len());

    let started = Instant::now();
    let rejected = send(addr, "POST", "/images", &image(200)).await;
    assert_eq!(rejected.status, 503);
    assert!(rejected.head.contains("retry-after: "), "{}", rejected.head);
    assert!(rejected.head.contains("plimsoll-rejected-by: work-queue"));
    assert!(
        rejected
            .head
            .contains("content-type: application/problem+json")
    );
    assert_eq!(send(addr, "POST", "/jobs", &image(8)).await.status, 503);

    let degraded = send(addr, "POST", "/previews", &image(200)).await;
    assert_eq!(degraded.status, 200);
    assert!(
        degraded
            .head
            .contains("plimsoll-degraded: rejected;policy=\"work-queue\"")
    );
    assert!(degraded.body.starts_with(b"P5\n50 50\n255\n"));
    assert!(
        started.elapsed() < PATIENCE / 2,
        "at once, and not after the jobs"
    );
    assert_eq!(program.stat("waiting").await, 2, "the queue is still full");

    let mut bodies = Vec::new();
    for upload in uploads {
        let answer = upload.await.unwrap();
        assert_eq!(answer.status, 200);
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "the same upload has the same result");
    assert_ne!(bodies[0], image(200));
    assert_eq!(bodies[0].len(), image(200).len());

    // With room in the queue there is no thumbnail.
    let preview = send(addr, "POST", "/previews?passes=1", &image(200)).await;
    assert_eq!(preview.status, 200);
    assert!(!preview.head.contains("degraded") && preview.body.len() == image(200).len());
    let broken = send(addr, "POST", "/images", b"GIF89a").await;
    assert_eq!(
        (broken.status, &broken.body[..]),
        (400, &b"the body must begin with P5 or P6"[..])
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_its_place() {
    let program = Program::start().await;
    let uploads = fill(&program).await;
    uploads[2].abort();
    program.until("hung_up", 1).await;
    program.until("waiting", 1).await;
    let next = upload(program.addr, "/images?passes=1");
    assert_eq!(next.await.unwrap().status, 200);
}

#[tokio::test]
async fn ctrl_c_drains_the_queue() {
    let mut program = Program::start().await;
    let addr = program.addr;
    let running = upload(addr, SLOW);
    program.until("running", 1).await;
    let accepted = send(addr, "POST", "/jobs?passes=20", &image(200)).await;
    assert_eq!(accepted.status, 202);
    assert!(accepted.head.contains("location: /jobs/0"));
    assert_eq!(
        send(addr, "GET", "/jobs/0", b"").await.status,
        202,
        "pending"
    );
    assert_eq!(send(addr, "GET", "/jobs/1", b"").await.status, 404);
    let queued = upload(addr, SLOW);
    program.until("waiting", 2).await;

    let pid = Pid::from_raw(program.child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(
        program.lines.next_line().await.unwrap().as_deref(),
        Some("draining")
    );
    assert_eq!(running.await.unwrap().status, 200);
    assert_eq!(queued.await.unwrap().status, 200);
    let last = timeout(PATIENCE, program.lines.next_line())
        .await
        .unwrap()
        .unwrap();
    assert!(last.unwrap().starts_with("finished "));
    let status = timeout(PATIENCE, program.child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_job_that_was_handed_over_has_a_result() {
    let program = Program::start().await;
    let accepted = send(program.addr, "POST", "/jobs?passes=1&radius=2", &image(50)).await;
    assert_eq!(accepted.status, 202);
    let result = async {
        loop {
            let answer = send(program.addr, "GET", "/jobs/0", b"").await;
            if answer.status != 202 {
                return answer;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let result = timeout(PATIENCE, result).await.unwrap();
    assert_eq!(result.status, 200);
    let waited = send(
        program.addr,
        "POST",
        "/images?passes=1&radius=2",
        &image(50),
    )
    .await;
    assert_eq!(result.body, waited.body, "the same as with a wait");
}
