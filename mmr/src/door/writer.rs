//! The task that writes a connection, from its queue, a few frames at a time.

use super::connection::Connection;
use super::hall::Hall;
use super::limits::WRITE_LEN;
use super::socket::Socket;
use router::DropReason;
use std::rc::Rc;
use std::time::Instant;

/// Writes until the connection ends.
pub(super) async fn serve<S: Socket>(hall: Rc<Hall<S>>, connection: Rc<Connection<S>>) {
    let mut out = Vec::with_capacity(WRITE_LEN);
    loop {
        connection.wait_for_work().await;
        loop {
            out.clear();
            let drops = &mut |reason| hall.count_drop(reason);
            let packets = connection.fill(&mut out, Instant::now(), drops);
            if out.is_empty() {
                break;
            }
            connection.set_writing(true);
            let sent;
            (sent, out) = write_all(&connection.socket, out).await;
            connection.set_writing(false);
            if !sent {
                hall.add_drops(DropReason::StreamClosed, packets);
                // The reader notices and ends the connection.
                connection.hang_up();
                return;
            }
            tokio::task::consume_budget().await;
        }
        if connection.is_closing() {
            connection.hang_up();
            return;
        }
    }
}

/// Writes to the end, however long the peer takes: a frame once begun is finished. Only a
/// connection that ends stops it.
async fn write_all<S: Socket>(socket: &S, mut bytes: Vec<u8>) -> (bool, Vec<u8>) {
    let mut sent = 0;
    while sent < bytes.len() {
        let (result, back) = socket.write(bytes, sent).await;
        bytes = back;
        match result {
            Ok(0) | Err(_) => return (false, bytes),
            Ok(len) => sent += len,
        }
    }
    (true, bytes)
}
