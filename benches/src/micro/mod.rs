//! Every micro-bench, by name. A bench is made when it is its turn, and then runs as often as asked.
//!
//! | group | what is in it, on a packet's way |
//! | --- | --- |
//! | `parse` | 2: demultiplexing and parsing |
//! | `stun` | a check and its answer: the format alone, and all the router does |
//! | `srtp` | sealing and opening |
//! | `lookup` | 3 and 4: by path to the link, by label to the layer |
//! | `history` | 6: keeping a packet, and sending it again |
//! | `fan-out` | 2 to 7: from bytes that arrived to transmits in the outbox |
//! | `submit` | 8: from the outbox to submission entries, which nobody submits |

mod fan_out;
mod history;
mod lookup;
mod parse;
mod srtp;
mod stun;
mod submit;

/// One iteration. Panics when what is measured did not do its work.
pub type Run = Box<dyn FnMut()>;

/// A micro-bench.
pub struct Micro {
    /// `group/what`, of which there is one, or `group/what/size`.
    pub name: String,
    /// Packets in or transmits out of one iteration: what a rate is given in.
    pub elements: u64,
    /// Whether instructions tell anything that a smaller one of the same group does not: only the clock sees what a
    /// table larger than the caches costs.
    pub counted: bool,
    make: Box<dyn Fn() -> Run>,
}

impl Micro {
    fn new<R: FnMut() + 'static>(
        name: impl Into<String>,
        elements: u64,
        make: impl Fn() -> R + 'static,
    ) -> Self {
        let make = Box::new(move || Box::new(make()) as Run);
        Self { name: name.into(), elements, counted: true, make }
    }

    fn not_counted(self) -> Self {
        Self { counted: false, ..self }
    }

    /// Takes the memory and builds the tables; what it answers is to be measured.
    pub fn make(&self) -> Run {
        (self.make)()
    }
}

/// All of them, in the order of a packet's way.
pub fn all() -> Vec<Micro> {
    [
        parse::benches(),
        stun::benches(),
        srtp::benches(),
        lookup::benches(),
        history::benches(),
        fan_out::benches(),
        submit::benches(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::all;
    use std::collections::BTreeSet;

    #[test]
    fn every_bench_does_its_work_again_and_again() {
        for micro in all().iter().filter(|micro| micro.counted) {
            let mut run = micro.make();
            (0..1_500).for_each(|_| run());
        }
    }

    #[test]
    fn no_two_benches_have_the_same_name() {
        let names: BTreeSet<_> = all().into_iter().map(|micro| micro.name).collect();
        assert_eq!(names.len(), all().len());
    }
}
