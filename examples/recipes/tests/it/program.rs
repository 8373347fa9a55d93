//! A running recipe, and a client for it.

use std::{path::PathBuf, process::Stdio, time::Duration};

use http::{HeaderMap, StatusCode};
use reqwest::{Client, RequestBuilder};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// Only a recipe that hangs takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A recipe on a free port. Its process is killed when this is dropped.
pub(crate) struct Program {
    /// Host and port.
    pub(crate) address: String,
    client: Client,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// A response with its whole body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    /// A header as text, empty when it is absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a text"))
    }

    /// Checks the status of a rejection and the policy that it names.
    pub(crate) fn is_rejected(&self, status: u16, policy: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("plimsoll-rejected-by"), policy, "{self:?}");
    }

    /// Checks status and body.
    pub(crate) fn is(&self, status: u16, body: &str) {
        assert_eq!(
            (self.status.as_u16(), self.body.as_str()),
            (status, body),
            "{self:?}"
        );
    }
}

impl Program {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, []).await
    }

    /// Starts the recipe with these environment variables, and waits until it listens.
    pub(crate) async fn start_with<const N: usize>(name: &str, set: [(&str, &str); N]) -> Self {
        let mut process = Command::new(built(name))
            .env("LISTEN", "127.0.0.1:0")
            .envs(set)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the recipe starts");
        let output = process.stdout.take().expect("piped");
        let client = Client::builder().no_proxy();
        let mut program = Self {
            address: String::new(),
            client: client.build().expect("a client without TLS"),
            output: BufReader::new(output).lines(),
            _process: process,
        };
        let line = program.line().await;
        let address = line.rsplit("://").next().expect("an address");
        address.clone_into(&mut program.address);
        program
    }

    /// The next line that the recipe prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.output.next_line()).await;
        let line = line.expect("the recipe prints in time");
        line.expect("text").expect("the recipe still runs")
    }

    /// A request to a path of the recipe.
    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        let method = method.parse().expect("a method");
        self.client.request(method, url).timeout(PATIENCE)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    /// `GET` with one header.
    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        send(self.request("GET", path).header(name, value)).await
    }
}

/// Sends the request and reads the whole response.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await.expect("a whole body"),
    }
}

/// Starts a recipe that ends with an error, and returns what it prints.
pub(crate) async fn failed<const N: usize>(name: &str, set: [(&str, &str); N]) -> String {
    let mut process = Command::new(built(name));
    let output = process.env("LISTEN", "127.0.0.1:0").envs(set).output();
    let output = timeout(PATIENCE, output).await.expect("it ends in time");
    let output = output.expect("the recipe starts");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).expect("text")
}

/// The path of a built recipe. `cargo test` builds all of them, `cargo test --test it` does not.
fn built(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().expect("the path of the test");
    path.pop(); // the test
    path.pop(); // `deps`
    path.extend(["examples", name]);
    let there = path.exists();
    assert!(
        there,
        "{name} is not built: run `cargo build -p recipes --examples`"
    );
    path
}
