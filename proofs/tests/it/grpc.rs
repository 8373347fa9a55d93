//! gRPC response streams.

use std::{
    convert::Infallible,
    future::pending,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use plimsoll_stream::{
    Hub, LagPolicy,
    grpc::{Responses, StreamServer, Windows, gaps},
    listener::BackpressureListener,
};
use proofs::{
    client::{Pace, connect},
    face::{
        self, EVERY, Face, Followed, PATIENCE, SIZE, WRITE_DEADLINE, half_open_client, slow_clients,
    },
    proxy::{Kind, Wire},
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Request, Response, Status, Streaming, transport::Endpoint};
use tonic_prost::ProstCodec;
use tower::service_fn;

#[derive(Clone, PartialEq, prost::Message)]
struct Tick {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(uint64, tag = "2")]
    micros: u64,
    #[prost(string, tag = "3")]
    padding: String,
}

type Ticks = Pin<Box<dyn Stream<Item = Result<Tick, Status>> + Send>>;

/// After this time a stream that is not read ends. A slow client opens its window again after half of
/// it, which takes it 1.6 s.
const STREAM_DEADLINE: Duration = Duration::from_secs(4);

/// The windows of a client.
fn windows() -> Windows {
    Windows::builder().stream(64 << 10).build().unwrap()
}

/// A hub of ticks, and what was taken for its clients.
#[derive(Clone)]
struct Ticker {
    hub: Hub<Tick>,
    bytes: Arc<AtomicU64>,
}

impl Ticker {
    async fn publish(hub: Hub<Tick>, start: Instant) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for seq in 0.. {
            tick.tick().await;
            let micros = start.elapsed().as_micros() as u64;
            let padding = "x".repeat(SIZE);
            let tick = Tick {
                seq,
                micros,
                padding,
            };
            if hub.publish(tick).is_err() {
                return;
            }
        }
    }

    fn watch(&self) -> Result<Ticks, Status> {
        let subscriber = self
            .hub
            .subscriber()
            .policy(LagPolicy::Disconnect)
            .max_lag(5_000);
        let bytes = Arc::clone(&self.bytes);
        let ticks = Responses::from_hub(subscriber.subscribe()?, gaps::data_loss);
        let counted = ticks.inspect(move |_| _ = bytes.fetch_add(SIZE as u64, Relaxed));
        Ok(counted.boxed())
    }
}

/// A ticker that is closed when the test ends.
struct Served(Ticker);

impl Drop for Served {
    fn drop(&mut self) {
        self.0.hub.close();
    }
}

/// The ticks of a server, over a socket with a small receive buffer.
async fn call(addr: SocketAddr) -> Result<Streaming<Tick>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let dial = service_fn(move |_| async move { connect(addr).map(TokioIo::new) });
    let endpoint = windows().endpoint(endpoint);
    let channel = endpoint.connect_with_connector(dial);
    let mut grpc = tonic::client::Grpc::new(channel.await.unwrap());
    grpc.ready()
        .await
        .map_err(|error| Status::unknown(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static("/ticks");
    let codec = ProstCodec::<Tick, Tick>::default();
    let answer = grpc.server_streaming(Request::new(Tick::default()), path, codec);
    answer.await.map(Response::into_inner)
}

impl Face for Served {
    const WIRE: Wire = Wire::Grpc;
    const CLIENT: &'static str = "grpc::client_process";

    async fn serve(ip: IpAddr, start: Instant) -> (Self, SocketAddr) {
        let hub = Hub::new(20_000).unwrap();
        let ticker = Ticker {
            hub: hub.clone(),
            bytes: Arc::default(),
        };
        let tcp = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = tcp.local_addr().unwrap();
        let served = ticker.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let ticker = served.clone();
            async move {
                let call = service_fn(move |_: Request<Tick>| {
                    let ticks = ticker.watch();
                    async move { ticks.map(Response::new) }
                });
                let codec = ProstCodec::<Tick, Tick>::default();
                let mut grpc = tonic::server::Grpc::new(codec);
                Ok::<_, Infallible>(grpc.server_streaming(call, request).await)
            }
        });
        let listener = BackpressureListener::builder(tcp).write_deadline(Some(WRITE_DEADLINE));
        let incoming = listener.build().unwrap().incoming();
        let server = StreamServer::builder().write_deadline(STREAM_DEADLINE);
        tokio::spawn(server.build().unwrap().serve(incoming, service));
        tokio::spawn(Ticker::publish(hub, start));
        (Self(ticker), addr)
    }

    fn open(&self) -> usize {
        self.0.hub.subscribers()
    }

    fn bytes_out(&self) -> u64 {
        self.0.bytes.load(Relaxed)
    }

    async fn follow(addr: SocketAddr, start: Instant, time: Duration) -> Followed {
        let mut ticks = call(addr).await.unwrap();
        let (mut followed, mut last) = (Followed::default(), None);
        let end = Instant::now() + time;
        while Instant::now() < end {
            let tick = timeout(PATIENCE, ticks.message()).await.expect("a message");
            let tick = tick.unwrap().expect("a message and not the end");
            assert!(
                last.is_none_or(|last| last + 1 == tick.seq),
                "{last:?}, then {}",
                tick.seq
            );
            last = Some(tick.seq);
            followed.add(start, tick.micros);
            followed.bytes += SIZE as u64;
        }
        followed
    }

    async fn slow(addr: SocketAddr, pace: Pace) {
        let mut ticks = call(addr).await.unwrap();
        match pace {
            Pace::Never => pending().await,
            Pace::Slow { bytes, every } => {
                let every = every * (SIZE / bytes) as u32;
                while let Ok(Some(_)) = ticks.message().await {
                    sleep(every).await;
                }
            }
            Pace::Stops(bytes) => {
                for _ in 0..bytes / SIZE {
                    ticks.message().await.unwrap();
                }
                pending::<()>().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_and_delay_no_other() {
    slow_clients::<Served>(Kind::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_nginx_are_bounded_and_delay_no_other() {
    slow_clients::<Served>(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_haproxy_are_bounded_and_delay_no_other() {
    slow_clients::<Served>(Kind::HaProxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_host_vanishes_is_bounded_and_delays_no_other() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        half_open_client::<Served>(kind).await;
    }
}

#[tokio::test]
#[ignore = "a client of the test above, which runs it in a process of its own"]
async fn client_process() {
    face::client_process::<Served>().await;
}
