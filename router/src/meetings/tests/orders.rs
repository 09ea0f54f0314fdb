//! What order.rs promises workers, checked on random operations against a naive model of a worker's tables.

use super::*;
use proptest::prelude::*;

/// What a worker would hold after the orders so far; panics where an order breaks a promise.
#[derive(Default)]
struct Model {
    links: BTreeMap<u32, (u32, MeetingId)>,
    layers: BTreeMap<u32, (u32, LinkId, MeetingId)>,
    routes: BTreeSet<(u32, u32)>,
}

impl Model {
    fn apply(&mut self, order: &Order) {
        match order {
            Order::AddLink(spec) => {
                assert!(spec.id.index < config().links, "an index out of bounds");
                let before = self.links.insert(spec.id.index, (spec.id.generation, spec.meeting));
                assert!(before.is_none(), "an index given away twice");
            }
            Order::AddLayer(spec) => {
                self.check_link(spec.link);
                let layer = (spec.id.generation, spec.link, spec.meeting);
                assert!(self.layers.insert(spec.id.index, layer).is_none());
            }
            Order::Route { layer, link } => {
                self.check_route(*layer, *link);
                self.routes.insert((layer.index, link.index));
                assert!(self.routes.len() <= config().routes as usize, "too many routes");
            }
            Order::Unroute { layer, link } => {
                self.check_route(*layer, *link);
                self.routes.remove(&(layer.index, link.index));
            }
            Order::Switch { from, to, link } => {
                self.check_route(*from, *link);
                self.check_route(*to, *link);
                assert!(self.routes.contains(&(from.index, link.index)));
            }
            Order::RemoveLayer(layer) => {
                assert!(!self.routes.iter().any(|route| route.0 == layer.index), "a route is left");
                let removed = self.layers.remove(&layer.index);
                assert_eq!(removed.map(|it| it.0), Some(layer.generation));
            }
            Order::RemoveLink(link) => {
                assert!(!self.routes.iter().any(|route| route.1 == link.index), "a route is left");
                assert!(!self.layers.values().any(|layer| layer.1 == *link), "a layer is left");
                let removed = self.links.remove(&link.index);
                assert_eq!(removed.map(|it| it.0), Some(link.generation));
            }
            Order::Rollover { layer, .. } => {
                assert_eq!(self.layers[&layer.index].0, layer.generation);
            }
            Order::Mark(_) | Order::Express(_) => {}
        }
    }

    fn check_link(&self, link: LinkId) {
        assert_eq!(self.links[&link.index].0, link.generation);
    }

    fn check_route(&self, layer: LayerId, link: LinkId) {
        self.check_link(link);
        assert_eq!(self.layers[&layer.index].0, layer.generation);
        assert_eq!(self.layers[&layer.index].2, self.links[&link.index].1, "across meetings");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Join { who: u8 },
    Say { who: u8, message: ClientMessage },
    Drop { who: u8 },
    Switched { layers: (u32, u32), link: u32 },
    Rollover { layer: u32 },
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..8_u8;
    let stream = || (0..12_u32).prop_map(StreamId);
    let kind = || prop::sample::select(Kind::ALL.to_vec());
    let message = prop_oneof![
        4 => kind().prop_map(connect),
        4 => (1..4_usize).prop_map(video),
        2 => Just(audio()),
        8 => (stream(), 0..4_u8).prop_map(|(stream, layer)| subscribe(stream, layer)),
        2 => stream().prop_map(|stream| ClientMessage::Unsubscribe { stream }),
        1 => stream().prop_map(|stream| ClientMessage::Unpublish { stream }),
        1 => Just(ClientMessage::Leave),
    ];
    prop_oneof![
        4 => who.clone().prop_map(|who| Step::Join { who }),
        20 => (who.clone(), message).prop_map(|(who, message)| Step::Say { who, message }),
        1 => who.prop_map(|who| Step::Drop { who }),
        4 => ((0..8_u32, 0..8_u32), 0..8_u32)
            .prop_map(|(layers, link)| Step::Switched { layers, link }),
        1 => (0..8_u32).prop_map(|layer| Step::Rollover { layer }),
        1 => Just(Step::Wait),
    ]
}

fn play(scene: &mut Scene, step: Step) {
    // Even names are of one meeting, odd ones of the other.
    let meeting = |who: u8| if who.is_multiple_of(2) { "even" } else { "odd" };
    let layer = |index| LayerId { index, generation: 0 };
    match step {
        Step::Join { who } => {
            scene.join(ChannelId(who.into()), claims(meeting(who), &who.to_string()));
        }
        Step::Say { who, message } => {
            scene.say(ChannelId(who.into()), message);
        }
        Step::Drop { who } => scene.meetings.handle_disconnect(scene.now, ChannelId(who.into())),
        Step::Switched { layers, link } => {
            let link = LinkId { index: link, generation: 0 };
            scene.report(Event::Switched { from: layer(layers.0), to: layer(layers.1), link });
        }
        Step::Rollover { layer: index } => {
            scene.report(Event::Rollover { layer: layer(index), roc: 1 });
        }
        Step::Wait => {
            scene.wait(Duration::from_secs(10));
        }
    }
}

proptest! {
    #[test]
    fn orders_keep_what_they_promise_and_end_with_empty_tables(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut scene = Scene::new();
        let mut model = Model::default();
        for step in steps {
            play(&mut scene, step);
            scene.orders.drain(..).for_each(|order| model.apply(&order));
        }
        for channel in 0..8 {
            scene.meetings.handle_disconnect(scene.now, ChannelId(channel));
        }
        scene.wait(Duration::from_secs(30));
        scene.orders.drain(..).for_each(|order| model.apply(&order));
        scene.assert_empty();
        prop_assert!(model.links.is_empty() && model.layers.is_empty() && model.routes.is_empty());
    }
}
