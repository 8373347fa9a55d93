//! The board over real sockets.

use std::net::SocketAddr;

use axum::Router;
use plimsoll_dashboard::dashboard;
use plimsoll_metrics::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Sends a request on a connection of its own, and reads the whole answer.
async fn get(addr: SocketAddr, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(of, _)| *of == name)
        .map_or("", |(_, value)| value)
}

/// Paths of what a page loads: its links, its script, and the modules that the script imports.
async fn assets(addr: SocketAddr, folder: &str, page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in page.split("=\"").skip(1) {
        let path = part.split('"').next().unwrap();
        if path.starts_with("./") && !found.iter().any(|of| of == path) {
            found.push(path.to_owned());
        }
    }
    let script = get(addr, &format!("{folder}board.js"), "").await;
    for part in script.split("from \"./").skip(1) {
        found.push(format!("./{}", part.split('"').next().unwrap()));
    }
    found
}

#[tokio::test]
async fn the_page_and_its_files_are_served_under_any_prefix() {
    let metrics = Metrics::new();
    let service = dashboard(&metrics);
    let app = Router::new()
        .nest("/plimsoll", dashboard(&metrics))
        .nest("/a/b/c", dashboard(&metrics))
        .nest("/slash/", dashboard(&metrics))
        .nest_service("/service", service);
    let addr = serve(app).await;
    let own = serve(dashboard(&metrics)).await;
    for (addr, path, folder) in [
        (addr, "/plimsoll", "/"),
        (addr, "/a/b/c", "/a/b/"),
        (addr, "/slash/", "/slash/"),
        (addr, "/service", "/"),
        (addr, "/service/", "/service/"),
        (own, "/", "/"),
    ] {
        let page = get(addr, path, "").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
        let board = if path.ends_with('/') {
            path.to_owned()
        } else {
            format!("{path}/")
        };
        let files = assets(addr, &board, &page).await;
        assert!(files.len() >= 8, "{files:?}");
        for file in files {
            // Links of the page are relative to its folder, imports to that of the script.
            let links = page.contains(&format!("\"{file}\""));
            let url = format!("{}{}", if links { folder } else { &board }, &file[2..]);
            let answer = get(addr, &url, "").await;
            assert!(
                answer.starts_with("HTTP/1.1 200"),
                "{path}: {url}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn each_answer_has_a_strict_policy_and_files_have_tags() {
    let metrics = Metrics::new();
    let addr = serve(Router::new().nest("/plimsoll", dashboard(&metrics))).await;
    for path in [
        "",
        "/board.js",
        "/board.css",
        "/snapshot.json",
        "/history/0.json",
    ] {
        let answer = get(addr, &format!("/plimsoll{path}"), "").await;
        let policy = header(&answer, "content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
    for path in ["/plimsoll", "/plimsoll/board.js"] {
        let etag = header(&get(addr, path, "").await, "etag").to_owned();
        assert!(etag.len() == 18 && etag.starts_with('"'), "{etag}");
        for tags in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            let answer = get(addr, path, &format!("if-none-match: {tags}\r\n")).await;
            assert!(
                answer.starts_with("HTTP/1.1 304") && answer.ends_with("\r\n\r\n"),
                "{answer}"
            );
        }
        let answer = get(addr, path, "if-none-match: \"other\"\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[tokio::test]
async fn a_page_at_a_hostile_path_has_no_markup_of_it() {
    let metrics = Metrics::new();
    let addr = serve(Router::new().nest("/{tenant}", dashboard(&metrics))).await;
    let page = get(addr, "/x\"'&y", "").await;
    assert!(
        page.contains("href=\"./x&quot;&#39;&amp;y/board.css\""),
        "{page}"
    );
}

#[tokio::test]
async fn updates_are_events_over_http_2_as_well() {
    let metrics = Metrics::new();
    metrics.gate("edge");
    let addr = serve(Router::new().nest("/plimsoll", dashboard(&metrics))).await;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--no-buffer",
                "--include",
                version,
                "--max-time",
                "4",
            ])
            .arg(format!("http://{addr}/plimsoll/updates"))
            .output()
            .await
            .expect("curl is missing; `cargo xtask test` installs it");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("content-type: text/event-stream"),
            "{version}: {text}"
        );
        let updates = text.matches("\nevent: update\ndata: {\"number\":").count();
        assert!(updates >= 3, "{version}: {updates} in {text}");
    }
}
