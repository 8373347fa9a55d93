//! Runs the program, with clients that are fast, slow and stalled.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: &str = r#"{"event":"flow.pause","reason":"test"}"#;
const RESUME: &str = r#"{"event":"flow.resume"}"#;

struct Program {
    child: Child,
    addr: SocketAddr,
}

impl Program {
    async fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_websocket-ticker"))
            .envs([
                ("LISTEN", "127.0.0.1:0"),
                ("TICK_MS", "5"),
                ("CAPACITY", "20"),
            ])
            .envs([("OVER_MARK_MS", "500"), ("WRITE_DEADLINE_MS", "1000")])
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
        Self { child, addr }
    }

    async fn connect(&self, strategy: &str) -> Socket {
        connect_async(format!("ws://{}/ticks/{strategy}", self.addr))
            .await
            .unwrap()
            .0
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn stats(&self) -> Value {
        let answer = self.get("/stats").await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        let waits = async {
            while !condition(&self.stats().await) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, waits).await.expect(what);
    }
}

async fn next(socket: &mut Socket) -> Message {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message");
        match message.expect("is open").expect("is valid") {
            Message::Ping(_) | Message::Pong(_) => {}
            message => return message,
        }
    }
}

async fn next_json(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

/// The number of the next tick, and how many the gaps in front of it announce.
async fn next_tick(socket: &mut Socket) -> (u64, u64) {
    let mut lost = 0;
    loop {
        let message = next_json(socket).await;
        if message["event"] == "flow.gap" {
            lost += message["to"].as_u64().unwrap() - message["from"].as_u64().unwrap() + 1;
        } else if let Some(tick) = message["tick"].as_u64() {
            return (tick, lost);
        }
    }
}

#[tokio::test]
async fn each_strategy_treats_a_slow_client_in_its_own_way() {
    let program = Program::start().await;
    for strategy in ["oldest", "newest"] {
        let mut fast = program.connect(strategy).await;
        let mut slow = program.connect(strategy).await;
        let (mut last, _) = next_tick(&mut slow).await;
        slow.send(Message::text(PAUSE)).await.unwrap();
        let at = |stats: &Value, name: &str| stats["strategies"][strategy][name].as_u64().unwrap();
        program
            .until("ticks are dropped", |stats| at(stats, "dropped") >= 100)
            .await;
        assert_eq!(at(&program.stats().await, "paused"), 1);
        slow.send(Message::text(RESUME)).await.unwrap();

        // All ticks follow each other, but for announced gaps.
        let mut lost = 0;
        for _ in 0..200 {
            let (tick, gap) = next_tick(&mut slow).await;
            assert_eq!(tick, last + gap + 1, "{strategy}");
            (last, lost) = (tick, lost + gap);
        }
        assert!(lost >= 100, "{strategy}: {lost}");
        // The neighbour has missed nothing.
        let (mut before, _) = next_tick(&mut fast).await;
        for _ in 0..100 {
            let (tick, gap) = next_tick(&mut fast).await;
            assert_eq!((tick, gap), (before + 1, 0), "{strategy}");
            before = tick;
        }
    }
}

#[tokio::test]
async fn a_blocking_client_loses_nothing_or_is_closed() {
    let program = Program::start().await;
    let mut slow = program.connect("block").await;
    let (mut last, _) = next_tick(&mut slow).await;
    slow.send(Message::text(PAUSE)).await.unwrap();
    sleep(Duration::from_millis(200)).await;
    slow.send(Message::text(RESUME)).await.unwrap();
    for _ in 0..200 {
        let (tick, gap) = next_tick(&mut slow).await;
        assert_eq!((tick, gap), (last + 1, 0));
        last = tick;
    }
    slow.send(Message::text(PAUSE)).await.unwrap();
    let frame = loop {
        if let Message::Close(frame) = next(&mut slow).await {
            break frame.unwrap();
        }
    };
    assert_eq!(u16::from(frame.code), 4008);
    assert_eq!(frame.reason.as_str(), "slow consumer: queue above its mark");
    let stats = program.stats().await;
    assert_eq!(stats["strategies"]["block"]["disconnected"], 1);
    assert_eq!(stats["strategies"]["block"]["dropped"], 0);
}

#[tokio::test]
async fn a_page_with_three_connections_is_served() {
    let program = Program::start().await;
    let page = program.get("/").await;
    assert!(page.starts_with("HTTP/1.1 200 OK") && page.contains("content-type: text/html"));
    assert!(page.contains(r#"<link rel=icon href="data:,">"#));
    let missing = connect_async(format!("ws://{}/ticks/random", program.addr)).await;
    assert!(missing.unwrap_err().to_string().contains("404"));
}

#[tokio::test]
async fn ctrl_c_closes_the_clients_and_ends_the_program() {
    let mut program = Program::start().await;
    let mut client = program.connect("oldest").await;
    next_tick(&mut client).await;
    let pid = Pid::from_raw(program.child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let frame = loop {
        if let Message::Close(frame) = next(&mut client).await {
            break frame.unwrap();
        }
    };
    assert_eq!(u16::from(frame.code), 1001);
    let status = timeout(PATIENCE, program.child.wait())
        .await
        .unwrap()
        .unwrap();
    assert!(status.success());
}
