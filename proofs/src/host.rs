//! A host that vanishes: a network namespace behind a link that is cut.

use std::{
    env, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{self, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use tokio::process::{Child, Command};

/// Where the client on the host connects.
const SERVER: &str = "PROOFS_SERVER";

/// A host beside this one, with an address of its own. It is removed when this is dropped.
#[derive(Debug)]
pub struct Host {
    name: String,
    /// The address of this side of the link.
    pub near: IpAddr,
}

impl Host {
    /// Adds a host, and the link to it. Only root may do that.
    ///
    /// # Errors
    ///
    /// `ip` is missing, or does not succeed.
    pub fn new() -> io::Result<Self> {
        static HOSTS: AtomicU32 = AtomicU32::new(0);
        let number = HOSTS.fetch_add(1, Relaxed);
        let name = format!("p{}n{number}", process::id());
        // One of the networks of four addresses in 198.18.0.0/15, which is for tests of networks.
        let network = process::id().wrapping_mul(31).wrapping_add(number) % (1 << 15);
        let address = |n| Ipv4Addr::from_bits(0xc612_0000 + 4 * network + n);
        let (near, far) = (address(1), address(2));
        ip(&format!("netns add {name}"))?;
        let host = Self {
            name: name.clone(),
            near: near.into(),
        };
        ip(&format!(
            "link add {name} type veth peer name far netns {name}"
        ))?;
        ip(&format!("addr add {near}/30 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        ip(&format!("-n {name} addr add {far}/30 dev far"))?;
        ip(&format!("-n {name} link set far up"))?;
        Ok(host)
    }

    /// Runs one ignored test of this program on the host, as a client of this server.
    ///
    /// # Errors
    ///
    /// The program does not start.
    pub fn client(&self, test: &str, server: SocketAddr) -> io::Result<Child> {
        Command::new("ip")
            .args(["netns", "exec", &self.name])
            .arg(env::current_exe()?)
            .args(["--ignored", "--exact", test])
            .env(SERVER, server.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    }

    /// Cuts the link at the far side: from now on the host answers nothing, and sends nothing, not
    /// even that its connections end.
    ///
    /// # Errors
    ///
    /// `ip` does not succeed.
    pub fn vanish(&self) -> io::Result<()> {
        ip(&format!("-n {} link set far down", self.name))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The link goes with its end in the namespace.
        _ = ip(&format!("link del {}", self.name));
        _ = ip(&format!("netns del {}", self.name));
    }
}

/// The server of the client that this process is, if it is one.
pub fn server() -> Option<SocketAddr> {
    env::var(SERVER).ok()?.parse().ok()
}

fn ip(args: &str) -> io::Result<()> {
    let run = process::Command::new("ip").args(args.split(' ')).output()?;
    if run.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&run.stderr);
    Err(io::Error::other(format!("ip {args}: {text}")))
}
