use super::*;

fn stats(epoch_ms: u64, draining: bool, drain_order: Option<u64>) -> Stats {
    Stats { epoch_ms, draining_s: draining.then_some(600), drain_order, ..Stats::default() }
}

fn drain(order: u64) -> Wanted {
    Wanted { order, state: WantedState::Drain { deadline_s: 60 } }
}

fn serve(order: u64) -> Wanted {
    Wanted { order, state: WantedState::Serve }
}

/// What is asked of a daemon that was told all this.
fn asked(wanted: &[Wanted], stats: &Stats) -> Option<String> {
    let mut orders = Orders::default();
    wanted.iter().for_each(|wanted| orders.handle_wanted(*wanted));
    orders.poll_action(stats).map(|action| action.request())
}

#[test]
fn follows_the_newest_order_whichever_controller_says_it_last() {
    let (serving, drained) = (stats(1, false, None), stats(1, true, Some(7)));
    assert_eq!(asked(&[], &serving), None);
    let drained_by_7 = Some("/drain?deadline=60s&order=7".to_owned());
    assert_eq!(asked(&[drain(7)], &serving), drained_by_7);
    assert_eq!(asked(&[serve(6), drain(7), serve(6)], &serving), drained_by_7);
    assert_eq!(asked(&[drain(7), serve(8)], &drained), Some("/undrain?order=8".to_owned()));
    assert_eq!(asked(&[drain(7)], &drained), None, "it does already");
    let again = Some("/drain?deadline=60s&order=9".to_owned());
    assert_eq!(asked(&[drain(9)], &drained), again, "with another deadline");
    assert_eq!(asked(&[serve(8)], &serving), None);
}

#[test]
fn leaves_what_the_host_asked_for() {
    let drained_by_host = stats(1, true, None);
    assert_eq!(asked(&[serve(8)], &drained_by_host), None);
    assert_eq!(asked(&[drain(8)], &drained_by_host), None);
    let ending = Stats { stopping: true, ..stats(1, true, Some(3)) };
    assert_eq!(asked(&[serve(8)], &ending), None);
}

#[test]
fn carries_an_order_out_once_on_each_daemon() {
    let mut orders = Orders::default();
    orders.handle_wanted(drain(7));
    let serving = stats(1, false, None);
    let action = orders.poll_action(&serving).expect("an action");
    assert_eq!(orders.poll_action(&serving), None, "it is on its way");
    orders.handle_done(action, false);
    assert_eq!(orders.poll_action(&serving), Some(action), "tried again");
    orders.handle_done(action, true);
    assert_eq!(orders.poll_action(&serving), None, "the host undrained it since");
    assert!(orders.poll_action(&stats(2, false, None)).is_some(), "another daemon");
}
