//! A real Prometheus scrapes the ad server under a storm, and an alert of `docs/alerts` fires.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::served::Served;

/// How long an alert may take, in real time: some seconds of load, two of `for`, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// A Prometheus on loopback. Stopped on drop.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts the program that the variable `PROMETHEUS` names, by default `prometheus`.
    fn start(folder: &Path, target: &str) -> Self {
        _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        // The rules of the guide, with shorter times: the storm is short.
        let rules = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/alerts/plimsoll.rules.yml"
        );
        let rules = fs::read_to_string(rules).unwrap();
        let rules = rules.replace("[1m]", "[5s]");
        let rules = rules
            .replace("for: 30s", "for: 2s")
            .replace("for: 1m", "for: 2s");
        fs::write(folder.join("rules.yml"), rules).unwrap();
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [rules.yml]\n\
             scrape_configs:\n  - job_name: ads\n    static_configs: [{{ targets: [\"{target}\"] }}]\n"
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let program = std::env::var("PROMETHEUS").unwrap_or_else(|_| "prometheus".to_owned());
        let child = Command::new(program)
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .expect("Prometheus can be started: install the package `prometheus`");
        Self { child, port }
    }

    /// The answer of its API; `None` until it is ready.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!("GET /api/v1/{path} HTTP/1.0\r\nhost: prometheus\r\n\r\n");
        socket.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    fn firing(&self) -> Vec<(String, String)> {
        let answer = self.ask("alerts").unwrap_or_default();
        let alerts = answer["data"]["alerts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        alerts
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| {
                (
                    text(&alert["labels"]["alertname"]),
                    text(&alert["labels"]["gate"]),
                )
            })
            .collect()
    }
}

#[tokio::test]
async fn an_alert_fires_during_the_storm() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus");
    let served = Served::start(&["--phases", "10x", "--seconds", "60", "--rounds", "1"]);
    let prometheus = Prometheus::start(&folder, &served.address);
    let expected = ("PlimsollRejects".to_owned(), "auction".to_owned());
    let start = Instant::now();
    while !prometheus.firing().contains(&expected) {
        let targets = prometheus.ask("targets");
        assert!(
            start.elapsed() < PATIENCE,
            "{:?} {targets:?}",
            prometheus.firing()
        );
        sleep(Duration::from_millis(200)).await;
    }
    // The scrape itself is healthy: no error of its parser.
    let targets = prometheus.ask("targets").unwrap();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(
        (target["health"].as_str(), target["lastError"].as_str()),
        (Some("up"), Some(""))
    );
}
