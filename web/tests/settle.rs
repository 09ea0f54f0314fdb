//! A meeting is in one zone: who decides which, for how long, and who does not.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Asked, Bed, Controller, Postgres, ask, now_s};
use futures_util::future::join_all;
use std::path::Path;
use std::time::{Duration, Instant};
use web::config::Store as Choice;
use web::store::{Home, Meeting, Move, Store};
use web::zones::Zones;
use wire::Kind;
use wire::lookup::{Found, RefusalCode};
use wire::token::{Claims, Role, Signer, Ticket};

const POSTGRES: &str = "[store]\nkind = \"postgres\"\nurl_file = \"postgres-url\"\n";

fn offered(found: &Found) -> Vec<&str> {
    found.zones.iter().map(|offer| &*offer.zone).collect()
}

#[tokio::test]
async fn the_first_decides_and_the_others_are_told() {
    let bed = Bed::new();
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let web = bed.start(&format!("{}{}", one.zone(""), two.zone("")), "").await;
    let made = web.create("m").await;
    let found = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_eq!(offered(&found), ["one", "two"]);
    assert_eq!(web.settle_for(&found, "two").await, "two");
    assert_eq!(web.settle_for(&found, "one").await, "two");
    assert_eq!(web.settle_for(&found, "two").await, "two", "no token is used up by it");
    let later = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_eq!(offered(&later), ["two"]);
    let other = web.create("other").await;
    let elsewhere = web.look_up(&other.meeting, &other.passcode).await.unwrap();
    assert_eq!(web.settle_for(&elsewhere, "one").await, "one", "each meeting for itself");
    let told = web.metrics().await;
    for line in ["{outcome=\"new\"} 2", "{outcome=\"kept\"} 1", "{outcome=\"elsewhere\"} 1"] {
        assert!(told.contains(&format!("web_settles_total{line}")), "{told}");
    }
}

/// Many settle at once at two instances, half of them for each zone: all are told the same.
async fn race(one: &Asked<'_>, other: &Asked<'_>) {
    let mut won = [0, 0];
    for _ in 0..8 {
        let made = one.create("race").await;
        let found = one.look_up(&made.meeting, &made.passcode).await.unwrap();
        let runners = (0..16).map(|runner| {
            let web = [one, other][runner % 2];
            web.settle_for(&found, ["one", "two"][runner / 2 % 2])
        });
        let zones = join_all(runners).await;
        assert!(zones.iter().all(|zone| *zone == zones[0]), "{zones:?}");
        won[usize::from(zones[0] == "two")] += 1;
        for web in [one, other] {
            let later = web.look_up(&made.meeting, &made.passcode).await.unwrap();
            assert_eq!(offered(&later), [&*zones[0]]);
        }
    }
    println!("won by zone one and two: {won:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_settle_at_once_one_is_first_in_a_file() {
    let bed = Bed::new();
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let web = bed.start(&format!("{}{}", one.zone(""), two.zone("")), "").await;
    race(&web, &web).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_settle_at_once_one_is_first_in_postgresql_at_two_instances() {
    let bed = Bed::new();
    let postgres = Postgres::start();
    bed.write("postgres-url", &postgres.url());
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let zones = format!("{}{}", one.zone(""), two.zone(""));
    let (first, second) = tokio::join!(bed.start(&zones, POSTGRES), bed.start(&zones, POSTGRES));
    race(&first, &second).await;
}

#[tokio::test]
async fn a_meeting_moves_when_its_zone_does_not_answer_and_not_before() {
    let bed = Bed::new();
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let web = bed.start(&format!("{}{}", one.zone(""), two.zone("")), "").await;
    let made = web.create("m").await;
    let before = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_eq!(web.settle_for(&before, "one").await, "one");
    let wait_for = async |wanted: &[&str]| {
        let since = Instant::now();
        loop {
            let found = web.look_up(&made.meeting, &made.passcode).await.unwrap();
            if offered(&found) == wanted {
                return found;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "{wanted:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    one.is_well(false);
    let found = wait_for(&["two"]).await;
    assert_eq!(web.settle_for(&found, "two").await, "two");
    assert!(web.metrics().await.contains("web_settles_total{outcome=\"moved\"} 1"));
    // The first zone is back, and yet the meeting stays where people are now.
    one.is_well(true);
    let since = Instant::now();
    while !web.metrics().await.contains("web_controllers_answering{zone=\"one\"} 1") {
        assert!(since.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait_for(&["two"]).await;
    assert_eq!(web.settle_for(&before, "one").await, "two");
}

#[tokio::test]
async fn a_zone_is_lost_only_when_it_was_silent_for_long() {
    let bed = Bed::new();
    let silent = "[[zones]]\nname = \"silent\"\ncontrollers = [\"https://localhost:1\", \"https://localhost:2\"]\n";
    let mut config = bed.config(silent, "");
    for (lost_after, stays) in [(Duration::from_secs(3_600), true), (Duration::ZERO, false)] {
        config.health.lost_after = lost_after;
        let zones = Zones::new(&config).unwrap();
        zones.check().await;
        assert_eq!(zones.answering().count(), 0);
        let offered = zones.unless_lost("silent").map(|(_, controllers)| controllers.len());
        assert_eq!(offered, stays.then_some(2), "{lost_after:?}");
        assert!(zones.unless_lost("another").is_none());
    }
}

fn meeting(number: &str) -> Meeting {
    Meeting {
        number: number.to_owned(),
        title: "t".to_owned(),
        passcode: "p".to_owned(),
        created_s: 1,
        ended_s: None,
        home: None,
    }
}

/// What the store agrees to; times are values.
async fn agrees_on_one_zone(store: &Store) {
    assert!(store.create(&meeting("1")).await.unwrap());
    let settle = async |from: &str, to: &str, now_s: i64| {
        let asked = Move { number: "1", from, to, now_s, forgotten_s: now_s - 100 };
        let done = store.settle(asked).await.unwrap();
        let Home { zone, settled_s } = store.find("1").await.unwrap().unwrap().home.unwrap();
        (done, zone, settled_s)
    };
    assert_eq!(settle("", "a", 1_000).await, (true, "a".into(), 1_000));
    assert_eq!(settle("", "b", 1_050).await, (false, "a".into(), 1_000), "it is somewhere");
    assert_eq!(settle("c", "b", 1_050).await, (false, "a".into(), 1_000), "elsewhere");
    assert_eq!(settle("a", "a", 1_060).await, (true, "a".into(), 1_060), "renewed");
    assert_eq!(settle("", "b", 1_160).await, (false, "a".into(), 1_060), "not forgotten yet");
    assert_eq!(settle("", "b", 1_161).await, (true, "b".into(), 1_161), "forgotten");
    assert_eq!(settle("b", "a", 1_162).await, (true, "a".into(), 1_162), "moved");
    assert_eq!(settle("b", "c", 1_163).await, (false, "a".into(), 1_162), "another was faster");
    assert!(store.end("1", 1_164).await.unwrap());
    assert_eq!(settle("a", "a", 1_165).await, (false, "a".into(), 1_162), "it has ended");
    let nobody = Move { number: "2", from: "", to: "a", now_s: 1, forgotten_s: 0 };
    assert!(!store.settle(nobody).await.unwrap());
}

#[tokio::test]
async fn both_databases_agree_on_one_zone_and_forget_it_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = Choice::Sqlite(folder.path().join("web.db"));
    let url = format!("sqlite://{}?mode=rwc", folder.path().join("web.db").display());
    agrees_on_one_zone(&Store::open(&file, &url).await.unwrap()).await;
    let postgres = Postgres::start();
    let choice = Choice::Postgres(Path::new("unused").to_owned());
    agrees_on_one_zone(&Store::open(&choice, &postgres.url()).await.unwrap()).await;
}

fn claims(zone: &str, meeting: &str, now_s: u64) -> Claims {
    Claims {
        aud: zone.to_owned(),
        meeting: meeting.to_owned(),
        sub: "mallory".to_owned(),
        role: Role::Attendee,
        kinds: Kind::ALL.to_vec(),
        iat: now_s,
        exp: now_s + 300,
        jti: "1".to_owned(),
    }
}

#[tokio::test]
async fn only_a_token_that_was_made_here_settles_a_meeting() {
    let bed = Bed::new();
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let web = bed.start(&format!("{}{}", one.zone(""), two.zone("")), "").await;
    let (made, ended) = (web.create("m").await, web.create("ended").await);
    assert_eq!(web.end(&ended.meeting).await, 204);
    let (now, number) = (now_s(), &*made.meeting);
    let stranger = Signer::generate();
    let good = claims("one", number, now);
    let signed = bed.signer.sign(&good);
    let promoted = bed.signer.sign(&claims("two", number, now));
    let (head, rest) = signed.split_once('.').unwrap();
    let signature = rest.split_once('.').unwrap().1;
    let other = promoted.split('.').nth(1).unwrap();
    for (what, token, code) in [
        ("nothing", String::new(), RefusalCode::BadToken),
        ("rubbish", "a.b.c".to_owned(), RefusalCode::BadToken),
        ("too long", "x".repeat(3_000), RefusalCode::BadToken),
        ("another's key", stranger.sign(&good), RefusalCode::BadToken),
        ("another's claims", format!("{head}.{other}.{signature}"), RefusalCode::BadToken),
        ("no zone of ours", bed.signer.sign(&claims("three", number, now)), RefusalCode::BadToken),
        ("a ticket", bed.signer.sign_ticket(&Ticket::of(&good, now, 600)), RefusalCode::BadToken),
        ("over", bed.signer.sign(&claims("one", number, now - 400)), RefusalCode::TokenExpired),
        (
            "an ended meeting",
            bed.signer.sign(&claims("one", &ended.meeting, now)),
            RefusalCode::NoSuchMeeting,
        ),
        (
            "no meeting",
            bed.signer.sign(&claims("one", "' OR '1'='1", now)),
            RefusalCode::NoSuchMeeting,
        ),
    ] {
        let (status, refusal) = web.settle(&token).await;
        let refusal: wire::lookup::Refusal = bed::read(refusal);
        assert_eq!((status, refusal.code), (code.status(), code), "{what}");
    }
    let bare = web.http.post(format!("{}/v1/settle", web.url));
    assert_eq!(ask(bare).await.0, 401);
    let basic = web.http.post(format!("{}/v1/settle", web.url)).basic_auth("any", Some(&signed));
    assert_eq!(ask(basic).await.0, 401);
    assert_eq!(ask(web.get("/v1/settle").bearer_auth(&signed)).await.0, 405);
    // Nothing of it has settled anything.
    let found = web.look_up(number, &made.passcode).await.unwrap();
    assert_eq!(offered(&found), ["one", "two"]);
    assert_eq!(web.settle(&signed).await.0, 200);
}

#[tokio::test]
async fn who_tries_tokens_is_slowed_down_and_who_has_one_is_not() {
    let bed = Bed::new();
    let limits = "[limits]\nrequests_per_address_burst = 10000\nguesses_per_address_burst = 5\n";
    let (_controller, web) = bed.start_whole(limits).await;
    let made = web.create("m").await;
    let found = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    for _ in 0..40 {
        assert_eq!(web.settle(&found.zones[0].token).await.0, 200);
    }
    let forged = Signer::generate().sign(&claims(bed::ZONE, &made.meeting, now_s()));
    let mut slowed = 0;
    for _ in 0..200 {
        let (status, refusal) = web.settle(&forged).await;
        assert!(matches!(status, 401 | 429), "{status}");
        assert_eq!(refusal["retry_after_ms"].is_u64(), status == 429);
        slowed += usize::from(status == 429);
    }
    assert!((150..=195).contains(&slowed), "{slowed}");
    // From elsewhere the token still counts.
    let http = bed.http([127, 0, 0, 9].into());
    let asked = http.post(format!("{}/v1/settle", web.url)).bearer_auth(&*found.zones[0].token);
    assert_eq!(ask(asked).await.0, 200);
}
