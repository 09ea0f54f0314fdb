//! A link against an MMR that is two sockets and answers checks.
#![allow(clippy::unwrap_used)] // a test may fail by panic

use super::*;
use crate::options::{IpChoice, MmrAddress, Trust};
use crate::way::StepSink;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};
use wire::control::Key;
use wire::srtp::MasterKey;
use wire::stun::BindingRequest;

const PASSWORD: &str = "passwordpasswordpasswo";

/// Waits for a check, answers it after `delay`.
async fn answer(socket: &UdpSocket, delay: Duration) {
    let mut bytes = [0; 1500];
    let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
    sleep(delay).await;
    let mut out = [0; 1500];
    let request = BindingRequest::parse(&bytes[..len]).unwrap();
    let len = request.write_success(from, PASSWORD, &mut out).unwrap();
    socket.send_to(&out[..len], from).await.unwrap();
}

#[tokio::test]
async fn a_check_of_an_address_that_lost_the_race_does_not_have_the_last_word() {
    let [first, second] = [
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
        UdpSocket::bind("127.0.0.1:0").await.unwrap(),
    ];
    let key = || Key(MasterKey { key: [0; 16], salt: [0; 12] });
    let udp = vec![first.local_addr().unwrap(), second.local_addr().unwrap()];
    let info = LinkInfo {
        kind: Kind::Audio,
        ufrag: "mmrUFRAG".into(),
        password: PASSWORD.into(),
        srtcp_keys: SrtcpKeys { client: key(), mmr: key() },
        addresses: Addresses { udp, ..Addresses::default() },
    };
    let udp_only = TransportChoice::Only(Transport::Udp);
    let mmr = MmrAddress { host: "localhost".into(), port: 443 };
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let trust = Trust::from_pem(certificate.cert.pem().as_bytes()).unwrap();
    let dialer = MmrDialer::new(mmr, Dialer::direct(IpChoice::default(), trust)).unwrap();
    let journal = Journal::new(StepSink::default());
    // The first answer comes when the second address was tried already, which stays silent.
    let slow = answer(&first, limits::ADDRESS_STAGGER * 3 / 2);
    let (link, ()) = tokio::join!(Link::bind(info, dialer, udp_only, &journal), slow);
    let link = link.unwrap();
    let again = timeout(limits::CHECK_RETRANSMIT, answer(&first, Duration::ZERO)).await;
    assert!(again.is_ok(), "the MMR may have heard the second address last");
    assert_eq!(link.report().await.unwrap().remote, first.local_addr().unwrap());
}
