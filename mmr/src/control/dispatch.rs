//! Orders on their way to the workers and the door: the same sequence to all, never waiting, never
//! lost.

use crate::exchange::{DoorOrder, Exchange, ORDERS_PER_TURN_MAX, WorkerOrder, WorkerPort};
use crossbeam::queue::ArrayQueue;
use router::Order;
use std::collections::VecDeque;
use std::sync::Arc;

/// Keeps what does not fit a queue and tries again.
pub(super) struct Dispatch {
    exchange: Arc<Exchange>,
    workers: Vec<VecDeque<WorkerOrder>>,
    door: VecDeque<DoorOrder>,
}

impl Dispatch {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        let workers = exchange.workers.iter().map(|_| VecDeque::new()).collect();
        Self { exchange, workers, door: VecDeque::new() }
    }

    /// For every worker.
    pub(super) fn order(&mut self, order: &Order) {
        for worker in &mut self.workers {
            worker.push_back(WorkerOrder::Router(order.clone()));
        }
    }

    /// For one worker.
    pub(super) fn order_one(&mut self, worker: usize, order: WorkerOrder) {
        self.workers[worker].push_back(order);
    }

    /// For the door.
    pub(super) fn order_door(&mut self, order: DoorOrder) {
        self.door.push_back(order);
    }

    /// Hands over what fits.
    pub(super) fn flush(&mut self) {
        for (waiting, port) in self.workers.iter_mut().zip(&self.exchange.workers) {
            if push(waiting, &port.orders) {
                port.waker.wake();
            }
        }
        if push(&mut self.door, &self.exchange.door.orders) {
            self.exchange.door.waker.wake();
        }
    }

    /// Orders that wait for the worker, or the door, that is furthest behind.
    pub(super) fn waiting(&self) -> usize {
        self.workers.iter().map(VecDeque::len).chain([self.door.len()]).max().unwrap_or(0)
    }

    /// Whether every worker will have carried out all orders when it has read the next packet: it takes what it is
    /// ordered after it has received, and before it routes.
    pub(super) fn is_ahead_of_packets(&self) -> bool {
        let taken = |port: &WorkerPort| port.orders.len() <= ORDERS_PER_TURN_MAX;
        self.waiting() == 0 && self.exchange.workers.iter().all(taken)
    }
}

/// Whether anything was handed over.
fn push<T>(waiting: &mut VecDeque<T>, queue: &ArrayQueue<T>) -> bool {
    let before = waiting.len();
    while let Some(order) = waiting.pop_front() {
        if let Err(order) = queue.push(order) {
            waiting.push_front(order);
            break;
        }
    }
    waiting.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::ORDERS_MAX;
    use router::{LayerId, LinkId};
    use std::time::Instant;

    fn route(index: u32) -> Order {
        let layer = LayerId { index, generation: 0 };
        Order::Route { layer, link: LinkId { index, generation: 0 } }
    }

    fn taken(exchange: &Exchange, worker: usize) -> Vec<u32> {
        let orders = &exchange.workers[worker].orders;
        std::iter::from_fn(|| orders.pop())
            .map(|order| match order {
                WorkerOrder::Router(Order::Route { layer, .. }) => layer.index,
                _ => panic!("only routes were ordered"),
            })
            .collect()
    }

    #[test]
    fn keeps_what_does_not_fit_and_the_sequence_of_every_worker() {
        let exchange = Arc::new(Exchange::new(2, Instant::now()).expect("eventfds"));
        let mut dispatch = Dispatch::new(Arc::clone(&exchange));
        let count = u32::try_from(ORDERS_MAX).expect("small") + 100;
        for index in 0..count {
            dispatch.order(&route(index));
        }
        dispatch.flush();
        assert_eq!(dispatch.waiting(), 100);
        let mut first = taken(&exchange, 0);
        dispatch.flush();
        assert_eq!(dispatch.waiting(), 100, "worker 1 has taken nothing yet");
        let mut second = taken(&exchange, 1);
        dispatch.flush();
        assert_eq!(dispatch.waiting(), 0);
        first.extend(taken(&exchange, 0));
        second.extend(taken(&exchange, 1));
        assert_eq!(first, (0..count).collect::<Vec<_>>());
        assert_eq!(second, first);
    }
}
