//! The people of a shape without a router: for the floors.

use crate::error::BenchError;
use crate::scene::Sockets;
use crate::shape::Shape;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// By a publisher's port: where a floor sends what comes from there.
pub(crate) type Routes = Vec<(u16, Vec<SocketAddr>)>;

/// Everybody's sockets, and where a floor sends what comes from each.
///
/// # Errors
/// No file descriptor is left.
pub(crate) fn strangers(ip: IpAddr, shape: &Shape) -> Result<(Sockets, Routes), BenchError> {
    let failed = |cause| BenchError::part("bench", cause);
    let bind = || UdpSocket::bind((ip, 0)).map_err(failed);
    let address = |socket: &UdpSocket| socket.local_addr().map_err(failed);
    let mut sockets = Sockets::none(shape.media.len());
    let mut routes = Vec::new();
    for (index, media) in shape.media.iter().enumerate() {
        for _ in 0..shape.meetings {
            let everybody = if shape.subscribers == 0 { shape.publishers() } else { 0 };
            let receivers = (0..shape.subscribers.max(everybody))
                .map(|_| bind())
                .collect::<Result<Vec<_>, _>>()?;
            let there = receivers.iter().map(address).collect::<Result<Vec<_>, _>>()?;
            for number in 0..media.publishers {
                let own = receivers.get(number as usize).filter(|_| everybody > 0);
                let socket = match own {
                    Some(socket) => socket.try_clone().map_err(failed)?,
                    None => bind()?,
                };
                let here = address(&socket)?;
                let others = there.iter().filter(|there| **there != here).copied().collect();
                routes.push((here.port(), others));
                sockets.publishers[index].push((socket, number));
            }
            sockets.ports[index].extend(there.iter().map(SocketAddr::port));
            sockets.subscribers[index].extend(receivers);
        }
    }
    Ok((sockets, routes))
}
