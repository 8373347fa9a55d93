//! The laws, as the core's test kit checks them on any policy.

use plimsoll_core::test_kit::Contract;
use plimsoll_load_shed::LoadShed;

#[tokio::test(start_paused = true)]
async fn load_shed_keeps_the_laws() {
    Contract::new(|| LoadShed::new(|| 0.5)).check_all().await;
}
