use super::*;
use std::time::Duration;

const STUN: u8 = 0;
const RTP: u8 = 0x80;

struct Bench {
    queue: Queue,
    total: Total,
    start: Instant,
    dropped: Vec<DropReason>,
}

impl Bench {
    fn new() -> Self {
        let total = Total::default();
        let queue = Queue::new(DoorLimits::default(), Rc::clone(&total));
        Self { queue, total, start: Instant::now(), dropped: Vec::new() }
    }

    /// Queues a packet of `len` bytes that begins with `first` and is otherwise `mark`, heard and
    /// queued at `ms`.
    fn push(&mut self, first: u8, mark: u8, len: usize, kind: Kind, ms: u64) {
        let mut packet = vec![mark; len];
        packet[0] = first;
        let now = self.start + Duration::from_millis(ms);
        self.queue.push(&packet, kind, now, now, &mut |reason| self.dropped.push(reason));
    }

    /// The marks of what is written at `ms` into `room` bytes.
    fn take(&mut self, room: usize, ms: u64) -> Vec<u8> {
        let now = self.start + Duration::from_millis(ms);
        let mut marks = Vec::new();
        let drops = &mut |reason| self.dropped.push(reason);
        let taken = self.queue.take(room, now, drops, |packet| marks.push(packet[2]));
        assert_eq!(taken, marks.len() as u64);
        marks
    }
}

#[test]
fn late_media_is_dropped_by_its_kind_and_counted() {
    let mut bench = Bench::new();
    bench.push(RTP, 1, 100, Kind::Audio, 0);
    bench.push(RTP, 2, 100, Kind::Audio, 150);
    assert_eq!(bench.take(4096, 201), [2]);
    assert_eq!(bench.dropped, [DropReason::StreamLate]);

    bench.push(RTP, 3, 100, Kind::Video, 300);
    assert_eq!(bench.take(4096, 600), [3], "300 ms is not yet over 300 ms");
}

#[test]
fn control_goes_first_and_is_never_too_old() {
    let mut bench = Bench::new();
    bench.push(RTP, 1, 100, Kind::Video, 0);
    bench.push(STUN, 2, 100, Kind::Video, 0);
    assert_eq!(bench.take(4096, 10_000), [2]);
    assert_eq!(bench.dropped, [DropReason::StreamLate]);
}

#[test]
fn control_is_bounded_in_number() {
    let mut bench = Bench::new();
    for _ in 0..=CONTROL_FRAMES_MAX {
        bench.push(STUN, 0, 100, Kind::Audio, 0);
    }
    assert_eq!(bench.dropped, [DropReason::StreamQueueFull]);
}

#[test]
fn media_is_bounded_in_bytes() {
    let mut bench = Bench::new();
    let fits = QUEUE_LEN_MAX / 1000;
    for _ in 0..fits + 3 {
        bench.push(RTP, 0, 1000, Kind::Video, 0);
    }
    assert_eq!(bench.dropped, [DropReason::StreamQueueFull; 3]);
    assert_eq!(bench.total.get(), fits * 1000);
}

#[test]
fn a_queue_nobody_reads_holds_only_what_is_young() {
    let mut bench = Bench::new();
    for ms in 0..10_000 {
        bench.push(RTP, 0, 1000, Kind::Audio, ms);
    }
    assert_eq!(bench.total.get(), 201 * 1000, "200 ms at a packet a millisecond");
    assert_eq!(bench.dropped.len(), 10_000 - 201);
}

#[test]
fn only_whole_frames_that_fit_are_taken() {
    let mut bench = Bench::new();
    bench.push(RTP, 1, 100, Kind::Video, 0);
    bench.push(RTP, 2, 100, Kind::Video, 0);
    assert_eq!(bench.take(203, 0), [1]);
    assert_eq!(bench.take(102, 0), [2]);
}

#[test]
fn a_repaired_packet_behind_newer_ones_is_dropped_when_late() {
    let mut bench = Bench::new();
    bench.push(RTP, 1, 100, Kind::Audio, 250);
    bench.push(RTP, 2, 100, Kind::Audio, 0);
    assert_eq!(bench.take(4096, 300), [1]);
    assert_eq!(bench.dropped, [DropReason::StreamLate]);
}

#[test]
fn the_total_is_given_back() {
    let mut bench = Bench::new();
    for _ in 0..10 {
        bench.push(RTP, 0, 100, Kind::Video, 0);
    }
    bench.take(306, 0);
    assert_eq!(bench.total.get(), 700);
    let mut other = Queue::new(DoorLimits::default(), Rc::clone(&bench.total));
    let now = bench.start;
    other.push(&[RTP; 50], Kind::Video, now, now, &mut |_| unreachable!());
    drop(other);
    assert_eq!(bench.total.get(), 700);
    assert_eq!(bench.queue.clear(), 7);
    assert_eq!(bench.total.get(), 0);
}
