//! Halted (SIGSTOP) and not killed: what was asked before the halt is done after it, when nobody waits for it any more.
//! Appends land late, leases have run out, and nothing may be lost or doubled all the same.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use kefu::journal::{Journal, NatsJournal};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::{
    eventually,
    kefu::{External, Kefu},
    load::Load,
    log,
};

const THREADS: usize = 100;
const MESSAGES: usize = 30;

/// One of kefu's own figures.
fn metric(kefu: &Kefu, name: &str) -> Option<u64> {
    let metrics = kefu.http("/metrics")?;
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Inputs whose append's outcome was unknown.
fn unknown_outcomes(kefu: &Kefu) -> Option<u64> {
    metric(kefu, "kefu_inputs_total{outcome=\"unknown_outcomes\"}")
}

async fn start() -> (nats::TestServer, Kefu, NatsJournal) {
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    let journal = kefu.journal().await;
    (bus, kefu, journal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_that_land_late_are_not_made_twice() {
    let (bus, mut kefu, journal) = start().await;
    let server = Pid::from_raw(bus.server.pid().expect("it runs") as i32);
    let load = Load::new("web", THREADS, THREADS);
    let halts = async {
        for third in [1, 2] {
            load.reached(THREADS * MESSAGES * third / 3).await;
            let before = unknown_outcomes(&kefu).unwrap_or(0);
            kill(server, Signal::SIGSTOP).expect("SIGSTOP");
            // If no append was under way at that very moment, the connection is given up in the end.
            let noticed = async || {
                let unknown = unknown_outcomes(&kefu).is_some_and(|unknown| unknown > before);
                (unknown || metric(&kefu, "kefu_nats_connected")? == 0).then_some(())
            };
            eventually("an append without an outcome, or a lost connection", noticed).await;
            kill(server, Signal::SIGCONT).expect("SIGCONT");
        }
    };
    let (published, ()) = tokio::join!(load.publish(&journal, 0, MESSAGES), halts);
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    assert!(kefu.ended().is_none(), "kefu ended by itself");
    println!("halted server: {figures}; {} outcomes were unknown", unknown_outcomes(&kefu).unwrap_or(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_halted_takes_up_its_work_again() {
    let (_bus, mut kefu, journal) = start().await;
    let load = Load::new("web", THREADS, THREADS);
    let halts = async {
        for third in [1, 2] {
            load.reached(THREADS * MESSAGES * third / 3).await;
            kefu.signal(Signal::SIGSTOP);
            let expired = async || journal.leases().await.ok()?.is_empty().then_some(());
            eventually("all leases have run out", expired).await;
            kefu.signal(Signal::SIGCONT);
        }
    };
    let (published, ()) = tokio::join!(load.publish(&journal, 0, MESSAGES), halts);
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    assert!(kefu.ended().is_none(), "kefu ended by itself");
    println!("halted kefu: {figures}");
}
