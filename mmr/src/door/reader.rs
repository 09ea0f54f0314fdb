//! The task that reads a connection and owns its life: from accept to the news of its end.

use super::connection::Connection;
use super::frames::Frames;
use super::greeting::{Greeted, greet};
use super::hall::Hall;
use super::limits::{CLOSED_PAUSE, READ_LEN};
use super::socket::Socket;
use super::writer;
use crate::exchange::ControlStream;
use rustls::ServerConnection;
use std::future::Future;
use std::net::TcpStream;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;
use wire::Transport;

/// Why a connection is read no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer went, or control closed it.
    Closed,
    /// It broke a rule, a limit or a deadline.
    Refused,
    /// Control has it now.
    Passed,
}

/// Serves a connection until its end.
pub(super) async fn serve<S: Socket>(hall: Rc<Hall<S>>, connection: Rc<Connection<S>>) {
    let mut frames = Frames::new(Rc::clone(&hall), Rc::clone(&connection));
    let end = match connection.path().transport() {
        Transport::Tls => serve_tls(&hall, &connection, &mut frames).await,
        Transport::Tcp | Transport::Udp => {
            serve_media(&hall, &connection, &mut frames, None, &[]).await
        }
    };
    match end {
        End::Passed => connection.let_go(),
        End::Closed => {
            if connection.is_unproved() {
                hall.abandon();
            }
            connection.cut();
        }
        End::Refused => {
            hall.refuse();
            connection.cut();
        }
    }
    hall.leave(&connection);
    if frames.delivered() {
        // The worker must hear of it, or would send to nobody; the connection's place is held until
        // it did, so that what waits here is bounded by the cap on connections.
        while !hall.deliver_closed(connection.path()) && !hall.is_stopping() {
            tokio::time::sleep(CLOSED_PAUSE).await;
        }
    }
}

async fn serve_tls<S: Socket>(
    hall: &Rc<Hall<S>>,
    connection: &Rc<Connection<S>>,
    frames: &mut Frames<S>,
) -> End {
    match greet(connection, hall.tls()).await {
        Ok(Greeted::Media { tls, early }) => {
            serve_media(hall, connection, frames, Some(tls), &early).await
        }
        Ok(Greeted::Control { hello }) => pass_on(hall, connection, hello),
        Err(end) => end,
    }
}

/// Gives control the connection, by a descriptor of its own.
fn pass_on<S: Socket>(hall: &Hall<S>, connection: &Connection<S>, hello: Vec<u8>) -> End {
    let Ok(descriptor) = connection.socket.fd().try_clone_to_owned() else {
        return End::Refused;
    };
    let socket = TcpStream::from(descriptor);
    if socket.set_nonblocking(true).is_err() {
        return End::Refused;
    }
    let remote = connection.path().remote();
    if hall.pass_to_control(ControlStream { socket, hello, remote }) {
        End::Passed
    } else {
        End::Refused
    }
}

/// Reads frames, beginning with the `early` bytes that came with the handshake.
async fn serve_media<S: Socket>(
    hall: &Rc<Hall<S>>,
    connection: &Rc<Connection<S>>,
    frames: &mut Frames<S>,
    tls: Option<Box<ServerConnection>>,
    early: &[u8],
) -> End {
    connection.begin_media(tls, Instant::now());
    tokio::task::spawn_local(writer::serve(Rc::clone(hall), Rc::clone(connection)));
    let room = hall.wait_for_room(connection).await;
    if let Err(end) = frames.receive_plain(early, Instant::now()) {
        return end;
    }
    drop(room);
    let mut buffer = vec![0; READ_LEN];
    loop {
        match read(connection, buffer).await {
            Ok((len, back)) => {
                let heard_at = Instant::now();
                let _room = hall.wait_for_room(connection).await;
                if let Err(end) = frames.receive(&back[..len], heard_at) {
                    return end;
                }
                buffer = back;
            }
            Err(end) => return end,
        }
        // A peer that always has more to say lets others speak too.
        tokio::task::consume_budget().await;
    }
}

/// Reads once; ends at the connection's deadline.
pub(super) async fn read<S: Socket>(
    connection: &Connection<S>,
    buffer: Vec<u8>,
) -> Result<(usize, Vec<u8>), End> {
    match before_deadline(connection, connection.socket.read(buffer)).await? {
        (Ok(0) | Err(_), _) => Err(End::Closed),
        (Ok(len), buffer) => {
            connection.note_heard(Instant::now());
            Ok((len, buffer))
        }
    }
}

/// Writes everything; ends at the connection's deadline. For the greeting: later the writer's task
/// writes.
pub(super) async fn send<S: Socket>(
    connection: &Connection<S>,
    mut bytes: Vec<u8>,
) -> Result<(), End> {
    let mut sent = 0;
    while sent < bytes.len() {
        let write = connection.socket.write(bytes, sent);
        let (result, back) = before_deadline(connection, write).await?;
        bytes = back;
        match result {
            Ok(0) | Err(_) => return Err(End::Closed),
            Ok(len) => sent += len,
        }
    }
    Ok(())
}

/// Waits for `operation` until the connection's deadline, which may move meanwhile. The operation
/// is given up then, not taken back: the connection must be cut.
async fn before_deadline<S: Socket, F: Future>(
    connection: &Connection<S>,
    operation: F,
) -> Result<F::Output, End> {
    let mut operation = pin!(operation);
    loop {
        let deadline = connection.deadline();
        tokio::select! {
            biased;
            output = &mut operation => return Ok(output),
            () = connection.deadline_moved() => {}
            () = tokio::time::sleep_until(deadline.into()) => {
                if connection.is_closing() {
                    return Err(End::Closed);
                }
                if connection.deadline() <= deadline {
                    return Err(End::Refused);
                }
            }
        }
    }
}
