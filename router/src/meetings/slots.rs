//! Numbers for links and layers: dense, so that workers' tables are arrays; with a generation, so that a number given
//! away again is not mistaken for its predecessor.

use crate::{LayerId, LinkId};
use std::collections::VecDeque;
use std::marker::PhantomData;

/// A number that names a place in a table.
pub(super) trait Number: Copy {
    fn new(index: u32, generation: u32) -> Self;
    fn index(self) -> u32;
    fn generation(self) -> u32;
}

/// A table of at most `max` values; its numbers are what workers know them by.
pub(super) struct Slots<N, T> {
    places: Vec<Place<T>>,
    /// First in, first out: a place rests as long as possible before it is used again.
    free: VecDeque<u32>,
    max: u32,
    numbers: PhantomData<N>,
}

struct Place<T> {
    generation: u32,
    value: Option<T>,
}

impl<N: Number, T> Slots<N, T> {
    pub(super) fn new(max: u32) -> Self {
        Self { places: Vec::new(), free: VecDeque::new(), max, numbers: PhantomData }
    }

    /// `None` when the table is full.
    pub(super) fn insert(&mut self, value: T) -> Option<N> {
        let index = match self.free.pop_front() {
            Some(index) => index,
            None => self.grow()?,
        };
        let place = &mut self.places[index as usize];
        assert!(place.value.is_none(), "a free place holds a value");
        place.value = Some(value);
        Some(N::new(index, place.generation))
    }

    pub(super) fn remove(&mut self, number: N) -> Option<T> {
        let place = self.places.get_mut(number.index() as usize)?;
        if place.generation != number.generation() {
            return None;
        }
        let value = place.value.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push_back(number.index());
        Some(value)
    }

    pub(super) fn get_mut(&mut self, number: N) -> Option<&mut T> {
        let place = self.places.get_mut(number.index() as usize)?;
        if place.generation == number.generation() { place.value.as_mut() } else { None }
    }

    pub(super) fn get(&self, number: N) -> Option<&T> {
        let place = self.places.get(number.index() as usize)?;
        if place.generation == number.generation() { place.value.as_ref() } else { None }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().filter_map(|place| place.value.as_ref())
    }

    /// How many more fit.
    pub(super) fn room(&self) -> usize {
        self.max as usize - self.len()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn grow(&mut self) -> Option<u32> {
        let index = u32::try_from(self.places.len()).ok()?;
        if index >= self.max {
            return None;
        }
        self.places.push(Place { generation: 0, value: None });
        Some(index)
    }
}

macro_rules! number {
    ($name:ident) => {
        impl Number for $name {
            fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }
            fn index(self) -> u32 {
                self.index
            }
            fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}

number!(LinkId);
number!(LayerId);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_number_given_away_again_has_another_generation() {
        let mut slots: Slots<LinkId, char> = Slots::new(1);
        let first = slots.insert('a').unwrap();
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert('b').unwrap();
        assert_eq!(first.index, second.index);
        assert_ne!(first.generation, second.generation);
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&'b'));
    }

    #[test]
    fn a_full_table_takes_nothing_until_something_is_removed() {
        let mut slots: Slots<LayerId, u8> = Slots::new(2);
        let first = slots.insert(1).unwrap();
        slots.insert(2).unwrap();
        assert_eq!(slots.room(), 0);
        assert!(slots.insert(3).is_none());
        slots.remove(first);
        assert_eq!(slots.insert(3).unwrap().index, first.index);
        assert_eq!(slots.len(), 2);
    }
}
