//! Viewers: their number is bounded, and a slow one holds one update.

use plimsoll_dashboard::Dashboard;
use plimsoll_metrics::Metrics;

use crate::support::{frame, get, seconds, update_of, updates};

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_gets_the_latest_update_and_the_others_are_counted() {
    let metrics = Metrics::new();
    let router = Dashboard::new(&metrics).router().unwrap();
    seconds(0).await;
    let mut body = updates(&router).await;
    frame(&mut body).await;
    assert_eq!(update_of(&frame(&mut body).await)["number"], 1);
    seconds(1).await;
    assert_eq!(update_of(&frame(&mut body).await)["number"], 2);
    seconds(10).await;
    assert_eq!(update_of(&frame(&mut body).await)["number"], 12);
    seconds(1).await;
    let update = update_of(&frame(&mut body).await);
    assert_eq!(
        (&update["number"], &update["cost"]["dropped"]),
        (&13.into(), &9.into())
    );
}

#[tokio::test(start_paused = true)]
async fn law_07_the_oldest_viewer_is_let_go_for_a_new_one() {
    let metrics = Metrics::new();
    let router = Dashboard::new(&metrics).viewers(2).router().unwrap();
    seconds(0).await;
    let (mut first, mut second) = (updates(&router).await, updates(&router).await);
    // A page that is loaded twice while its first connections are still there.
    let (mut third, mut fourth) = (updates(&router).await, updates(&router).await);
    for body in [&mut first, &mut second] {
        frame(body).await;
        update_of(&frame(body).await);
        assert!(frame(body).await.starts_with("event: let-go\n"));
        assert_eq!(frame(body).await, "");
    }
    for body in [&mut third, &mut fourth] {
        frame(body).await;
        update_of(&frame(body).await);
    }
    seconds(1).await;
    let update = update_of(&frame(&mut third).await);
    assert_eq!(
        (&update["cost"]["viewers"], &update["cost"]["let_go"]),
        (&2.into(), &2.into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_frees_its_place() {
    let metrics = Metrics::new();
    let router = Dashboard::new(&metrics).router().unwrap();
    seconds(0).await;
    let body = updates(&router).await;
    drop(body);
    seconds(1).await;
    let cost = get(&router, "/snapshot.json").await.json()["cost"].clone();
    assert_eq!((&cost["viewers"], &cost["let_go"]), (&0.into(), &0.into()));
}

#[tokio::test(start_paused = true)]
async fn all_viewers_receive_the_same_bytes() {
    use http_body_util::BodyExt;

    let metrics = Metrics::new();
    let router = Dashboard::new(&metrics).router().unwrap();
    seconds(0).await;
    let mut bodies = [updates(&router).await, updates(&router).await];
    let mut addresses = Vec::new();
    for body in &mut bodies {
        frame(body).await;
        let bytes = body.frame().await.unwrap().unwrap().into_data().unwrap();
        addresses.push(bytes.as_ptr());
    }
    assert_eq!(addresses[0], addresses[1]);
}
