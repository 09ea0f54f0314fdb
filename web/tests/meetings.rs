//! From a new meeting to a participant's way in.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Asked, Bed, Controller, Postgres, ZONE, ask, now_s, read};
use mmdb_writer::Writer;
use mmdb_writer::ipnet::IpNet;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use wire::Kind;
use wire::lookup::{Meetings, Order, RefusalCode};
use wire::token::{Role, Signer, Verifier};

/// The whole life of meetings; what is asked of one instance is seen by the other.
async fn lives_of_meetings(one: &Asked<'_>, other: &Asked<'_>) {
    let title = "Stand-up'; DROP TABLE meetings; -- ü";
    let made = one.create(title).await;
    let link = format!("https://meet.example.org/j/{}#{}", made.meeting, &*made.passcode);
    assert_eq!(&*made.link, link);
    let chosen = json!({ "title": "Chosen", "passcode": "open.sesame" });
    let (status, chosen) = one.operate(one.post("/v1/meetings", &chosen)).await;
    assert_eq!((status, &chosen["passcode"]), (201, &json!("open.sesame")));

    let found = other.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_eq!((&*found.meeting, &*found.title), (&*made.meeting, title));
    other.look_up(chosen["meeting"].as_str().unwrap(), "open.sesame").await.unwrap();
    assert_eq!(
        other.look_up(&made.meeting, "open.sesame").await.unwrap_err().code,
        RefusalCode::NoSuchMeeting
    );

    assert_eq!(other.end(&made.meeting).await, 204);
    assert_eq!(one.end(&made.meeting).await, 204, "one that has ended stays as it is");
    assert_eq!(one.end("00000000000").await, 404);
    let ended = one.look_up(&made.meeting, &made.passcode).await.unwrap_err();
    assert_eq!(ended.code, RefusalCode::NoSuchMeeting);

    let list: Meetings = read(one.operate(one.get("/v1/meetings")).await.1);
    let listed = |number: &str| {
        list.meetings.iter().find(|meeting| meeting.meeting == number).unwrap().clone()
    };
    assert_eq!(list.meetings.len(), 2);
    assert_eq!(listed(&made.meeting).title, title);
    assert!(listed(&made.meeting).ended_s.is_some_and(|at| now_s() - at < 60));
    assert_eq!(listed(chosen["meeting"].as_str().unwrap()).ended_s, None);
}

#[tokio::test]
async fn meetings_live_in_a_file_and_outlive_the_instance() {
    let bed = Bed::new();
    let (controller, web) = bed.start_whole("").await;
    lives_of_meetings(&web, &web).await;
    let made = web.create("kept").await;
    web.daemon.stop().await;
    let again = bed.start(&controller.zone(""), "").await;
    again.look_up(&made.meeting, &made.passcode).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn meetings_live_in_postgresql_and_two_instances_share_them() {
    let bed = Bed::new();
    let postgres = Postgres::start();
    bed.write("postgres-url", &postgres.url());
    let store = "[store]\nkind = \"postgres\"\nurl_file = \"postgres-url\"\n";
    let controller = Controller::start(&bed, ZONE);
    let zone = controller.zone("");
    // Both want to make the table.
    let (one, other) = tokio::join!(bed.start(&zone, store), bed.start(&zone, store));
    lives_of_meetings(&one, &other).await;
    drop(postgres);
    let refused = one.look_up("01234567890", "open.sesame").await.unwrap_err();
    assert_eq!(refused.code, RefusalCode::Unavailable);
    assert!(refused.retry_after_ms.is_some());
    assert!(one.metrics().await.contains("web_store_errors_total 1"));
}

#[tokio::test]
async fn a_list_is_told_in_pieces() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    let mut made = Vec::new();
    for _ in 0..101 {
        let chosen = json!({ "title": "one of many", "passcode": "open.sesame" });
        let (status, meeting) = web.operate(web.post("/v1/meetings", &chosen)).await;
        assert_eq!(status, 201);
        made.push(meeting["meeting"].as_str().unwrap().to_owned());
    }
    made.sort();
    let first: Meetings = read(web.operate(web.get("/v1/meetings")).await.1);
    assert_eq!(first.meetings.len(), 100);
    let next = first.next.clone().unwrap();
    let rest: Meetings = read(web.operate(web.get(&format!("/v1/meetings?after={next}"))).await.1);
    assert_eq!((rest.meetings.len(), &rest.next), (1, &None));
    let all = first.meetings.iter().chain(&rest.meetings).map(|meeting| meeting.meeting.clone());
    assert_eq!(all.collect::<Vec<_>>(), made);
}

#[tokio::test]
async fn the_way_in_has_a_token_for_each_zone_that_its_keys_verify() {
    let bed = Bed::new();
    let (one, two) = (Controller::start(&bed, "one"), Controller::start(&bed, "two"));
    let zones = format!("{}{}", one.zone(""), two.zone(""));
    let tunnels =
        "[tunnels]\nurls = [\"https://tunnel.example.org\", \"https://t2.example.org:8443/\"]\n";
    let web = bed.start(&zones, tunnels).await;
    let made = web.create("m").await;
    let found = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_eq!(found.order, Order::Configured);
    assert_eq!(found.tunnels, ["https://tunnel.example.org", "https://t2.example.org:8443"]);
    assert!(found.participant.starts_with("ada-"), "{}", found.participant);
    let offered: Vec<_> = found.zones.iter().map(|zone| (&*zone.zone, &zone.controllers)).collect();
    assert_eq!(offered, [("one", &vec![one.url.clone()]), ("two", &vec![two.url.clone()])]);
    let keys = web.get("/.well-known/jwks.json").send().await.unwrap();
    assert_eq!(keys.headers()["cache-control"], "public, max-age=60");
    let keys = keys.text().await.unwrap();
    for zone in &found.zones {
        let verifier = Verifier::from_jwks(&zone.zone, &keys).unwrap();
        let claims = verifier.verify(&zone.token, now_s()).unwrap();
        assert_eq!((&claims.meeting, &claims.sub), (&made.meeting, &found.participant));
        assert_eq!((claims.role, claims.exp), (Role::Attendee, zone.token_until_s));
        assert_eq!(claims.kinds, Kind::ALL);
    }
    let other = web.look_up(&made.meeting, &made.passcode).await.unwrap();
    assert_ne!(other.participant, found.participant, "two people of one name");
}

#[tokio::test]
async fn keys_rotate_without_a_moment_in_which_a_token_does_not_count() {
    let bed = Bed::new();
    let (controller, web) = bed.start_whole("").await;
    let made = web.create("m").await;
    let new = Signer::generate();
    bed.write("new-key.pem", &new.private_pem());
    let text = |keys: &str| bed.text(&controller.zone(""), "").replace("\"signing-key.pem\"", keys);
    let reload = |keys: &str| {
        let file = bed.dir.path().join("web.toml");
        let config = web::config::Config::parse(&file, &text(keys)).unwrap();
        web.daemon.reload(&config)
    };
    let state = async || {
        let keys: Value = ask(web.get("/.well-known/jwks.json")).await.1;
        let kids: Vec<_> =
            keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect();
        let found = web.look_up(&made.meeting, &made.passcode).await.unwrap();
        let verifier = Verifier::from_jwks(ZONE, &keys.to_string()).unwrap();
        verifier.verify(&found.zones[0].token, now_s()).unwrap();
        let by = |signer: &Signer| {
            Verifier::from_jwks(ZONE, &signer.public_jwks())
                .unwrap()
                .verify(&found.zones[0].token, now_s())
                .is_ok()
        };
        (kids, by(&bed.signer), by(&new))
    };
    let (old_kid, new_kid) = (json!(bed.signer.kid()), json!(new.kid()));
    assert_eq!(state().await, (vec![old_kid.clone()], true, false));
    reload("\"signing-key.pem\", \"new-key.pem\"").unwrap();
    assert_eq!(state().await, (vec![old_kid.clone(), new_kid.clone()], true, false));
    reload("\"new-key.pem\", \"signing-key.pem\"").unwrap();
    assert_eq!(state().await, (vec![new_kid.clone(), old_kid], false, true));
    reload("\"new-key.pem\"").unwrap();
    assert_eq!(state().await, (vec![new_kid.clone()], false, true));
    bed.write("new-key.pem", "rubbish");
    assert!(reload("\"new-key.pem\"").is_err());
    assert_eq!(state().await, (vec![new_kid], false, true), "nothing was changed");
}

/// A database in which these networks are at these places.
fn write_places(file: &Path, places: &[(&str, f64, f64)]) {
    let mut writer = Writer::new("GeoLite2-City");
    for (network, latitude, longitude) in places {
        let record = json!({ "location": { "latitude": latitude, "longitude": longitude } });
        writer.insert(network.parse::<IpNet>().unwrap(), &record).unwrap();
    }
    std::fs::write(file, writer.to_bytes().unwrap()).unwrap();
}

#[tokio::test]
async fn zones_are_ordered_by_how_far_they_are_and_the_places_are_read_again() {
    let bed = Bed::new();
    let file = bed.dir.path().join("places.mmdb");
    write_places(&file, &[("127.0.0.1/32", 48.86, 2.35), ("127.0.0.2/32", -33.87, 151.21)]);
    let [frankfurt, nowhere, tokyo] =
        ["frankfurt", "nowhere", "tokyo"].map(|zone| Controller::start(&bed, zone));
    let zones = format!(
        "{}{}{}",
        nowhere.zone(""),
        tokyo.zone("latitude = 35.68\nlongitude = 139.69\n"),
        frankfurt.zone("latitude = 50.11\nlongitude = 8.68\n"),
    );
    let geo = "[geo]\ndatabase = \"places.mmdb\"\n";
    let web = bed.start(&zones, geo).await;
    let made = web.create("m").await;
    let order = async |from: [u8; 4]| {
        let http = bed.http(IpAddr::from(from));
        let found = web.look_up_from(&http, &made.meeting, &made.passcode).await.unwrap();
        let zones = found.zones.iter().map(|zone| (zone.zone.clone(), zone.distance_km));
        (found.order, zones.collect::<Vec<_>>())
    };
    let named = |zones: &[(&str, Option<u32>)]| {
        zones.iter().map(|(zone, km)| ((*zone).to_owned(), *km)).collect::<Vec<_>>()
    };
    let by_distance = |near: &str, km: u32, far: &str, far_km: u32| {
        (Order::Distance, named(&[(near, Some(km)), (far, Some(far_km)), ("nowhere", None)]))
    };
    let paris = order([127, 0, 0, 1]).await;
    assert_eq!(paris, by_distance("frankfurt", 478, "tokyo", 9_713));
    let sydney = order([127, 0, 0, 2]).await;
    assert_eq!(sydney, by_distance("tokyo", 7_826, "frankfurt", 16_483));
    let unknown =
        (Order::Configured, named(&[("nowhere", None), ("tokyo", None), ("frankfurt", None)]));
    assert_eq!(order([127, 0, 0, 3]).await, unknown);

    write_places(&file, &[("127.0.0.3/32", 48.86, 2.35)]);
    web.daemon.reload(&bed.config(&zones, geo)).unwrap();
    assert_eq!(order([127, 0, 0, 3]).await, paris);
    assert_eq!(order([127, 0, 0, 1]).await, unknown);
    std::fs::write(&file, "rubbish").unwrap();
    assert!(web.daemon.reload(&bed.config(&zones, geo)).is_err());
    assert_eq!(order([127, 0, 0, 3]).await, paris, "nothing was changed");
}

#[tokio::test]
async fn zones_whose_controllers_do_not_answer_are_left_out_until_they_do() {
    let bed = Bed::new();
    let (good, other) = (Controller::start(&bed, "good"), Controller::start(&bed, "good"));
    let liar = Controller::start(&bed, "another");
    let two = format!("controllers = [\"{}\", \"{}\"]", good.url, other.url);
    let zones = format!(
        "{}[[zones]]\nname = \"lied\"\ncontrollers = [\"{}\"]\n\
         [[zones]]\nname = \"gone\"\ncontrollers = [\"https://localhost:1\"]\n",
        good.zone("").replace(&format!("controllers = [\"{}\"]", good.url), &two),
        liar.url,
    );
    let web = bed.start(&zones, "").await;
    let made = web.create("m").await;
    let offered = async || match web.look_up(&made.meeting, &made.passcode).await {
        Ok(found) => found.zones.into_iter().flat_map(|zone| zone.controllers).collect(),
        Err(refusal) => {
            assert_eq!(refusal.code, RefusalCode::NoZone);
            assert!(refusal.retry_after_ms.is_some());
            Vec::new()
        }
    };
    let wait = async |wanted: &[&String]| {
        let since = Instant::now();
        while offered().await.iter().ne(wanted.iter().copied()) {
            assert!(since.elapsed() < Duration::from_secs(20), "{wanted:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    wait(&[&good.url, &other.url]).await;
    good.is_well(false);
    wait(&[&other.url]).await;
    other.is_well(false);
    wait(&[]).await;
    assert!(web.metrics().await.contains("web_controllers_answering{zone=\"good\"} 0"));
    good.is_well(true);
    wait(&[&good.url]).await;
}

#[tokio::test]
async fn pages_and_metrics_are_told() {
    let bed = Bed::new();
    let (_controller, web) = bed.start_whole("").await;
    for path in ["/", "/page.js", "/j/01234567890"] {
        let answer = web.get(path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
        let text = answer.text().await.unwrap();
        assert!(
            !text.contains("http:") && !text.contains("https:"),
            "nothing comes from elsewhere"
        );
        assert!(!text.contains("01234567890"), "the same for every meeting");
    }
    let text = web.metrics().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let documented = std::fs::read_to_string(file).unwrap();
    let mut names = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented.contains(&format!("| `{name}` | {kind} |")), "{name} {kind}");
        names += 1;
    }
    assert_eq!(names, documented.matches("| `web_").count(), "documented and no longer told");
}
