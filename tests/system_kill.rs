//! Real dialogues are replayed while kefu and its nats-server are killed (SIGKILL) at random moments: nothing that was
//! accepted is lost, nothing is committed twice, every reply is published at least once under one id.
//!
//! KEFU_TEST_LONG=1 makes it the long one, KEFU_TEST_SEED=N another one.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use futures::{StreamExt, future};
use kefu::journal::Journal;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use std::time::{Duration, Instant};
use support::{
    adapter::{self, Adapter, Replay},
    eventually,
    kefu::{External, Kefu},
    load::Load,
    log, long, pause, skip,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Kefu,
    Nats,
}

/// Everybody who is to be killed, in a random order.
fn victims(kefu: usize, nats: usize, random: &mut StdRng) -> Vec<Victim> {
    let mut victims = [vec![Victim::Kefu; kefu], vec![Victim::Nats; nats]].concat();
    victims.shuffle(random);
    victims
}

fn seed() -> u64 {
    std::env::var("KEFU_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

struct Plan {
    kefu: usize,
    nats: usize,
    messages: usize,
    chinese: bool,
    /// Messages in all, to spread them over all the kills.
    total: usize,
}

/// Mean time from one kill to the next, in milliseconds. A restart on a busy machine takes longer than the shortest of
/// them, so that some kills meet a process that is not ready again.
const MEAN_MS: u64 = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_everything_is_killed() {
    let python = match adapter::find() {
        Ok(python) => python,
        Err(reason) => return skip("the kill test", &reason),
    };
    let plan = if long() {
        Plan { kefu: 30, nats: 10, messages: 10_000, chinese: true, total: 15_000 }
    } else {
        Plan { kefu: 3, nats: 2, messages: 3_000, chinese: false, total: 3_000 }
    };
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let victims = victims(plan.kefu, plan.nats, &mut random);
    println!("seed {seed}: {victims:?}");

    let mut kefu = Kefu::start().await;
    let adapter = Adapter::new(python, &kefu);
    let rate = plan.total as f64 / (victims.len() as u64 * MEAN_MS) as f64 * 1000.0;
    let mut replaying = adapter.replay(&Replay { messages: plan.messages, chinese: plan.chinese, rate });

    let mut recoveries = Vec::new();
    let mut unrecovered = 0;
    // The last kill of kefu, as long as it is not ready again.
    let mut killed = None;
    for victim in &victims {
        let moment = Instant::now() + Duration::from_millis(random.random_range(0..2 * MEAN_MS));
        while Instant::now() < moment {
            if let Some(since) = killed.take_if(|_| kefu.is_ready()) {
                recoveries.push(Instant::elapsed(&since));
            }
            assert!(kefu.ended().is_none(), "kefu ended by itself:\n{}", kefu.last_words());
            pause().await;
        }
        assert!(replaying.is_publishing().await, "the load ended before the last kill");
        unrecovered += usize::from(killed.is_some());
        match victim {
            Victim::Kefu => {
                kefu.kill();
                killed = Some(Instant::now());
                kefu.spawn();
            }
            // It may be down already: then the next one.
            Victim::Nats => {
                eventually("a nats-server to kill", async || kefu.kill_nats().then_some(())).await;
            }
        }
    }
    kefu.ready().await;
    recoveries.extend(killed.map(|since| since.elapsed()));
    let published = replaying.published().await;

    let journal = kefu.journal().await;
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    let received = replaying.received(all.outbox.len()).await;
    assert!(received.replies == all.replies(), "the adapter read other replies than the outbox holds");
    recoveries.sort();
    println!(
        "kill test, seed {seed}: {figures}; kefu killed {} times, nats-server {} times, {unrecovered} of these before \
         kefu was ready again; ready after {:.1?} (median) and {:.1?} (longest) from its kill; the adapter says {}",
        plan.kefu,
        plan.nats,
        recoveries[recoveries.len() / 2],
        recoveries[recoveries.len() - 1],
        received.summary
    );
}

/// Threads that write, and messages of each between two kills.
const THREADS: usize = 100;
const BURST: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_kills_meet_full_speed() {
    let (kefu_kills, nats_kills) = if long() { (30, 10) } else { (4, 2) };
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let victims = victims(kefu_kills, nats_kills, &mut random);
    println!("seed {seed}: {victims:?}");
    // A server that stays when kefu goes, so that the load does not stop.
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    let journal = kefu.journal().await;

    let load = Load::new("web", THREADS, THREADS);
    let mut published = Vec::new();
    let mut seen = eventually("the log's end", async || Some(journal.position().await.ok()?.last)).await;
    for (round, victim) in victims.iter().enumerate() {
        // So many commits after the last kill: while kefu works, and the load with it.
        let commits = random.random_range(1..THREADS * BURST) as u64;
        let strike = async {
            let log = eventually("the log", async || journal.tail(seen, None).await.ok()).await;
            let mut log = log.filter(|commit| future::ready(commit.is_ok())).skip(commits as usize - 1);
            let until = Instant::now() + support::PATIENCE;
            let last = loop {
                assert!(Instant::now() < until, "kefu does not go on:\n{}", kefu.last_words());
                tokio::select! {
                    last = log.next() => break last,
                    () = pause() => kefu.revive(),
                }
            };
            seen = last.expect("the log goes on").expect("a commit").seq;
            match victim {
                Victim::Kefu => {
                    kefu.kill();
                    kefu.spawn();
                }
                Victim::Nats => {
                    let pid = eventually("a nats-server to kill", async || bus.server.pid()).await;
                    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("SIGKILL");
                }
            }
        };
        let (more, ()) = tokio::join!(load.publish(&journal, round * BURST, (round + 1) * BURST), strike);
        published.extend(more);
    }
    kefu.ready().await;
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    println!("full speed, seed {seed}: {figures}; kefu killed {kefu_kills} times, nats-server {nats_kills} times");
}
