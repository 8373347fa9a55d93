//! The cost of a rejection for the server, over HTTP.

use std::time::Duration;

use axum::{Router, routing::get};
use http::StatusCode;
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::Policy as _;
use serde_json::{Map, Value, json};
use tokio::{runtime::Builder, time::Instant};

use crate::{
    Failed, contenders,
    generator::{ask_for, connect},
    server::{Server, used},
};

/// Requests of one turn.
const REQUESTS: u32 = 1000;
const ROUNDS: usize = 15;
/// The time of a handler, for comparison with a rejection.
const HANDLER: Duration = Duration::from_millis(1);
const CPU: &str = "/cpu";
/// The cheapest response, and the rejections.
const PATHS: [(&str, &str, StatusCode); 3] = [
    ("an answer of one word", "/hello", StatusCode::OK),
    (
        "tower limit + load shed, refusing",
        "/tower",
        StatusCode::SERVICE_UNAVAILABLE,
    ),
    (
        "plimsoll fixed, refusing",
        "/plimsoll",
        StatusCode::SERVICE_UNAVAILABLE,
    ),
];

fn routes() -> Router {
    let hello = || Router::new().route("/", get(async || "hello"));
    let limit = ConcurrencyLimit::new(1).expect("a limit within bounds");
    // The only slot is taken and never released.
    _ = limit.admit(&mut (), Instant::now());
    let full = limit.into_layer();
    Router::new()
        .route(CPU, get(async || used().as_nanos().to_string()))
        .nest("/hello", hello())
        .nest("/tower", contenders::tower(hello(), 0))
        .nest("/plimsoll", hello().layer(full))
}

pub fn run() -> Result<Value, Failed> {
    let server = Server::start(routes())?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let turns = runtime.block_on(async {
        let mut client = connect(server.addr).await?;
        let mut turns = PATHS.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for ((_, path, status), turns) in PATHS.iter().zip(&mut turns) {
                let before = cpu(&mut client).await?;
                for _ in 0..REQUESTS {
                    let (answered, _) = ask_for(&mut client, path).await?;
                    if answered != *status {
                        return Err(format!("{path} answered {answered}").into());
                    }
                }
                let spent = cpu(&mut client).await?.saturating_sub(before);
                turns.push(spent.as_secs_f64() * 1e6 / f64::from(REQUESTS));
            }
        }
        Ok::<_, Failed>(turns)
    })?;
    let figures = turns.map(benches::contention::median);
    println!(
        "\nmicroseconds of the server's processor per request, the kernel's part included, median round\n{:<40}{:>10}{:>14}{:>22}",
        "", "in all", "over a word", "of a 1 ms handler"
    );
    let mut table = Map::new();
    for ((name, ..), figure) in PATHS.iter().zip(figures) {
        let over = figure - figures[0];
        let share = over / 1e6 / HANDLER.as_secs_f64();
        println!(
            "{name:<40}{figure:>10.2}{over:>14.2}{:>20.2} %",
            share * 1e2
        );
        table.insert(
            (*name).to_owned(),
            json!({"us": figure, "over_a_word_us": over, "of_a_1_ms_handler": share}),
        );
    }
    Ok(table.into())
}

async fn cpu(
    client: &mut hyper::client::conn::http1::SendRequest<benches::cases::Empty>,
) -> Result<Duration, Failed> {
    let (_, nanos) = ask_for(client, CPU).await?;
    Ok(Duration::from_nanos(std::str::from_utf8(&nanos)?.parse()?))
}
