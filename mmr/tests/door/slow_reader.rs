//! A client that stops reading loses its own old media, and nobody else loses anything.

use crate::rig::{Client, PATIENCE, Plan, Rig, connection_of, number_of, rtp, until};
use mmr::network::BackendChoice::{self, Poll, Uring};
use router::{ConnectionId, DropReason};
use rstest::rstest;
use std::time::{Duration, Instant};
use wire::{Kind, Transport};

const LATE_WANTED: u64 = 1_000;
const AGE: Duration = Duration::from_millis(50);

fn joined(rig: &Rig, mut client: Client) -> (Client, ConnectionId) {
    client.check(Kind::Video);
    client.send(&rtp(0, 20));
    let (_, path, _) = rig.packet();
    (client, connection_of(path))
}

#[rstest]
fn a_slow_reader_loses_old_media_and_hurts_nobody(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let plan = Plan::new(backend).limits(|limits| limits.video_age = AGE);
    let Some(rig) = plan.open() else { return };
    // What the slow reader's own kernel takes is not the door's doing.
    let (mut slow, slow_id) = joined(&rig, rig.connect_small(transport));
    let (mut quick, quick_id) = joined(&rig, rig.connect(transport));

    // In step: every packet reaches the quick reader before the next is sent, while the slow one
    // takes nothing. The quick one's are never late, so that a busy machine does not fail the test.
    let later = Instant::now() + Duration::from_secs(3600);
    let deadline = Instant::now() + PATIENCE;
    let mut sent = 0;
    while rig.drops(DropReason::StreamLate) < LATE_WANTED {
        assert!(Instant::now() < deadline, "nothing was dropped");
        rig.transmit(slow_id, Kind::Video, &rtp(sent, 1200), Instant::now());
        rig.transmit(quick_id, Kind::Video, &rtp(sent, 1200), later);
        assert_eq!(number_of(&quick.receive().unwrap()), sent);
        sent += 1;
    }

    // What waits grows old; only the kernel still holds some.
    std::thread::sleep(AGE);

    // It reads again: whole frames in order, the newest among them, and every packet accounted for.
    rig.transmit(slow_id, Kind::Video, &rtp(sent, 1200), later);
    let (mut received, mut last) = (0, None);
    while last != Some(sent) {
        let packet = slow.receive().unwrap_or_else(|error| {
            let late = rig.drops(DropReason::StreamLate);
            let full = rig.drops(DropReason::StreamQueueFull);
            panic!("{error} after {received} of {sent}, last {last:?}, {late} late, {full} full")
        });
        let number = number_of(&packet);
        assert_eq!(packet, rtp(number, 1200));
        assert!(last < Some(number), "{number} after {last:?}");
        (received, last) = (received + 1, Some(number));
    }
    let lost = rig.drops(DropReason::StreamLate) + rig.drops(DropReason::StreamQueueFull);
    assert_eq!(received + lost, u64::from(sent) + 1);
    // 16 KiB of receive buffer (doubled by the kernel), 16 KiB unsent, a batch, and what TCP had in
    // flight.
    assert!(received * 1200 < 256 * 1024, "{received} packets hid in buffers");
}

#[rstest]
fn a_reader_that_never_reads_can_still_be_closed(
    #[values(Uring, Poll)] backend: BackendChoice,
    #[values(Transport::Tcp, Transport::Tls)] transport: Transport,
) {
    let plan = Plan::new(backend).limits(|limits| limits.video_age = Duration::from_millis(20));
    let Some(rig) = plan.open() else { return };
    let (stuck, id) = joined(&rig, rig.connect(transport));
    let mut sent = 0;
    until("its writer is stuck", || {
        for _ in 0..100 {
            rig.transmit(id, Kind::Video, &rtp(sent, 1200), Instant::now());
            sent += 1;
        }
        rig.drops(DropReason::StreamLate) > 0
    });
    rig.order(mmr::exchange::DoorOrder::Close(id));
    rig.closed();
    rig.assert_rest();
    drop(stuck);
}
