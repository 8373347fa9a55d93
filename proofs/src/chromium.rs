//! Headless Chromium, driven over the `DevTools` protocol. `cargo xtask test` installs it.

use std::{path::Path, process::Stdio, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// A machine that is busy needs several times as long as one that is not.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a browser that shows a page. It ends when it is dropped.
///
/// # Panics
///
/// Without Chromium.
pub fn launch(profile: &Path, url: &str) -> Child {
    Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromium is missing; `cargo xtask test` installs it")
}

/// A page in a browser, which ends when it is dropped.
pub struct Page {
    _browser: Child,
    _profile: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    last: u64,
    /// Exceptions, errors and warnings on the console, in their order.
    pub complaints: Vec<String>,
}

impl Page {
    /// Starts a browser and opens a page in it.
    ///
    /// # Panics
    ///
    /// Without Chromium, or when it does not answer, as all methods do.
    pub async fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let browser = launch(profile.path(), "about:blank");
        let port = profile.path().join("DevToolsActivePort");
        let address = timeout(PATIENCE, address(&port)).await.expect("a port");
        let (socket, _) = connect_async(address).await.unwrap();
        let mut page = Self {
            _browser: browser,
            _profile: profile,
            socket,
            session: String::new(),
            last: 0,
            complaints: Vec::new(),
        };
        let target = page
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", attach).await;
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut page.session);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            page.call(domain, json!({})).await;
        }
        page.call("Page.navigate", json!({ "url": url })).await;
        page
    }

    /// Calls a method of the protocol.
    ///
    /// # Panics
    ///
    /// When the browser answers with an error, or not at all.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        let message = Message::text(command.to_string());
        self.socket.send(message).await.unwrap();
        let answer = async {
            loop {
                let message = self.socket.next().await.unwrap().unwrap();
                let Ok(text) = message.to_text() else {
                    continue;
                };
                let Ok(value) = serde_json::from_str::<Value>(text) else {
                    continue;
                };
                if value["id"] == json!(id) {
                    return value;
                }
                self.complaints.extend(complaint(&value));
            }
        };
        let answer = timeout(PATIENCE, answer).await.expect(method);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The value of an expression.
    ///
    /// # Panics
    ///
    /// When the expression throws.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    ///
    /// When it is not within a minute.
    pub async fn until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.eval(expression).await != json!(true) {
            let body = "document.body.innerText.slice(0, 2000)";
            if started.elapsed() > PATIENCE {
                let shown = self.eval(body).await;
                panic!("{expression}\n{shown}\n{:?}", self.complaints);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Presses a key.
    pub async fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let text = if key == "Enter" && kind == "char" {
                "\r"
            } else {
                ""
            };
            if kind == "char" && text.is_empty() {
                continue;
            }
            let params = json!({ "type": kind, "key": key, "code": key, "text": text, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Sets the width of the page, and dark or light.
    pub async fn shape(&mut self, width: u32, scheme: &str) {
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// Writes a picture of the page: all of it, or what is in the window.
    ///
    /// # Panics
    ///
    /// When the file cannot be written.
    pub async fn screenshot(&mut self, file: &Path, whole: bool) {
        let params = json!({ "format": "png", "captureBeyondViewport": whole });
        let answer = self.call("Page.captureScreenshot", params).await;
        let png = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, png).unwrap();
    }
}

async fn address(port: &Path) -> String {
    loop {
        let text = std::fs::read_to_string(port).unwrap_or_default();
        if let Some((port, path)) = text.trim().split_once('\n') {
            return format!("ws://127.0.0.1:{port}{path}");
        }
        sleep(Duration::from_millis(20)).await;
    }
}

fn complaint(message: &Value) -> Option<String> {
    let params = &message["params"];
    match message["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" if params["type"] != "log" => Some(params["args"].to_string()),
        "Log.entryAdded" => Some(params["entry"].to_string()),
        _ => None,
    }
}
