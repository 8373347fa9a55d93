//! Settings of the windows.

use std::time::Duration;

use plimsoll_stream::grpc::{InvalidWindows, Windows};

const KIB: u32 = 1 << 10;

#[test]
fn by_default_each_stream_that_is_allowed_has_room_for_its_window() {
    let windows = Windows::default();
    assert_eq!(windows.stream(), 128 * KIB);
    assert_eq!(windows.max_concurrent_streams(), 100);
    assert_eq!(windows.connection(), 100 * 128 * KIB);
    assert_eq!(Windows::builder().build(), Ok(windows));
}

#[test]
fn what_is_not_set_follows_from_what_is() {
    let built = |builder: plimsoll_stream::grpc::WindowsBuilder| {
        let windows = builder.build().unwrap();
        (
            windows.stream(),
            windows.connection(),
            windows.max_concurrent_streams(),
        )
    };
    let builder = Windows::builder;
    let stream = 64 * KIB;
    assert_eq!(built(builder().stream(stream)), (stream, 100 * stream, 100));
    let streams = builder().stream(stream).max_concurrent_streams(200);
    assert_eq!(built(streams), (stream, 200 * stream, 200));
    let few = builder().stream(stream).max_concurrent_streams(3);
    assert_eq!(built(few), (stream, 16 * stream, 3));
    let narrow = builder().stream(stream).connection(20 * stream + 1);
    assert_eq!(built(narrow), (stream, 20 * stream + 1, 20));
    let wide = builder().stream(stream).connection(u32::MAX / 2);
    assert_eq!(built(wide), (stream, u32::MAX / 2, 100));
}

#[test]
fn windows_out_of_bounds_name_field_and_bound() {
    let builder = Windows::builder;
    let keep_alive = |every, timeout| {
        builder().keep_alive(Duration::from_secs(every), Duration::from_secs(timeout))
    };
    for (builder, message) in [
        (
            builder().stream(64 * KIB - 1),
            "stream must be 65536 to 262144 bytes (64 to 256 KiB), got 65535",
        ),
        (
            builder().stream(256 * KIB + 1),
            "stream must be 65536 to 262144 bytes (64 to 256 KiB), got 262145",
        ),
        (
            builder().connection(16 * 128 * KIB - 1),
            "connection must be 2097152 (16 streams) to 2147483647 bytes, got 2097151",
        ),
        (
            builder().connection(1 << 31),
            "connection must be 2097152 (16 streams) to 2147483647 bytes, got 2147483648",
        ),
        (
            builder().max_concurrent_streams(0),
            "max_concurrent_streams must be 1 to 16, whose windows fit that of the connection, got 0",
        ),
        (
            builder()
                .connection(17 * 128 * KIB)
                .max_concurrent_streams(18),
            "max_concurrent_streams must be 1 to 17, whose windows fit that of the connection, got 18",
        ),
        (
            builder().max_concurrent_streams(16_384),
            "max_concurrent_streams must be 1 to 16383, whose windows fit that of the connection, got 16384",
        ),
        (
            keep_alive(0, 1),
            "keep_alive must be longer than 0, got 0 for every",
        ),
        (
            keep_alive(1, 0),
            "keep_alive must be longer than 0, got 0 for timeout",
        ),
    ] {
        let error: InvalidWindows = builder.build().unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(builder().max_concurrent_streams(16_383).build().is_ok());
    assert!(builder().without_keep_alive().build().is_ok());
}
