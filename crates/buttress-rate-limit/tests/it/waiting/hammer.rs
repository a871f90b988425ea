//! Random crowds on paused time: some are polled at once, some late, some never; some leave.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use buttress_rate_limit::{Rate, RateLimit};
use buttress_sync::{Mutex, Random};
use buttress_testkit::{deep, seed};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const MILLI: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Is polled whenever it is woken.
    Prompt,
    /// Is polled after a while once it was woken.
    Late,
    /// Is polled only now and then, whatever wakes it.
    Sleepy,
    /// Is polled once, and then stays for a long time.
    Locked,
    /// Leaves after a while.
    Leaves,
}

impl Manner {
    fn comes_back(self) -> bool {
        matches!(self, Self::Late | Self::Sleepy | Self::Locked)
    }
}

#[derive(Debug)]
struct Out {
    at: Instant,
    arrived: u32,
    manner: Manner,
    polls: u32,
}

async fn call(limit: RateLimit, manner: Manner, wait: Duration) -> Option<u32> {
    let (mut acquire, mut polls) = (pin!(limit.acquire()), 0);
    let pause = if manner == Manner::Late {
        3 * MILLI
    } else {
        wait
    };
    let mut locked = true;
    let mut turn = pin!(poll_fn(|cx| {
        polls += 1;
        match acquire.as_mut().poll(cx) {
            Poll::Pending if manner == Manner::Locked && locked => {
                locked = false;
                Poll::Ready(None)
            }
            polled => polled.map(|result| result.ok()).map(Some),
        }
    }));
    let _taken = match manner {
        Manner::Prompt => turn.as_mut().await.flatten()?,
        Manner::Leaves => timeout(wait, turn.as_mut()).await.ok()?.flatten()?,
        Manner::Late | Manner::Sleepy => loop {
            let polled = poll_fn(|cx| Poll::Ready(turn.as_mut().poll(cx))).await;
            if let Poll::Ready(result) = polled {
                break result.flatten()?;
            }
            sleep(pause).await;
        },
        Manner::Locked => {
            // The first time it comes back without an answer.
            if let Some(result) = turn.as_mut().await {
                result?
            } else {
                sleep(20 * wait).await;
                turn.as_mut().await.flatten()?
            }
        }
    };
    Some(polls)
}

struct Crowd<'a> {
    random: &'a Random,
    limit: RateLimit,
    interval: Duration,
    outs: Arc<Mutex<Vec<Out>>>,
}

impl<'a> Crowd<'a> {
    fn new(random: &'a Random) -> Self {
        let interval = MILLI * below(random, 20) + MILLI;
        let limit = RateLimit::builder("crowd")
            .leaky_bucket(Rate::new(1, interval))
            .max_wait(Duration::MAX)
            .build();
        Self {
            random,
            limit,
            interval,
            outs: Arc::default(),
        }
    }

    async fn come_and_go(&self) {
        let mut tasks = JoinSet::new();
        let others = below(self.random, 3);
        for arrived in 0..100 {
            let manner = match below(self.random, 10) {
                0 if others > 0 => Manner::Late,
                1 if others > 0 => Manner::Sleepy,
                2 if others > 1 => Manner::Locked,
                3 | 4 => Manner::Leaves,
                _ => Manner::Prompt,
            };
            let wait = MILLI * below(self.random, 60) + MILLI;
            let (limit, outs) = (self.limit.clone(), Arc::clone(&self.outs));
            tasks.spawn(async move {
                if let Some(polls) = call(limit, manner, wait).await {
                    let at = Instant::now();
                    outs.lock().push(Out {
                        at,
                        arrived,
                        manner,
                        polls,
                    });
                }
            });
            if below(self.random, 3) == 0 {
                sleep(MILLI * below(self.random, 30)).await;
            }
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
    }

    fn judge(self, met: &mut BTreeMap<Manner, u32>) {
        let outs = self.outs.lock();
        let figures = self.limit.snapshot();
        assert_eq!(
            (figures.waiting, figures.admitted_count),
            (0, outs.len() as u64)
        );
        for pair in outs.windows(2) {
            // Who waited and comes late counts as if it had come in time, up to 2 ms.
            let least = self.interval.saturating_sub(Duration::from_millis(2));
            assert!(pair[1].at - pair[0].at >= least, "{pair:?}");
        }
        let prompt: Vec<_> = outs
            .iter()
            .filter(|out| out.manner == Manner::Prompt)
            .collect();
        assert!(
            prompt.is_sorted_by_key(|out| out.arrived),
            "first come, first served"
        );
        let mut woken = Vec::new();
        for out in outs.iter() {
            *met.entry(out.manner).or_default() += 1;
            let is_woken_only = matches!(out.manner, Manner::Prompt | Manner::Leaves);
            if is_woken_only {
                woken.push(out.polls);
            }
        }
        // One that is called while another comes back that stands before it is called again.
        assert!(
            woken.iter().sum::<u32>() as usize <= 3 * woken.len(),
            "{woken:?}"
        );
        if !outs.iter().any(|out| out.manner.comes_back()) {
            assert!(woken.iter().all(|&polls| polls <= 2), "{woken:?}");
        }
    }
}

fn below(random: &Random, end: u32) -> u32 {
    u32::try_from(random.next_u64() % u64::from(end)).unwrap()
}

// proves, RL-4
#[tokio::test(start_paused = true)]
async fn no_crowd_comes_out_bunched_or_out_of_order_and_nobody_stays() {
    let random = Random::seeded(seed());
    let mut met = BTreeMap::new();
    for _ in 0..deep(100, 3_000) {
        let crowd = Crowd::new(&random);
        let all = timeout(Duration::from_secs(60), crowd.come_and_go());
        all.await.expect("somebody stays");
        crowd.judge(&mut met);
    }
    println!("{met:?}");
    assert_eq!(met.len(), 5, "{met:?}");
}
