//! What a dashboard reads of a shared limit.
#![allow(clippy::float_cmp, reason = "counts are exact")]

use plimsoll_core::{
    Missing,
    figures::{Figures, REJECTED},
};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::OnFailure;

use crate::{Caller, LONG, ask, builder, server::Server, until};

fn state(of: &impl Figures) -> &'static str {
    let mut state = None;
    of.read(&mut |figure, value| state = state.or_else(|| figure.state_name(value)));
    state.expect("a state")
}

fn count(of: &impl Figures, name: &str, label: Option<&str>) -> f64 {
    let mut found = None;
    of.read(&mut |figure, value| {
        let is_it = figure.name == name && figure.label.map(|(_, value)| value) == label;
        found = found.or(is_it.then_some(value));
    });
    found.expect("the figure")
}

#[tokio::test]
async fn the_state_is_the_fallback_while_redis_is_away() {
    for (on_failure, fallback, decided) in [
        (OnFailure::Local, "local", "local"),
        (OnFailure::Open, "admits all", "admits all"),
        (OnFailure::Closed, "rejects all", "rejects all"),
    ] {
        let mut server = Server::start();
        let limit = builder(&server)
            .quota(Quota::new(1, LONG))
            .per_key(|caller: &Caller| Some(caller.0), Missing::Share, 100)
            .on_failure(on_failure)
            .connect()
            .expect("valid");
        let handle = limit.handle();
        handle.wait_connected().await;
        assert_eq!(
            (handle.policy(), state(&handle)),
            ("redis-rate-limit", "shared")
        );
        _ = ask(&limit, &mut Caller("a")).await;
        assert!(ask(&limit, &mut Caller("a")).await.is_err());
        assert_eq!(count(&handle, "decided", Some("redis")), 1.0);
        assert_eq!(count(&handle, REJECTED.name, None), 1.0);

        server.kill();
        until("the fallback", async || {
            _ = ask(&limit, &mut Caller("b")).await;
            state(&handle) == fallback
        })
        .await;
        assert!(count(&handle, "decided", Some(decided)) >= 1.0);
        let mut texts = Vec::new();
        handle.settings(&mut |name, text| texts.push((name, text.to_string())));
        assert!(
            texts.contains(&("without Redis", fallback.to_owned())),
            "{texts:?}"
        );
    }
}
