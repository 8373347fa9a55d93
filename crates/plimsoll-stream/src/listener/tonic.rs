//! What tonic needs of a connection.

use tonic::transport::server::{Connected, TcpConnectInfo};

use super::io::ClientIo;

/// As for a [`TcpStream`](tokio::net::TcpStream), so that `Request::remote_addr` works.
impl Connected for ClientIo {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.get_ref().connect_info()
    }
}
