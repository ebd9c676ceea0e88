//! Figures are what the log says: computed a second time, by SQL over the exported Parquet that knows nothing of kefu's folds,
//! they come out the same; and the same bytes are stored whatever was killed, or read in which portions.
//!
//! The log is real traffic in its own time (a day of a contact centre's calls, chats with the seconds at which they were written),
//! as the real state machines decide on it. KEFU_TEST_LONG=1 kills kefu 50 times and not 8.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/history.rs"]
mod history;
#[path = "support/nats.rs"]
mod nats;
mod support;

use bytes::Bytes;
use history::History;
use kefu::{
    journal::{Journal, NatsJournal},
    reporting::{Rollup, VERSION},
    store::{DecodedCommit, Folds, Store, StoreOptions},
};
use kefu_events::Timestamp;
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    process::Command,
    time::Duration,
};
use support::{
    eventually,
    kefu::{External, Kefu},
    log, long, skip,
};

const TECHNION_DAY: &str = "1999-01-04";
/// Families of the projection: see `src/reporting/rollup.rs`.
const FAMILIES: usize = 6;

/// A bus whose log is these, and nobody at work on it: kefu would find their deadlines long past. How many commits there are.
async fn recorded(logs: &[&History]) -> (nats::TestServer, External, u64) {
    let bus = nats::TestServer::start().await;
    let journal: NatsJournal = bus.journal().await;
    let (mut known, mut last) = (HashMap::new(), 0);
    for (subject, payload) in logs.iter().flat_map(|history| &history.log) {
        let expected = known.get(subject).copied().unwrap_or(0);
        last = journal.append(subject, expected, Bytes::from(payload.clone())).await.unwrap();
        known.insert(subject.clone(), last);
    }
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    (bus, external, last)
}

/// Waits until the figures have everything.
async fn until_counted(kefu: &Kefu, seq: u64) {
    eventually("the figures have read the log", async || {
        let output = kefu.command().args(["--json", "report", "summary", "--from", "1m"]).output().ok()?;
        let report: Value = serde_json::from_slice(&output.stdout).ok()?;
        (report["seq"].as_u64()? >= seq).then_some(())
    })
    .await;
}

fn python() -> Option<String> {
    let python = std::env::var("KEFU_TEST_PYTHON").ok()?;
    let found = Command::new(&python).args(["-c", "import duckdb"]).output().ok()?.status.success();
    found.then_some(python)
}

/// A stretch of time in which one tenant's figures are proven.
struct Case<'a> {
    tenant: &'a str,
    from: &'a str,
    to: &'a str,
    /// Of the time zone then, in hours.
    offset_h: i32,
    /// Minutes of the local day from Sunday to Thursday; -1: always open.
    open: (i32, i32),
}

/// Compares all figures; how many there were comes back.
fn prove(kefu: &Kefu, python: &str, lake: &Path, case: &Case<'_>) -> usize {
    let ms = |time: &str| time.parse::<Timestamp>().unwrap().as_millis().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports/proof.py");
    let arguments = [
        case.tenant.to_owned(),
        ms(case.from),
        ms(case.to),
        case.offset_h.to_string(),
        case.open.0.to_string(),
        case.open.1.to_string(),
    ];
    let output = Command::new(python).arg(script).arg(lake).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let proven: BTreeMap<String, BTreeMap<String, BTreeMap<String, Option<f64>>>> =
        serde_json::from_slice(&output.stdout).unwrap();
    let (mut compared, mut wrong) = (0, Vec::new());
    for (report, by) in [
        ("summary", "all"),
        ("queues", "queue"),
        ("agents", "agent"),
        ("channels", "channel"),
        ("skills", "skill"),
        ("intents", "intent"),
        ("faq", "entry"),
    ] {
        // Of skills, intents and entries, single minutes are not kept: what is told is of whole hours.
        let whole_hours = [case.from, case.to].iter().all(|time| time.ends_with(":00:00Z"));
        if matches!(by, "skill" | "intent" | "entry") && !whole_hours {
            continue;
        }
        let arguments = ["report", report, "-t", case.tenant, "--from", case.from, "--to", case.to, "--metrics", "all"];
        let told = kefu.run(&arguments);
        let rows: BTreeMap<&str, &Value> = told["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["value"].as_str().unwrap_or(""), &row["figures"]))
            .collect();
        for (metric, by_dimension) in &proven {
            for (value, exact) in by_dimension.get(by).into_iter().flatten() {
                let told = rows.get(value.as_str()).and_then(|figures| figures[metric].as_f64());
                compared += 1;
                // Counts and sums to the last digit of a double; quantiles within what the sketch says.
                let is_quantile = metric.ends_with("_p50") || metric.ends_with("_p90") || metric.ends_with("_p99");
                let allowed = if is_quantile { 0.01 } else { 1e-12 };
                let same = match (told, *exact) {
                    (None, None) => true,
                    // Nothing at all happened there, and there is no row for it.
                    (None, Some(0.0)) if !rows.contains_key(value.as_str()) => true,
                    (Some(told), Some(exact)) => {
                        (told - exact).abs() <= (exact.abs() * allowed).max(if is_quantile { 0.001 } else { 1e-12 })
                    }
                    _ => false,
                };
                if !same {
                    wrong.push(format!("{metric} by {by} {value:?}: {told:?}, and {exact:?} by SQL"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {compared} figures of {}: {:#?}",
        wrong.len(),
        case.tenant,
        &wrong[..wrong.len().min(40)]
    );
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_what_sql_over_the_exported_log_says() {
    const NAME: &str = "every_figure_is_what_sql_over_the_exported_log_says";
    let Some(data) = history::data() else { return skip(NAME, "KEFU_TEST_DATA has no data") };
    let Some(python) = python() else { return skip(NAME, "KEFU_TEST_PYTHON has no duckdb") };
    let bank = history::technion(&data, "bank", TECHNION_DAY);
    let chat = history::star(&data, "chat", 400);
    // Who calls again while the call before is being written up, or is in a queue: what the data wants is not always possible.
    let refused = bank.refused.len() + chat.refused.len();
    assert!(refused * 20 < bank.log.len(), "{refused} refused, such as {:?}", bank.refused.first());
    let (_bus, external, last) = recorded(&[&bank, &chat]).await;
    let mut kefu = Kefu::spawn_on(&external);
    kefu.ready().await;
    until_counted(&kefu, last).await;

    let lake = tempfile::tempdir().unwrap();
    let to = lake.path().to_str().unwrap();
    let written = kefu.run(&["export", "--to", to]);
    assert!(written["commits"].as_u64().unwrap() >= last, "{written}");
    let compared = [
        // The whole day, and a part of it that ends between hours.
        Case {
            tenant: "bank",
            from: "1999-01-03T22:00:00Z",
            to: "1999-01-04T22:00:00Z",
            offset_h: 2,
            open: (480, 960),
        },
        Case {
            tenant: "bank",
            from: "1999-01-04T07:13:00Z",
            to: "1999-01-04T11:48:00Z",
            offset_h: 2,
            open: (480, 960),
        },
        Case { tenant: "chat", from: "2026-03-02T06:00:00Z", to: "2026-03-03T00:00:00Z", offset_h: 1, open: (-1, -1) },
    ]
    .map(|case| prove(&kefu, &python, lake.path(), &case));
    eprintln!("{} commits, figures compared: {compared:?}", bank.log.len() + chat.log.len());
    assert!(compared.iter().sum::<usize>() > 1_500, "{compared:?}");

    // The documented queries find something.
    let analysis = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/analysis");
    let queries: Vec<_> = std::fs::read_dir(analysis).unwrap().map(|file| file.unwrap().path()).collect();
    for query in queries.iter().filter(|path| path.extension().is_some_and(|name| name == "sql")) {
        let query = std::fs::read_to_string(query).unwrap().replace("'lake/", &format!("'{to}/"));
        let count = "import duckdb, sys; print(len(duckdb.sql(sys.argv[1]).fetchall()))";
        let output = Command::new(&python).args(["-c", count, &query]).output().unwrap();
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
        let rows: usize = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
        assert!(rows > 1, "{query}: {rows} rows");
    }

    // An export that begins in the middle knows the entries and the settings of before.
    let late = tempfile::tempdir().unwrap();
    let late = late.path().to_str().unwrap();
    kefu.run(&["export", "--to", late, "--from", "2026-03-02T09:00:00Z"]);
    let answers = |lake: &str| {
        let query = format!(
            "import duckdb; print(duckdb.sql(\"select count(*), count(intent) from read_parquet('{lake}/answers/tenant=chat/*/*.parquet') \
             where asked_at >= '2026-03-02 09:00:00'\").fetchall())"
        );
        let output = Command::new(&python).args(["-c", &query]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (all, since) = (answers(to), answers(late));
    assert!(all == since && !since.contains(" 0)"), "{all} {since}");

    let week = kefu.command().args(["report", "weekly", "-t", "bank", "--to", "1999-01-06"]).output().unwrap();
    let page = String::from_utf8_lossy(&week.stdout);
    assert!(
        week.status.success() && page.contains("1998-12-30 to 1999-01-05"),
        "{}",
        String::from_utf8_lossy(&week.stderr)
    );
    // Charts, the queues and the agents of that Monday, and nothing from elsewhere.
    assert!(page.contains("<svg") && page.contains("<td>PS<td>") && page.contains("<td>back-office<td>"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"), "{page}");

    // Going on adds nothing twice, and figures that are computed anew are the same.
    let again = kefu.run(&["export", "--to", to, "--since-last"]);
    assert_eq!(again["files"].as_u64().unwrap(), u64::from(again["commits"].as_u64().unwrap() > 0), "{again}");
    let before =
        kefu.run(&["report", "queues", "-t", "bank", "--from", "1999-01-01", "--to", "1999-02-01", "--step", "day"]);
    kefu.run(&["report", "rebuild", "fcr@1"]);
    let after =
        kefu.run(&["report", "queues", "-t", "bank", "--from", "1999-01-01", "--to", "1999-02-01", "--step", "day"]);
    assert_eq!(before["rows"], after["rows"]);
}

/// All that the projection has written.
fn stored(store: &Store) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
    let view = store.view("reporting").expect("figures that were built");
    let family = |family| {
        let mut found = BTreeMap::new();
        view.scan(family, b"", b"", |key, value| {
            found.insert(key.to_vec(), value.to_vec());
            true
        })
        .unwrap();
        found
    };
    (0..FAMILIES).map(family).collect()
}

fn options() -> StoreOptions {
    StoreOptions { memory_budget_bytes: None, partitions: 16, partition_of: kefu::journal::subjects::partition }
}

/// Feeds a log, so many commits to a write, losing what was not written every so often.
fn built(log: &[(String, Vec<u8>)], portion: usize, lose_every: usize) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
    let dir = tempfile::tempdir().unwrap();
    let folds = Folds::all();
    let (store, _main) = Store::open(dir.path(), &options(), folds.clone(), Vec::new()).unwrap();
    let mut writer = store.beside(vec![Box::new(Rollup::new(0))]).unwrap();
    writer.follow("log", log.len() as u64).unwrap();
    let mut rounds = 0;
    while (writer.start() as usize) < log.len() {
        let start = writer.start() as usize;
        let end = start.saturating_add(portion).min(log.len());
        let decode = |at: usize| DecodedCommit::decode(&folds, at as u64 + 1, &log[at].0, &log[at].1).unwrap();
        writer.fold(&(start..end).map(decode).collect::<Vec<_>>()).unwrap();
        rounds += 1;
        if lose_every > 0 && rounds % lose_every == 0 {
            writer.abandon().unwrap();
            continue;
        }
        writer.write().unwrap();
    }
    stored(&store)
}

#[test]
fn what_is_stored_does_not_depend_on_the_portions_in_which_the_log_is_read() {
    const NAME: &str = "what_is_stored_does_not_depend_on_the_portions_in_which_the_log_is_read";
    let Some(data) = history::data() else { return skip(NAME, "KEFU_TEST_DATA has no data") };
    let mut log = history::star(&data, "chat", 25).log;
    // What changes days, thresholds and how long things are kept, in the middle of it; and traffic of weeks later, which lets things grow old.
    let mut later =
        History::new("later", &serde_json::json!({"bot": {"enabled": false}}), "2026-01-01T00:00:00Z".parse().unwrap());
    for day in 0..40 {
        let at =
            Timestamp::from_millis("2026-01-01T10:00:00Z".parse::<Timestamp>().unwrap().as_millis() + day * 86_400_000);
        later.until(at);
        if day == 12 {
            later.set("tenant", &serde_json::json!({"bot": {"enabled": false}, "time_zone": "Asia/Shanghai"}));
            later.set(
                "reporting",
                &serde_json::json!({"keep_minutes_days": 3, "keep_hours_days": 10, "keep_sessions_days": 5}),
            );
        }
        if day == 30 {
            // Midnights move by most of a day: what is gone stays gone, and nothing else goes.
            later.set("tenant", &serde_json::json!({"bot": {"enabled": false}, "time_zone": "America/Los_Angeles"}));
        }
        let thread = format!("t-{}", day % 7);
        later.says("web", &thread, kefu_events::Content::text("hello"));
        later.until(at.plus_seconds(30));
        later.says("web", &thread, kefu_events::Content::Left);
    }
    log.extend(later.log);
    let whole = built(&log, usize::MAX, 0);
    let families: Vec<usize> = whole.iter().map(BTreeMap::len).collect();
    assert!(families.iter().all(|rows| *rows > 0), "{families:?}");
    for (portion, lose_every) in [(1, 0), (7, 3), (100, 2), (1_000, 0)] {
        let parts = built(&log, portion, lose_every);
        for (family, (parts, whole)) in parts.iter().zip(&whole).enumerate() {
            assert!(parts == whole, "family {family} differs, with {portion} commits to a write");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_the_same_bytes_after_kills_and_after_their_deletion() {
    const NAME: &str = "figures_are_the_same_bytes_after_kills_and_after_their_deletion";
    let Some(data) = history::data() else { return skip(NAME, "KEFU_TEST_DATA has no data") };
    let kills = if long() { 50 } else { 8 };
    let bank = history::technion(&data, "bank", TECHNION_DAY);
    let (_bus, external, _) = recorded(&[&bank]).await;
    let mut kefu = Kefu::spawn_on(&external);
    for kill in 0..kills {
        // At ever later moments: while it reads the log, while it writes, and while deadlines of long ago fire.
        // waits because the moment of the kill is what is varied
        tokio::time::sleep(Duration::from_millis(150 * (kill as u64 % 12))).await;
        kefu.kill();
        kefu.spawn();
    }
    kefu.ready().await;
    // What was overdue has been done when nothing is under way any more.
    let journal = kefu.journal().await;
    log::until_drained(&journal).await;
    let last = journal.position().await.unwrap().last;
    until_counted(&kefu, last).await;
    let after_kills = stop_and_read(&mut kefu).await;
    std::fs::remove_dir_all(kefu.data().join("store")).unwrap();
    kefu.spawn();
    kefu.ready().await;
    until_counted(&kefu, last).await;
    let after_deletion = stop_and_read(&mut kefu).await;
    for (family, (killed, anew)) in after_kills.iter().zip(&after_deletion).enumerate() {
        assert!(killed == anew, "family {family}: {} rows after {kills} kills, {} anew", killed.len(), anew.len());
    }
    assert!(after_deletion[0].len() > 1_000, "{}", after_deletion[0].len());
}

async fn stop_and_read(kefu: &mut Kefu) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
    assert!(kefu.stop().await.success(), "{}", kefu.last_words());
    let (store, _main) = Store::open(&kefu.data().join("store"), &options(), Folds::all(), Vec::new()).unwrap();
    let versions = store.stored_versions("reporting").unwrap();
    let (version, _) = versions.into_iter().find(|(_, built)| *built).expect("figures that were built");
    let _writer = store.beside(vec![Box::new(Rollup::new(version - VERSION * 1_000))]).unwrap();
    stored(&store)
}
