//! From the model to the queue in front of the limit.

use std::time::Duration;

use super::model::Model;

/// Longest queue: its memory is allocated as it is used.
const LONGEST: f64 = 1e6;

/// How many requests may wait, and for how long; `None` while the model has no estimate.
///
/// Under saturation a longer queue serves no request that would not be served without it, so the
/// queue holds one no-load latency's worth of calls, and down to a tenth of that when callers leave
/// before they are answered. While the service keeps up, what waits is a burst, and so it is
/// `during_probe`, which lasts a few windows. Where requests state deadlines, a part of the time that
/// the calls `ahead` leave of it is reserve: with a queue that uses all of it, every answer is nearly
/// late.
pub(super) fn queue(model: &Model, ahead: f64, during_probe: bool) -> Option<(u32, Duration)> {
    let (tuning, inside) = (&model.tuning, model.inside());
    let calm = if during_probe { 1.0 } else { model.calm() };
    // A request that waits for longer than its caller does takes a slot for nothing.
    let stays = (1.0 - model.dropped).powi(2);
    // A request that states its deadline may wait for a part of it.
    let more = model.deadline_left.map_or(1.0, |left| {
        let longest = inside * left / (tuning.longest_wait * model.no_load);
        longest.max(1.0).min(tuning.stated_wait)
    });
    // Enough work is queued in any case, and a shorter queue leaves more of the callers' time.
    let saturated = (1.0 - model.dropped / tuning.noticeable).max(tuning.noticeable);
    let latencies = saturated + (tuning.patience * more - saturated) * calm;
    let patience = model.no_load * latencies * stays;
    let in_time = (model.deadline_left).map_or(f64::INFINITY, |left| {
        let most = model.capacity * left;
        (inside * most - ahead).max(inside * (most - ahead) * (1.0 + calm) / 2.0)
    });
    let len = (model.capacity * patience)
        .min(in_time)
        .ceil()
        .clamp(1.0, LONGEST);
    let longest = (tuning.longest_wait * more * model.no_load).clamp(1e-6, 3600.0);
    (patience > 0.0).then(|| (len as u32, Duration::from_secs_f64(longest)))
}
