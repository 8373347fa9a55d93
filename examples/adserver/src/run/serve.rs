//! `--serve`: the protected server stays up, under one storm after another.

use std::{future::pending, path::Path};

use super::{plan::Plan, play};
use crate::{
    args::Options,
    cast::Cast,
    figures::Server,
    report,
    settings::nominal_capacity,
    tally::{Line, Tally},
};

/// Serves until the caller drops the future. Runs the phases again and again, or `--rounds` times.
pub(super) async fn serve(options: &Options, folder: &Path) -> Result<(), String> {
    let failed = |error| format!("a part failed: {error}");
    let plan = Plan::of(options)?;
    let capacity = nominal_capacity();
    let role = Server::Plimsoll.role();
    let mut cast = Cast::start(role, capacity, folder).await.map_err(failed)?;
    announce(&cast);

    let mut total = Tally::default();
    let mut round = 0;
    while options.rounds.is_none_or(|rounds| round < rounds) {
        round += 1;
        for (number, phase) in plan.phases.iter().enumerate() {
            let load = plan.load(phase, number, capacity, &cast);
            let mut second = 0;
            let run = cast.play(&load, &phase.events, |now| {
                second += 1;
                play::progress(Server::Plimsoll, phase, second, capacity, now);
            });
            total.add(&run.await.map_err(failed)?.total);
        }
        println!("{}", report::totals(round, &total));
        if let Some(path) = &options.json {
            let line = serde_json::to_string(&Line::Total(total.clone()));
            let line = line.map_err(|error| error.to_string())?;
            std::fs::write(path, line)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    println!("no more load; the server stays up until Ctrl-C");
    // The caller waits for Ctrl-C. `cast` must live until then.
    let () = pending().await;
    drop(cast);
    Ok(())
}

fn announce(cast: &Cast) {
    let target = cast.target;
    println!("the board: http://{target}/plimsoll");
    println!("until Ctrl-C; try also:");
    println!("  curl -i -X POST -H 'x-publisher: me' http://{target}/auction");
    println!(
        "  curl -i -X POST -d 'seen' -H 'x-criticality: CRITICAL_PLUS' http://{target}/impression"
    );
    println!("  curl http://{target}/metrics");
    println!("  curl -i http://{target}/health/load\n");
}
