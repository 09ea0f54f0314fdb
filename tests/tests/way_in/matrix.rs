//! Every network a participant may be in: each ends with a meeting recorded to the last byte, and says which way it
//! took.

use crate::seat::{Otherwise, Played, Seat, to};
use crate::site::{PROXIES, Site, TUNNEL, Through, WEB, addresses, near_controller};
use client::{ClientError, MeetingLink, Phase, Way, WayReport};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tests::{Lan, is_root};
use wire::{Kind, Transport};

/// One network.
struct Row {
    name: &'static str,
    seat: fn(Seat<'_>) -> Seat<'_>,
    /// What lookup, zone, control channel and media went through.
    ways: [Way; 4],
    transport: Transport,
    zone: &'static str,
    /// How long phase 2 may and must take.
    zone_takes: (Duration, Duration),
}

const D: Way = Way::Direct;
const P: Way = Way::Proxy;
const T: Way = Way::Tunnel;
/// Whatever a busy machine makes of "at once": before silent controllers would be given up.
const AT_ONCE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(5));
const AFTER_5_5_S: (Duration, Duration) = (Duration::from_millis(5_500), Duration::from_secs(11));

impl Row {
    const fn new(
        name: &'static str,
        seat: fn(Seat<'_>) -> Seat<'_>,
        ways: [Way; 4],
        transport: Transport,
    ) -> Self {
        Self { name, seat, ways, transport, zone: "near", zone_takes: AT_ONCE }
    }

    const fn in_the_zone(self, zone: &'static str) -> Self {
        Self { zone, ..self }
    }

    const fn after_5_5_s(self) -> Self {
        Self { zone_takes: AFTER_5_5_S, ..self }
    }

    fn check(&self, played: &Played) {
        for way in [&played.sent.way, &played.recorded.way] {
            let phases: Vec<_> = way.phases.iter().map(|phase| (phase.phase, phase.way)).collect();
            let all = [Phase::Lookup, Phase::Zone, Phase::Mmr, Phase::Media];
            let wanted: Vec<_> = all.into_iter().zip(self.ways).collect();
            assert_eq!(phases, wanted, "{way:#?}");
            assert_eq!(way.zone.as_deref(), Some(self.zone), "{way:#?}");
            let media: Vec<_> = way.media.iter().map(|one| (one.transport, one.way)).collect();
            assert_eq!(media, [(self.transport, self.ways[3]); Kind::ALL.len()], "{way:#?}");
            let took = Duration::from_micros(way.phase(Phase::Zone).unwrap().took_us);
            let (least, most) = self.zone_takes;
            assert!((least..most).contains(&took), "{took:?}: {way:#?}");
        }
    }
}

fn rows() -> Vec<Row> {
    use Transport::{Tcp, Tls, Udp};
    vec![
        Row::new("open network: the near zone", |seat| seat, [D; 4], Udp),
        Row::new(
            "UDP blocked",
            |seat| seat.without(&["udp dport 8801".into()], Otherwise::Drop),
            [D; 4],
            Tcp,
        ),
        Row::new(
            "UDP and TCP 8801 blocked",
            |seat| {
                let both = "meta l4proto { tcp, udp } th dport 8801";
                seat.without(&[both.to_owned()], Otherwise::Drop)
            },
            [D; 4],
            Tls,
        ),
        Row::new("the near zone dead: the far one", without_near, [D; 4], Udp).in_the_zone("far"),
        Row::new("IPv6 only", |seat| seat.without_v4(), [D; 4], Udp),
        Row::new(
            "squid, all else silent",
            |seat| behind(seat, Through::Squid, Otherwise::Drop),
            [P; 4],
            Tls,
        ),
        Row::new(
            "squid with a password",
            |seat| behind(seat, Through::SquidWithPassword, Otherwise::Refuse),
            [P; 4],
            Tls,
        ),
        Row::new(
            "tinyproxy, all else refused",
            |seat| behind(seat, Through::Tinyproxy, Otherwise::Refuse),
            [P; 4],
            Tls,
        ),
        Row::new(
            "tinyproxy with a password",
            |seat| behind(seat, Through::TinyproxyWithPassword, Otherwise::Drop),
            [P; 4],
            Tls,
        ),
        Row::new(
            "controllers silent: a tunnel",
            |seat| tunnel(seat, Otherwise::Drop),
            [D, T, T, T],
            Tls,
        )
        .after_5_5_s(),
        Row::new(
            "controllers refuse: a tunnel",
            |seat| tunnel(seat, Otherwise::Refuse),
            [D, T, T, T],
            Tls,
        ),
        Row::new(
            "a tunnel behind squid",
            |seat| behind(seat, Through::SquidToTunnel, Otherwise::Refuse),
            [P, Way::ProxyAndTunnel, Way::ProxyAndTunnel, Way::ProxyAndTunnel],
            Tls,
        ),
    ]
}

fn without_near(seat: Seat<'_>) -> Seat<'_> {
    seat.without(&to(&near_controller()), Otherwise::Refuse)
}

fn behind(seat: Seat<'_>, through: Through, otherwise: Otherwise) -> Seat<'_> {
    seat.only(&to(&[Lan::address(PROXIES)]), otherwise).with_proxy(through)
}

fn tunnel(seat: Seat<'_>, otherwise: Otherwise) -> Seat<'_> {
    let reached: Vec<IpAddr> = [WEB, TUNNEL].into_iter().flat_map(addresses).collect();
    seat.only(&to(&reached), otherwise)
}

/// Hosts of those for whom nothing works, and of those who move.
const NO_CONTROLLER: usize = 0;
const NO_WAY: usize = 1;
const COMMAND: usize = 5;
const SPARE: usize = 6;

#[test]
fn every_network_has_a_way_in_and_says_which() {
    if !is_root() {
        return;
    }
    let rows = rows();
    let site = Site::start(rows.len() + SPARE);
    let failed: Vec<String> = std::thread::scope(|scope| {
        let playing: Vec<_> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let site = &site;
                scope.spawn(move || played(site, at, row))
            })
            .collect();
        let nothing = scope.spawn(|| caught("nothing works", || nothing_works(&site, rows.len())));
        let command = scope.spawn(|| {
            caught("as a command", || crate::command::joins(&site, rows.len() + COMMAND))
        });
        let ended = playing.into_iter().chain([nothing, command]).map(|row| row.join().unwrap());
        ended.filter_map(Result::err).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    crate::moving::through_proxy_and_tunnel(&site, [rows.len() + 2, rows.len() + 3]);
    crate::hostile::at_the_tunnel(&site, rows.len() + 4);
}

fn played(site: &Site, at: usize, row: &Row) -> Result<(), String> {
    caught(row.name, || {
        let text = site.meeting();
        let link: MeetingLink =
            if row.name == "IPv6 only" { Site::over_v6(&text) } else { text.parse().unwrap() };
        let played = (row.seat)(site.seat(at)).meet(&link);
        row.check(&played);
        println!("{:<32} {}", row.name, summary(&played.sent.way));
    })
}

fn caught(name: &str, body: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        format!("{name}: {}", text.unwrap_or_default())
    })
}

/// A line for people: phases with their times.
fn summary(way: &WayReport) -> String {
    let phases = way.phases.iter().map(|phase| {
        format!("{} {} {:.1?}", phase.phase, phase.way, Duration::from_micros(phase.took_us))
    });
    let media = way.media.first().map(|media| media.transport.to_string()).unwrap_or_default();
    format!(
        "{}; {media} in {}",
        phases.collect::<Vec<_>>().join(", "),
        way.zone.as_deref().unwrap_or("?")
    )
}

/// Nothing works: exit code, report, and the link for a browser.
fn nothing_works(site: &Site, spare: usize) {
    let text = site.meeting();
    let page = text.split('#').next().unwrap();
    let passcode = text.split('#').nth(1).unwrap();
    // The web infrastructure can be reached, and nothing else.
    let alone = site.seat(spare + NO_CONTROLLER).only(&to(&addresses(WEB)), Otherwise::Refuse);
    let error = alone.refused(&text.parse().unwrap());
    let ClientError::NoWay { link, report, .. } = &error else { panic!("{error}") };
    assert_eq!(link, page);
    let failed = |step: &str| report.failures().filter(|one| one.step == step).count();
    assert!(failed("measure") >= 3 && failed("tunnel") == 2, "{report:#?}");
    // Nothing at all.
    let nobody = site.seat(spare + NO_WAY).only(&[], Otherwise::Refuse);
    let folder = site.folder().join("nothing").display().to_string();
    let plain = nobody.command(&text, &["join", "--record", &folder]);
    let json = nobody.command(&text, &["join", "--record", &folder, "--json"]);
    assert_eq!((plain.status.code(), json.status.code()), (Some(3), Some(3)), "{plain:?}");
    let said = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert!(said.contains(page) && said.contains("lookup") && said.contains("browser"), "{said}");
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(told["failed"]["link"], page);
    assert!(told["failed"]["way"]["steps"][0]["error"].is_string(), "{told:#}");
    for output in [plain, json] {
        let said = [output.stdout, output.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(passcode));
    }
    // A wrong passcode is a refusal, not a network.
    let wrong = text.replace(passcode, "wrong.passcode").parse().unwrap();
    let error = alone.refused(&wrong);
    assert!(matches!(error, ClientError::LookupRefused { .. }), "{error}");
}
