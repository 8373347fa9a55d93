//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers: retries with a budget,
//! hedging and throttling for any Tower client.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
