//! What nobody can do better, however much they know: the most requests that a number of workers could answer in time.
//!
//! Bursts can bring more work at once than any server gets done before it is late, at a load that it could bear on
//! average. The oracle knows when each request comes and how long it takes, and refuses the fewest: in the order of
//! their arrival, and whenever one would be late, whichever makes the end of the work earliest by not being there. With
//! one worker, and deadlines in the order of arrivals, no choice is better (Kise, Ibaraki and Mine, "A solvable case of
//! the one-machine scheduling problem with ready and due times", 1978, after Moore and Hodgson).
//!
//! Several workers are counted as one that is so many times as fast. It can do whatever they can, and a little more, as
//! none of it idles while there is work left: what comes out is a bound, which not even an oracle may quite reach.

/// The choice so far.
#[derive(Debug)]
pub(crate) struct Oracle {
    workers: f64,
    /// Nanoseconds from arrival until an answer is of no use.
    deadline: f64,
    /// The chosen ones since the server was last idle, in the order of arrival.
    busy: Vec<Chosen>,
    /// How many were chosen before.
    before: u64,
}

/// A request that is answered: when it comes, when work on it begins, and for how long all work on it.
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

    /// The next request: when it comes, and how long a worker takes for it, in nanoseconds.
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
            self.refuse_one();
        }
    }

    /// How many of all are answered in time.
    pub(crate) fn answered(&self) -> u64 {
        self.before + self.busy.len() as u64
    }

    /// Refuses the one without which the work ends earliest.
    fn refuse_one(&mut self) {
        let (mut refused, mut gain) = (0, 0.0);
        // Nobody begins before they come: those after the refused one move forward by no more than any of them waits.
        let mut room = f64::INFINITY;
        for (index, one) in self.busy.iter().enumerate().rev() {
            if one.lasts.min(room) > gain {
                (refused, gain) = (index, one.lasts.min(room));
            }
            room = room.min(one.begins - one.at);
            if room <= gain {
                break;
            }
        }
        let mut free = self.busy.remove(refused).begins;
        for one in &mut self.busy[refused..] {
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

    /// Bursts of requests: when they come, and how long they take.
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

    /// Tries everything: any choice of requests, in any order, each to the worker that is free first. (Some best
    /// schedule is such a list: take it in the order in which its work begins.)
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
    fn one_worker_is_chosen_for_as_well_as_by_trying_everything() {
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
    fn several_workers_never_do_more_and_seldom_less() {
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
    fn who_could_not_be_answered_even_alone_takes_nothing() {
        assert_eq!(oracle(&[(0.0, 11.0), (0.0, 9.0), (0.0, 1.0)], 1), 2);
    }
}
