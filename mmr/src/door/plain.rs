//! The seam on readiness: plain tokio, where io_uring is forbidden.

use super::socket::{Listener, Socket};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

impl Listener for TcpListener {
    type Socket = TcpStream;

    fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::from_std(listener)
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

impl Socket for TcpStream {
    async fn read(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        loop {
            if let Err(error) = self.readable().await {
                return (Err(error), buffer);
            }
            match self.try_read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffer),
            }
        }
    }

    async fn write(&self, buffer: Vec<u8>, from: usize) -> (io::Result<usize>, Vec<u8>) {
        loop {
            if let Err(error) = self.writable().await {
                return (Err(error), buffer);
            }
            match self.try_write(&buffer[from..]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffer),
            }
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}
