//! Public keys from files and URLs: what counts when, and what does not.
#![allow(clippy::unwrap_used, reason = "a test stops where something is missing")]

mod bed;

use bed::{Bed, Said};
use daemon::keys::{Fetches, KeySource, Keys, Sources};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use wire::token::{PublicKeys, Signer, public_jwks};

const KEY: &str = "tokens.keys";
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who takes keys, and remembers how many it got each time.
struct Taker {
    keys: Arc<Keys>,
    fetches: Fetches,
    taken: Receiver<PublicKeys>,
    refreshing: JoinHandle<()>,
}

impl Taker {
    fn start(bed: &Bed, sources: &[KeySource]) -> Self {
        let fetches = Fetches::default();
        let keys = Arc::new(Keys::new(fetches.clone()));
        let (tell, taken) = channel();
        let reading = keys.read(KEY, sources, &bed.fetching()).unwrap();
        tell.send(reading.sources().keys()).unwrap();
        keys.exchange(reading, || {});
        let refreshing = tokio::spawn({
            let keys = Arc::clone(&keys);
            async move {
                keys.refresh(|sources: &Sources| tell.send(sources.keys()).is_ok()).await;
            }
        });
        Self { keys, fetches, taken, refreshing }
    }

    fn outcomes(&self) -> [u64; 3] {
        self.fetches.outcomes().map(|(_, count)| count)
    }

    /// The names of the keys that were taken next.
    async fn next(&self) -> String {
        let since = Instant::now();
        loop {
            if let Ok(keys) = self.taken.try_recv() {
                return format!("{keys:?}");
            }
            assert!(since.elapsed() < PATIENCE, "no keys are taken: {:?}", self.outcomes());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until so many more were asked for in vain; nothing was taken meanwhile.
    async fn fails(&self, outcome: usize) {
        let (before, since) = (self.outcomes()[outcome], Instant::now());
        while self.outcomes()[outcome] < before + 2 {
            assert!(since.elapsed() < PATIENCE, "{:?}", self.outcomes());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(self.taken.try_recv().is_err(), "nothing has changed");
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        self.refreshing.abort();
    }
}

fn named(signers: &[&Signer]) -> String {
    let mut keys = PublicKeys::default();
    for signer in signers {
        keys.add(&PublicKeys::from_jwks(&signer.public_jwks()).unwrap());
    }
    format!("{keys:?}")
}

#[tokio::test]
async fn keys_are_fetched_at_start_and_when_they_change() {
    let bed = Bed::new();
    let (one, two) = (Signer::generate(), Signer::generate());
    let web = bed.publish(Said::Keys(one.public_jwks()));
    let taker = Taker::start(&bed, &[web.source()]);
    taker.keys.ready().await;
    assert_eq!(taker.next().await, named(&[]), "it was never reached before");
    assert_eq!(taker.next().await, named(&[&one]));
    web.say(Said::Keys(public_jwks([&one, &two])));
    assert_eq!(taker.next().await, named(&[&one, &two]));
    web.say(Said::Keys(two.public_jwks()));
    assert_eq!(taker.next().await, named(&[&two]), "what is no longer published does not count");
    assert!(taker.outcomes()[0] >= 3 && taker.outcomes()[1..] == [0, 0]);
    assert!(taker.fetches.ages_s()[0].1 < 20);
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_changes_nothing_and_is_counted() {
    let bed = Bed::new();
    let (one, two) = (Signer::generate(), Signer::generate());
    let web = bed.publish(Said::Keys(one.public_jwks()));
    let elsewhere = bed.publish(Said::Keys(two.public_jwks()));
    let taker = Taker::start(&bed, &[web.source()]);
    assert_eq!((taker.next().await, taker.next().await), (named(&[]), named(&[&one])));
    let other_kind = r#"{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}"#.to_owned();
    let megabyte = format!("{}{}", one.public_jwks(), " ".repeat(1 << 20));
    for (what, said) in [
        ("garbage", Said::Keys("<html>Welcome to our network!</html>".into())),
        ("no key at all", Said::Keys(r#"{"keys":[]}"#.into())),
        ("a key of another kind", Said::Keys(other_kind)),
        ("a megabyte", Said::Keys(megabyte)),
        ("a redirect", Said::MovedTo(elsewhere.url())),
        ("an error with keys in it", Said::Error(two.public_jwks())),
    ] {
        web.say(said);
        println!("{what}");
        taker.fails(2).await;
    }
    let (before, age) = (taker.outcomes()[0], taker.fetches.ages_s()[0].1);
    assert!(age < 60);
    web.say(Said::Keys(public_jwks([&two, &one])));
    assert_eq!(taker.next().await, named(&[&one, &two]), "good again");
    assert!(taker.outcomes()[0] > before);
}

#[tokio::test]
async fn nobody_else_can_publish_keys() {
    let bed = Bed::new();
    let stranger = Bed::new();
    let web = stranger.publish(Said::Keys(Signer::generate().public_jwks()));
    let taker = Taker::start(&bed, &[web.source()]);
    assert_eq!(taker.next().await, named(&[]));
    taker.fails(1).await;
    assert_eq!(taker.fetches.ages_s().len(), 1, "an alarm can be set although it never told any");
}

#[tokio::test]
async fn a_start_without_the_url_has_what_it_told_last() {
    let bed = Bed::new();
    let (file, one) = (Signer::generate(), Signer::generate());
    bed.write("keys.json", &file.public_jwks());
    let web = bed.publish(Said::Keys(one.public_jwks()));
    let sources = [web.source(), KeySource::File(bed.path("keys.json"))];
    let taker = Taker::start(&bed, &sources);
    assert_eq!(taker.next().await, named(&[&file]));
    assert_eq!(taker.next().await, named(&[&one, &file]));
    drop((taker, web));
    let taker = Taker::start(&bed, &sources);
    taker.keys.ready().await;
    assert_eq!(taker.outcomes(), [0, 0, 0], "nobody waits for what is known");
    assert_eq!(taker.next().await, named(&[&one, &file]));
    assert!(taker.fetches.ages_s()[0].1 < 60);
    taker.fails(1).await;
    drop(taker);
    for kept in std::fs::read_dir(bed.path("cache")).unwrap() {
        std::fs::write(kept.unwrap().path(), "rubbish").unwrap();
    }
    let taker = Taker::start(&bed, &sources);
    assert_eq!(taker.next().await, named(&[&file]), "and rubbish is worth nothing");
    taker.keys.ready().await;
    assert!(taker.outcomes()[1] > 0, "it was asked");
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_holds_nobody_up() {
    let bed = Bed::new();
    bed.write("cache", "a file where a folder should be");
    let one = Signer::generate();
    let web = bed.publish(Said::Keys(one.public_jwks()));
    let taker = Taker::start(&bed, &[web.source()]);
    assert_eq!((taker.next().await, taker.next().await), (named(&[]), named(&[&one])));
}

#[tokio::test]
async fn other_sources_take_over_at_once_and_keep_what_is_known() {
    let bed = Bed::new();
    let (one, two, file) = (Signer::generate(), Signer::generate(), Signer::generate());
    let (first, second) =
        (bed.publish(Said::Keys(one.public_jwks())), bed.publish(Said::Keys(two.public_jwks())));
    bed.write("keys.json", &file.public_jwks());
    let taker = Taker::start(&bed, &[first.source()]);
    assert_eq!((taker.next().await, taker.next().await), (named(&[]), named(&[&one])));
    // It can't be asked any more, and is still a source.
    let sources = [first.source(), second.source(), KeySource::File(bed.path("keys.json"))];
    drop(first);
    let mut fetching = bed.fetching();
    fetching.interval = Duration::from_secs(3_600);
    let reading = taker.keys.read(KEY, &sources, &fetching).unwrap();
    let mut taken = None;
    let keys = reading.sources().keys();
    taker.keys.exchange(reading, || taken = Some(format!("{keys:?}")));
    assert_eq!(taken, Some(named(&[&one, &file])));
    assert_eq!(taker.next().await, named(&[&one, &two, &file]), "asked at once");
    let told: Vec<_> = taker.fetches.ages_s().into_iter().map(|(url, _)| url).collect();
    assert_eq!(told.len(), 2);
    // A file that can't be used changes nothing.
    bed.write("keys.json", "rubbish");
    let refused = taker.keys.read(KEY, &sources, &fetching).err().unwrap();
    assert!(refused.to_string().starts_with("tokens.keys: "), "{refused}");
    let alone = taker.keys.read(KEY, &sources[1..2], &fetching).unwrap();
    taker.keys.exchange(alone, || {});
    let left: Vec<_> = taker.fetches.ages_s().into_iter().map(|(url, _)| url).collect();
    assert_eq!(left, [second.url()], "what is no source any more is not told of");
}

#[tokio::test]
async fn keys_that_were_not_taken_are_given_again() {
    let bed = Bed::new();
    let one = Signer::generate();
    let web = bed.publish(Said::Keys(one.public_jwks()));
    let keys = Keys::new(Fetches::default());
    let reading = keys.read(KEY, &[web.source()], &bed.fetching()).unwrap();
    keys.exchange(reading, || {});
    let offered = std::cell::Cell::new(0);
    let (gave, given) = tokio::sync::oneshot::channel();
    let gave = std::cell::RefCell::new(Some(gave));
    let take = |sources: &Sources| {
        offered.set(offered.get() + 1);
        // There was no room for them twice.
        if offered.get() < 3 {
            return false;
        }
        gave.borrow_mut().take().unwrap().send(sources.keys()).unwrap();
        true
    };
    tokio::select! {
        () = keys.refresh(take) => {}
        given = given => assert_eq!(format!("{:?}", given.unwrap()), named(&[&one])),
        () = tokio::time::sleep(PATIENCE) => panic!("offered {} times", offered.get()),
    }
}
