//! An upper bound: the most requests that a number of workers could answer in time.
//!
//! Bursts can bring more work at once than any server can do within the deadline, even at a mean
//! load below its capacity. The oracle has the arrival and the work of each request, and rejects
//! the fewest: in the order of arrival, and whenever a request would be late, it removes the
//! request without which the work ends earliest. With one worker, and deadlines in the order of
//! arrivals, no choice is better (Kise, Ibaraki and Mine, "A solvable case of the one-machine
//! scheduling problem with ready and due times", 1978, after Moore and Hodgson).
//!
//! Several workers count as one of the same total speed. It can do everything they can, and
//! slightly more, since no part of it idles while there is work: the result is a bound that may not
//! be reachable.

/// The requests chosen so far.
#[derive(Debug)]
pub(crate) struct Oracle {
    workers: f64,
    /// Nanoseconds from arrival until the answer is of no use.
    deadline: f64,
    /// The requests chosen since the server was last idle, in the order of arrival.
    busy: Vec<Chosen>,
    /// The number of requests chosen before that.
    before: u64,
}

/// A chosen request: its arrival, the start of its work, and the duration on all workers.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    at: f64,
    begins: f64,
    lasts: f64,
}

impl Chosen {
    fn ends(&self) -> f64 {
        self.begins + self.lasts
    }
}

impl Oracle {
    pub(crate) fn new(workers: usize, deadline: f64) -> Self {
        Self {
            workers: workers as f64,
            deadline,
            busy: Vec::new(),
            before: 0,
        }
    }

    /// Offers the next request: its arrival, and its run time on one worker, in nanoseconds.
    pub(crate) fn offer(&mut self, at: f64, work: f64) {
        if work > self.deadline {
            return;
        }
        let idle_from = self.busy.last().map_or(0.0, Chosen::ends);
        if idle_from <= at {
            self.before += self.busy.len() as u64;
            self.busy.clear();
        }
        self.busy.push(Chosen {
            at,
            begins: idle_from.max(at),
            lasts: work / self.workers,
        });
        if self.busy[self.busy.len() - 1].ends() > at + self.deadline {
            self.reject_one();
        }
    }

    /// The number of requests that are answered in time.
    pub(crate) fn answered(&self) -> u64 {
        self.before + self.busy.len() as u64
    }

    /// Rejects the request without which the work ends earliest.
    fn reject_one(&mut self) {
        let (mut rejected, mut gain) = (0, 0.0);
        // No request starts before its arrival: those after the rejected one move forward by at
        // most the shortest wait among them.
        let mut room = f64::INFINITY;
        for (index, one) in self.busy.iter().enumerate().rev() {
            if one.lasts.min(room) > gain {
                (rejected, gain) = (index, one.lasts.min(room));
            }
            room = room.min(one.begins - one.at);
            if room <= gain {
                break;
            }
        }
        let mut free = self.busy.remove(rejected).begins;
        for one in &mut self.busy[rejected..] {
            one.begins = free.max(one.at);
            free = one.ends();
        }
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const DEADLINE: f64 = 10.0;

    /// Bursts of requests: arrivals and run times.
    fn requests(rng: &mut Rng, load: f64, count: usize) -> Vec<(f64, f64)> {
        let mut at = 0.0;
        let mut next = || {
            if rng.f64() < 0.3 {
                at += rng.f64() * 20.0 / load;
            }
            (at, f64::from(rng.u8(1..=24)) / 4.0)
        };
        (0..count).map(|_| next()).collect()
    }

    fn oracle(requests: &[(f64, f64)], workers: usize) -> u64 {
        let mut oracle = Oracle::new(workers, DEADLINE);
        for (at, work) in requests {
            oracle.offer(*at, *work);
        }
        oracle.answered()
    }

    /// Tries all choices of requests in any order, each on the worker that is free first. (One of
    /// the best schedules is such a list, ordered by the start of work.)
    fn best(requests: &[(f64, f64)], free: &mut Vec<f64>, done: u32) -> u64 {
        let mut most = 0;
        for (index, (at, work)) in requests.iter().enumerate() {
            let first = (0..free.len())
                .min_by(|a, b| free[*a].total_cmp(&free[*b]))
                .unwrap();
            let ends = free[first].max(*at) + work;
            if done & (1 << index) == 0 && ends <= at + DEADLINE {
                let before = std::mem::replace(&mut free[first], ends);
                most = most.max(1 + best(requests, free, done | 1 << index));
                free[first] = before;
            }
        }
        most
    }

    #[test]
    fn with_one_worker_the_choice_equals_the_exhaustive_search() {
        let mut rng = Rng::with_seed(3);
        let mut refused = 0;
        for _ in 0..200 {
            let requests = requests(&mut rng, 2.0, 7);
            let most = best(&requests, &mut vec![0.0], 0);
            assert_eq!(oracle(&requests, 1), most, "{requests:?}");
            refused += 7 - most;
        }
        assert!(refused > 200, "{refused}");
    }

    #[test]
    fn with_several_workers_the_bound_holds_and_is_close() {
        let mut rng = Rng::with_seed(4);
        let (mut bound, mut possible) = (0, 0);
        for _ in 0..100 {
            let requests = requests(&mut rng, 5.0, 7);
            let most = best(&requests, &mut vec![0.0; 2], 0);
            let chosen = oracle(&requests, 2);
            assert!(chosen >= most, "{chosen} {most} {requests:?}");
            bound += chosen;
            possible += most;
        }
        assert!(
            possible < 100 * 7 && bound - possible < possible / 10,
            "{bound} {possible}"
        );
    }

    #[test]
    fn a_request_that_is_late_even_alone_is_not_chosen() {
        assert_eq!(oracle(&[(0.0, 11.0), (0.0, 9.0), (0.0, 1.0)], 1), 2);
    }
}
