//! Counts what each thread allocates, so that a run can tell what a router's workers did: nothing, once they run.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Threads that are told apart; a router has a few. Those that come later are counted together, in the last place.
const THREADS_MAX: usize = 64;
/// A thread that has not allocated yet.
const NOWHERE: usize = usize::MAX;

static COUNTS: [AtomicU64; THREADS_MAX] = [const { AtomicU64::new(0) }; THREADS_MAX];
static THREADS: [AtomicU32; THREADS_MAX] = [const { AtomicU32::new(0) }; THREADS_MAX];
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(NOWHERE) };
}

/// The system's allocator with a count in front.
pub(crate) struct Counting;

/// Allocations of these threads of this process so far.
pub(crate) fn of(threads: &[u32]) -> u64 {
    let counts = THREADS.iter().zip(&COUNTS);
    counts
        .filter(|(thread, _)| threads.contains(&thread.load(Ordering::Relaxed)))
        .map(|(_, count)| count.load(Ordering::Relaxed))
        .sum()
}

fn count() {
    let mut place = PLACE.get();
    if place == NOWHERE {
        let next = usize::try_from(NEXT.fetch_add(1, Ordering::Relaxed));
        place = next.unwrap_or(NOWHERE).min(THREADS_MAX - 1);
        THREADS[place].store(nix::unistd::gettid().as_raw().unsigned_abs(), Ordering::Relaxed);
        PLACE.set(place);
    }
    COUNTS[place].fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the system's allocator as it came. `count` itself allocates nothing: its tables
// are static, and its thread-local value is const and needs no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller says.
        unsafe { System.realloc(place, layout, len) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(place, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_counted_by_thread() {
        let counted = |boxes: usize| {
            let tid = nix::unistd::gettid().as_raw().unsigned_abs();
            drop(std::hint::black_box(Box::new(0)));
            let before = of(&[tid]);
            (0..boxes).for_each(|number| drop(std::hint::black_box(Box::new(number))));
            of(&[tid]) - before
        };
        let [none, three] =
            [0, 3].map(|boxes| std::thread::spawn(move || counted(boxes)).join().expect("it ends"));
        assert_eq!((none, three), (0, 3));
    }
}
