//! A server that speaks the protocol, but gives invalid answers.

use std::{net::SocketAddr, sync::Arc};

use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{Disconnected, OnFailure, RedisRateLimit, RedisServer};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{ask, ms, until};

/// Answers every EVALSHA with these bytes, and other commands like Redis.
async fn fake_server(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
    addr
}

/// Reads commands (arrays of bulk strings) until the caller closes the connection.
async fn serve(stream: TcpStream, answer: &'static [u8]) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let count: usize = line.trim()[1..].parse().expect("a command");
        let mut words = Vec::new();
        for _ in 0..count {
            line.clear();
            reader.read_line(&mut line).await?;
            let mut word = vec![0; line.trim()[1..].parse::<usize>().expect("a length") + 2];
            reader.read_exact(&mut word).await?;
            words.push(word);
        }
        let reply: &[u8] = match words[0].to_ascii_uppercase().as_slice() {
            // With one quota only refunds have ten words. One is sent as a probe of a new
            // connection.
            b"EVALSHA\r\n" if count == 10 => b":1\r\n",
            b"EVALSHA\r\n" => answer,
            b"SCRIPT\r\n" => b"$40\r\n0123456789012345678901234567890123456789\r\n",
            b"TIME\r\n" => b"*2\r\n$10\r\n1790000000\r\n$6\r\n123456\r\n",
            _ => b"+OK\r\n",
        };
        writer.write_all(reply).await?;
    }
}

async fn limit(answer: &'static [u8]) -> RedisRateLimit {
    let server = RedisServer::new(format!("redis://{}", fake_server(answer).await)).expect("a URL");
    let breaker = CircuitBreaker::builder().window(1000).min_calls(1000);
    let limit = RedisRateLimit::builder(server)
        .quota(Quota::per_minute(5).named("q"))
        .deadline(ms(1000))
        .on_failure(OnFailure::Closed)
        .breaker(breaker.build().expect("valid"))
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    limit
}

#[tokio::test]
async fn a_valid_answer_is_accepted() {
    let limit = limit(b"*6\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n:4\r\n:12000000\r\n").await;
    assert!(ask(&limit, &mut ()).await.is_ok());
    let rejected = b"*6\r\n:0\r\n:1790000000123456\r\n:12000000\r\n:1\r\n:0\r\n:12000000\r\n";
    let limit = self::limit(rejected).await;
    let rejection = ask(&limit, &mut ()).await.expect_err("rejected");
    assert_eq!(rejection.retry_after(), Some(ms(12_000)));
    assert_eq!(limit.handle().nonsense(), 0);
}

#[tokio::test]
async fn an_invalid_answer_is_a_failure() {
    let answers: [&[u8]; 16] = [
        b"+OK\r\n",
        b"$-1\r\n",
        b":1\r\n",
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b"*2\r\n:1\r\n:1790000000123456\r\n",
        // Too few, too many, not numbers.
        b"*5\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n:4\r\n",
        b"*7\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n:4\r\n:5\r\n:6\r\n",
        b"*6\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n$1\r\n4\r\n:12000000\r\n",
        // More than asked for; a negative count; more left than the burst.
        b"*6\r\n:2\r\n:1790000000123456\r\n:0\r\n:0\r\n:4\r\n:12000000\r\n",
        b"*6\r\n:-2\r\n:1790000000123456\r\n:0\r\n:0\r\n:4\r\n:12000000\r\n",
        b"*6\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n:6\r\n:12000000\r\n",
        b"*6\r\n:1\r\n:1790000000123456\r\n:0\r\n:0\r\n:-1\r\n:12000000\r\n",
        // A rejection without a wait, with an endless wait, by a quota that does not exist.
        b"*6\r\n:0\r\n:1790000000123456\r\n:0\r\n:1\r\n:0\r\n:12000000\r\n",
        b"*6\r\n:0\r\n:1790000000123456\r\n:9223372036854775807\r\n:1\r\n:0\r\n:12000000\r\n",
        b"*6\r\n:0\r\n:1790000000123456\r\n:12000000\r\n:2\r\n:0\r\n:12000000\r\n",
    ];
    for answer in answers {
        let limit = limit(answer).await;
        let text = String::from_utf8_lossy(answer);
        assert!(ask(&limit, &mut ()).await.is_err(), "{text}");
        let handle = limit.handle();
        assert_eq!((handle.nonsense(), handle.closed()), (1, 1), "{text}");
        assert_eq!((handle.admitted(), handle.rejected()), (0, 0), "{text}");
    }
}

#[tokio::test]
async fn an_error_is_a_failure() {
    for answer in [
        &b"-ERR out of order\r\n"[..],
        b"-OOM command not allowed\r\n",
        // Not found again after the scripts were loaded.
        b"-NOSCRIPT what?\r\n",
    ] {
        let limit = limit(answer).await;
        assert!(ask(&limit, &mut ()).await.is_err());
        let handle = limit.handle();
        assert_eq!((handle.errors(), handle.closed()), (1, 1));
    }
}

/// Detected by a request, since the server answers the first questions of a connection.
#[tokio::test]
async fn an_error_about_the_server_ends_the_connection() {
    for (answer, why) in [
        (&b"-READONLY a replica\r\n"[..], Disconnected::NotWritable),
        (b"-MASTERDOWN no master\r\n", Disconnected::NotWritable),
        (b"-MOVED 1 127.0.0.1:1\r\n", Disconnected::ClusterNode),
        (
            b"-CLUSTERDOWN The cluster is down\r\n",
            Disconnected::ClusterNode,
        ),
        (b"-NOAUTH who?\r\n", Disconnected::Denied),
        (b"-NOPERM not you\r\n", Disconnected::Denied),
        (b"-LOADING wait\r\n", Disconnected::Loading),
        // As before Redis 7.
        (
            b"-ERR Error running script (call to f_1): @user_script:94: -READONLY a replica\r\n",
            Disconnected::NotWritable,
        ),
    ] {
        let limit = limit(answer).await;
        let handle = limit.handle();
        let text = String::from_utf8_lossy(answer);
        assert!(ask(&limit, &mut ()).await.is_err(), "{text}");
        assert_eq!((handle.errors(), handle.closed()), (1, 1), "{text}");
        until("it is closed", || async { handle.lost() == 1 }).await;
        assert_eq!(handle.disconnected(), Some(why), "{text}");
    }
}

#[tokio::test]
async fn bytes_outside_the_protocol_only_break_the_connection() {
    let limit = Arc::new(limit(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
    for _ in 0..20 {
        assert!(ask(&*limit, &mut ()).await.is_err());
    }
    let handle = limit.handle();
    assert_eq!(handle.closed(), 20);
    assert!(handle.lost() > 0);
    until("it is connected again", || async { handle.connected() > 0 }).await;
}

#[tokio::test]
async fn an_answer_that_the_question_has_expired_is_a_timeout() {
    let limit = limit(b"*2\r\n:-1\r\n:1790000000123456\r\n").await;
    assert!(ask(&limit, &mut ()).await.is_err());
    assert_eq!(limit.handle().timeouts(), 1);
}
