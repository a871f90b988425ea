//! The two gateways: side by side on loopback, each in front of its own pair of upstreams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;

use crate::stage::{PerSide, Side};

pub mod bare;
mod forward;
mod levels;
pub mod plan;
pub mod protected;
#[cfg(test)]
mod tests;

pub use forward::Way;

/// Takes the ports of both gateways: `port` and the one after it, or two free ones.
pub fn bind(port: Option<u16>) -> anyhow::Result<PerSide<TcpListener>> {
    Ok(PerSide {
        protected: listen(port)?,
        bare: listen(port.map(|port| port + 1))?,
    })
}

fn listen(port: Option<u16>) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!("port {} is taken", address.port()),
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves `app` until storm ends.
///
/// Each gateway has a thread and a runtime of its own, so neither can borrow the other's.
pub fn serve(side: Side, listener: TcpListener, app: Router) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name(format!("{} gateway", side.name()))
        .spawn(move || runtime.block_on(accept(listener, app)))
        .context("starting a gateway")?;
    Ok(())
}

async fn accept(listener: TcpListener, app: Router) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).await
}
