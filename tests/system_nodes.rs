//! Two kefu processes on one nats-server that neither of them manages: they share the partitions, one takes over what
//! the other leaves, and an owner that was held up for long and comes back does no harm.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use kefu::journal::{Journal, NatsJournal, server::RunFile};
use nix::sys::signal::Signal;
use std::{collections::BTreeMap, time::Instant};
use support::{
    eventually,
    kefu::{External, Kefu},
    load::Load,
    log,
};

/// Threads, and messages of each in one phase of the test.
const THREADS: usize = 150;
const PHASE: usize = 10;

/// Who holds how many partitions.
async fn holders(journal: &NatsJournal) -> BTreeMap<String, usize> {
    let mut holders = BTreeMap::new();
    let leases = journal.leases().await.unwrap_or_default();
    for (_, holder) in leases.iter().filter(|(name, _)| name.starts_with("partition-")) {
        *holders.entry(holder.clone()).or_default() += 1;
    }
    holders
}

/// Waits until all partitions are held, by so many nodes.
async fn until_held_by(journal: &NatsJournal, nodes: usize) -> BTreeMap<String, usize> {
    eventually(&format!("{nodes} nodes hold all partitions"), || async {
        let holders = holders(journal).await;
        let all = holders.values().sum::<usize>() == usize::from(journal.partitions());
        (all && holders.len() == nodes).then_some(holders)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_the_partitions_and_survive_each_other() {
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut first = Kefu::spawn_on(&external);
    first.ready().await;
    let mut second = Kefu::spawn_on(&external);
    second.ready().await;
    assert_eq!(RunFile::read(first.data()).unwrap().unwrap().nats, external.url);
    let journal = first.journal().await;
    let shared = until_held_by(&journal, 2).await;
    let load = Load::new("web", THREADS, 50);
    let mut published = load.publish(&journal, 0, PHASE).await;

    // One dies without a word.
    let dies = async {
        load.reached(THREADS * PHASE + THREADS * PHASE / 3).await;
        first.kill();
        let began = Instant::now();
        until_held_by(&journal, 1).await;
        began.elapsed()
    };
    let (more, takeover) = tokio::join!(load.publish(&journal, PHASE, 2 * PHASE), dies);
    published.extend(more);

    // It comes back, and gets its share again.
    first.spawn();
    first.ready().await;
    let shared_again = until_held_by(&journal, 2).await;

    // The other is held up for longer than its leases live, with work in its hands, and then goes on.
    let stops = async {
        load.reached(2 * THREADS * PHASE + THREADS * PHASE / 3).await;
        second.signal(Signal::SIGSTOP);
        let began = Instant::now();
        until_held_by(&journal, 1).await;
        let takeover = began.elapsed();
        second.signal(Signal::SIGCONT);
        takeover
    };
    let (more, stale_takeover) = tokio::join!(load.publish(&journal, 2 * PHASE, 3 * PHASE), stops);
    published.extend(more);
    until_held_by(&journal, 2).await;
    published.extend(load.publish(&journal, 3 * PHASE, 4 * PHASE).await);

    // Messages of one thread were gathered phase by phase, so that they are in order.
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    assert!(first.ended().is_none() && second.ended().is_none(), "a node ended by itself");
    println!(
        "two nodes: {figures}; shared {:?} and {:?}; taken over {takeover:.1?} after a kill, {stale_takeover:.1?} after a \
         halt",
        shared.values().collect::<Vec<_>>(),
        shared_again.values().collect::<Vec<_>>(),
    );
    // A graceful stop hands over at once, and leaves nothing behind.
    assert!(first.stop().await.success());
    until_held_by(&journal, 1).await;
    assert!(second.stop().await.success());
    assert!(holders(&journal).await.is_empty(), "leases were left behind");
}
