//! The files were recorded on a host with two cores, Linux 6.18, while it compiled and routed.
#![allow(clippy::unwrap_used)] // A test that unwraps an error fails, as it should.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Debug;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tests/proc/", $name))
    };
}

fn check(parsed: impl Debug, expected: Expect) {
    expected.assert_eq(&format!("{parsed:?}"));
}

#[test]
fn reads_what_a_kernel_wrote() {
    check(
        core_times(recorded!("stat")),
        expect![
            "Ok({0: CoreTimes { total: 4782540, idle: 1894642, softirq: 55689, steal: 4431 }, 1: CoreTimes { total: 4777749, idle: 1827953, softirq: 45191, steal: 4384 }})"
        ],
    );
    check(
        softnet(recorded!("softnet_stat")),
        expect!["Ok(Softnet { dropped: 307, squeezed: 73 })"],
    );
    check(socket_drops(recorded!("udp"), &[8801]), expect!["Ok(39)"]);
    check(socket_drops(recorded!("udp"), &[443]), expect!["Ok(0)"]);
    check(socket_drops(recorded!("udp6"), &[8801]), expect!["Ok(0)"]);
    check(
        udp_errors(recorded!("snmp")),
        expect!["Ok(UdpErrors { receive_buffer: 65880606, send_buffer: 0 })"],
    );
    check(
        udp6_errors(recorded!("snmp6")),
        expect!["Ok(UdpErrors { receive_buffer: 54021320, send_buffer: 0 })"],
    );
    check(
        interfaces(recorded!("dev")),
        expect![[
            r#"Ok([InterfaceCounts { name: "ifb0", bytes_in: 0, packets_in: 0, bytes_out: 0, packets_out: 0, drops: 0 }, InterfaceCounts { name: "ifb1", bytes_in: 0, packets_in: 0, bytes_out: 0, packets_out: 0, drops: 0 }, InterfaceCounts { name: "eth0", bytes_in: 706353142, packets_in: 29808, bytes_out: 1793187, packets_out: 17724, drops: 0 }])"#
        ]],
    );
    check(
        memory(recorded!("meminfo")),
        expect!["Ok(Memory { total_bytes: 25276510208, available_bytes: 24198991872 })"],
    );
    check(stalls(recorded!("pressure_cpu")), expect!["Ok(Stalls { some: 0.1292, full: 0.0 })"]);
    check(stalls(recorded!("pressure_memory")), expect!["Ok(Stalls { some: 0.0, full: 0.0 })"]);
}

#[test]
fn a_core_that_is_offline_is_not_there_and_old_kernels_tell_less() {
    let text = "cpu  1 2 3 4\ncpu0 1 2 3 4 5 6 7 8\ncpu2 1 2 3 4 5 6 7 8 9 10 11 12\ncpu3 1 2\n";
    check(
        core_times(text),
        expect![
            "Ok({0: CoreTimes { total: 36, idle: 9, softirq: 7, steal: 8 }, 2: CoreTimes { total: 36, idle: 9, softirq: 7, steal: 8 }})"
        ],
    );
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_malformed() {
    for text in ["", "cpu", "cpu0", "cpu0 a b", "cpux 1 2 3 4 5 6 7 8", "\0\0\0"] {
        assert_eq!(core_times(text), Err(Malformed), "{text:?}");
    }
    for text in ["1 2", "1 2 z", "zz"] {
        assert_eq!(softnet(text), Err(Malformed), "{text:?}");
    }
    for text in ["head\n1: nowhere", "head\n1: 0:zzzz", "head\n1: 0:2261 x y"] {
        assert_eq!(socket_drops(text, &[8801]), Err(Malformed), "{text:?}");
    }
    for text in ["", "Udp: RcvbufErrors SndbufErrors\n", "Udp: A\nUdp: 1\n"] {
        assert_eq!(udp_errors(text), Err(Malformed), "{text:?}");
    }
    for text in ["", "Udp6RcvbufErrors 1\n", "Udp6RcvbufErrors1\nUdp6SndbufErrors 1"] {
        assert_eq!(udp6_errors(text), Err(Malformed), "{text:?}");
    }
    for text in ["a\nb\neth0 1 2", "a\nb\neth0: 1 2 3 4 5 6 7 8 9"] {
        assert_eq!(interfaces(text), Err(Malformed), "{text:?}");
    }
    for text in ["MemTotal: 1 kB", "MemTotal: 1 MB\nMemAvailable: 1 kB"] {
        assert_eq!(memory(text), Err(Malformed), "{text:?}");
    }
    for text in ["", "some avg10=nan", "some avg10=101", "some avg10=-1", "full avg10=1"] {
        assert_eq!(stalls(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn knows_a_cards_speed_only_when_its_driver_does() {
    assert_eq!(speed_bits_per_s("10000\n"), Some(10_000_000_000));
    for nobody_knows in ["-1\n", "0", "4294967295", "65535", "", "fast", "99999999999999999999"] {
        assert_eq!(speed_bits_per_s(nobody_knows), None, "{nobody_knows:?}");
    }
}

/// Every parser, whatever it is given.
fn parse_all(text: &str) {
    let _ = core_times(text);
    let _ = softnet(text);
    let _ = socket_drops(text, &[8801]);
    let _ = udp_errors(text);
    let _ = udp6_errors(text);
    let _ = interfaces(text).map(|all| assert!(all.len() <= 64));
    let _ = memory(text);
    let _ = stalls(text);
    let _ = speed_bits_per_s(text);
}

const RECORDED: [&str; 10] = [
    recorded!("stat"),
    recorded!("softnet_stat"),
    recorded!("udp"),
    recorded!("udp6"),
    recorded!("snmp"),
    recorded!("snmp6"),
    recorded!("dev"),
    recorded!("meminfo"),
    recorded!("pressure_cpu"),
    recorded!("pressure_memory"),
];

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,400}") {
        parse_all(&text);
    }

    /// Files as a kernel writes them, with a piece cut out and another put in.
    #[test]
    fn no_damaged_file_makes_a_parser_panic(
        file in 0..RECORDED.len(),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
        put in "([0-9]{1,25}|-[0-9]|[a-z: \n]{0,6}|\u{fe})",
    ) {
        let mut bytes = RECORDED[file].as_bytes().to_vec();
        let (a, b) = (cut.0.index(bytes.len()), cut.1.index(bytes.len()));
        bytes.splice(a.min(b)..a.max(b), put.bytes());
        parse_all(&String::from_utf8_lossy(&bytes));
    }
}
