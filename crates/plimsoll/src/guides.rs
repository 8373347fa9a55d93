//! Guides: a page for each task, with whole programs to paste.
//!
//! The pages are those of [`docs/`](https://github.com/plimsoll-rs/plimsoll/tree/main/docs) in the
//! repository. Every block compiles as displayed. The module exists in the documentation only.

// `docs/links.md` is read before each guide: of several definitions of a link the first one counts,
// so the guides' relative links lead to these modules here, and to files in the repository. When
// rustdoc runs the blocks as tests, a guide is left out if a feature that it needs is off.
macro_rules! guide {
    ($(#[$attribute:meta])* $name:ident, $file:literal) => {
        $(#[$attribute])*
        #[doc = include_str!("../docs/links.md")]
        #[doc = include_str!(concat!("../docs/", $file))]
        pub mod $name {}
    };
}

guide!(choosing_limits, "choosing-limits.md");
guide!(
    #[cfg(any(not(doctest), feature = "redis"))]
    rate_limiting,
    "rate-limiting.md"
);
guide!(keys, "keys.md");
guide!(shedding, "shedding.md");
guide!(rejections, "rejections.md");
guide!(
    #[cfg(any(
        not(doctest),
        all(feature = "redis-cluster", feature = "redis-sentinel")
    ))]
    redis,
    "redis.md"
);
guide!(
    #[cfg(any(not(doctest), feature = "axum"))]
    security,
    "security.md"
);
guide!(
    #[cfg(any(not(doctest), all(feature = "axum", feature = "stream-listener")))]
    streams,
    "streams.md"
);
guide!(slow_consumers, "slow-consumers.md");
guide!(policies, "policies.md");
guide!(clients, "clients.md");
guide!(circuit_breaking, "circuit-breaking.md");
guide!(
    #[cfg(any(not(doctest), feature = "dashboard"))]
    observability,
    "observability.md"
);
guide!(operations, "operations.md");
guide!(testing, "testing.md");
guide!(migration, "migration.md");
