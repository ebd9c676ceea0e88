//! Alerts and the dashboard, with Prometheus itself: rules are checked by promtool, and a real Prometheus scrapes a real kefu in
//! which customers and agents are at work.
//!
//! scripts/test unpacks Debian's Prometheus into .tools; KEFU_TEST_PROMETHEUS names another folder with `prometheus` and
//! `promtool`.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/nats.rs"]
mod nats;
mod support;

use bytes::Bytes;
use futures::StreamExt;
use kefu::{
    journal::{Journal, NatsJournal, Outgoing},
    telemetry::catalogue::{self, Kind},
};
use kefu_events::key::conversation_key;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use support::{
    eventually,
    kefu::{External, Kefu, free_port},
    load::{self, Load},
    log::Published,
    pause, skip,
};
use tempfile::TempDir;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/monitoring")
}

fn shipped(file: &str) -> String {
    fs::read_to_string(folder().join(file)).unwrap()
}

/// Finds one of Prometheus' programs, or says that the test is skipped.
fn program(name: &str, test: &str) -> Option<PathBuf> {
    let named = std::env::var_os("KEFU_TEST_PROMETHEUS").map(PathBuf::from);
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/prometheus/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().chain([unpacked]).chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    if found.is_none() {
        skip(test, &format!("there is no {name}: scripts/test unpacks it, KEFU_TEST_PROMETHEUS names its folder"));
    }
    found
}

/// Names of the alerts in a file of rules.
fn alerts(rules: &str) -> BTreeSet<&str> {
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn rules_are_valid_and_each_alert_fires_on_its_series_and_on_no_other() {
    let Some(promtool) = program("promtool", "monitoring rules") else { return };
    for arguments in
        [["check", "config", "prometheus.yml"], ["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]]
    {
        let output = Command::new(&promtool).args(arguments).current_dir(folder()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.success(), "promtool {arguments:?}: {said}");
    }
    let tested = shipped("alerts.test.yml");
    for alert in alerts(&shipped("alerts.yml")) {
        assert!(tested.contains(&format!("alertname=\"{alert}\"")), "alerts.test.yml does not show {alert} to fire");
    }
}

#[test]
fn every_alert_says_what_is_seen_and_what_to_do() {
    let rules = shipped("alerts.yml");
    for rule in rules.split("- alert: ").skip(1) {
        let name = rule.lines().next().unwrap();
        for part in ["severity: ", "summary: ", "description: "] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
    }
    let known: BTreeSet<&str> = catalogue::ALL.iter().map(|metric| metric.name).collect();
    for text in [rules, shipped("kefu.dashboard.json"), shipped("README.md")] {
        for word in
            text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("kefu_"))
        {
            let base = word.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum");
            assert!(known.contains(base), "there is no metric {word}");
        }
    }
}

#[test]
fn the_documents_list_every_metric_as_it_is() {
    let readme = shipped("README.md");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `kefu_")).collect();
    let expected = catalogue::ALL.iter().map(|metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help)
    });
    assert_eq!(rows, expected.collect::<Vec<_>>(), "scripts/monitoring/README.md");
}

/// A Prometheus that runs as the shipped configuration says, but every second, and with alerts that wait for one second.
struct Prometheus {
    child: Child,
    url: String,
    http: reqwest::Client,
    _directory: TempDir,
}

impl Prometheus {
    async fn start(program: &Path, kefu: &Kefu) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let address = kefu.http_url().trim_start_matches("http://").to_owned();
        let config = shipped("prometheus.yml");
        assert!(config.contains("interval: 15s") && config.contains("127.0.0.1:7070"), "{config}");
        let config = config.replace("interval: 15s", "interval: 1s").replace("127.0.0.1:7070", &address);
        fs::write(directory.path().join("prometheus.yml"), config).unwrap();
        let soon = |line: &str| match line.trim().strip_prefix("for: ") {
            Some(time) => line.replace(time, "1s"),
            None => line.to_owned(),
        };
        let rules: Vec<String> = shipped("alerts.yml").lines().map(soon).collect();
        fs::write(directory.path().join("alerts.yml"), rules.join("\n")).unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command.arg("--config.file").arg(directory.path().join("prometheus.yml"));
        command.arg("--storage.tsdb.path").arg(directory.path().join("data"));
        command.args(["--web.listen-address", &listen, "--log.level", "warn"]);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let (url, http) = (format!("http://{listen}"), reqwest::Client::new());
        let started = Self { child, url, http, _directory: directory };
        eventually("Prometheus is ready", async || {
            let answer = started.http.get(format!("{}/-/ready", started.url)).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        started
    }

    /// What a query gives: labels and value of each series that has a number now.
    async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let url = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let series = answer["data"]["result"].as_array().unwrap().iter().map(|series| {
            let value: f64 = series["value"][1].as_str().unwrap().parse().unwrap();
            (series["metric"].clone(), value)
        });
        series.filter(|(_, value)| value.is_finite()).collect()
    }

    /// Alerts that fire now, with their labels.
    async fn firing(&self) -> Vec<Value> {
        let firing = self.query("ALERTS{alertstate=\"firing\"}").await;
        firing.into_iter().map(|(labels, _)| labels).collect()
    }

    async fn until_firing(&self, alert: &str, label: &str, value: &str) {
        eventually(&format!("{alert} fires for {label} {value}"), async || {
            let firing = self.firing().await;
            firing.iter().any(|labels| labels["alertname"] == alert && labels[label] == value).then_some(())
        })
        .await;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn command(journal: &NatsJournal, tenant: &str, aggregate: &str, key: &str, id: &str, actor: &str, body: Value) {
    let by = body["as"].as_str().unwrap_or("test");
    let mut command = json!({"id": id, "v": 1, "aggregate": aggregate, "key": key,
        "actor": {"kind": actor, "id": by}, "at": "2026-11-22T00:00:00.000Z"});
    for (name, value) in body.as_object().unwrap().iter().filter(|(name, _)| *name != "as") {
        command[name] = value.clone();
    }
    let (tenant, source) = (tenant.to_owned(), actor.to_owned());
    let payload = Bytes::from(command.to_string());
    let outgoing = Outgoing::Command { tenant, source, key: key.to_owned(), id: id.to_owned(), payload };
    eventually("a command on the bus", async || journal.publish(outgoing.clone()).await.ok()).await;
}

async fn hire(journal: &NatsJournal, tenant: &str, agent: &str, slots: u32) {
    let commands = [
        json!({"type": "register", "name": agent}),
        json!({"type": "set_skills", "queues": ["support", "default"]}),
        json!({"type": "set_capacity", "slots": slots}),
        json!({"type": "set_presence", "online": true}),
        json!({"type": "set_status", "status": "available"}),
    ];
    for (n, body) in commands.into_iter().enumerate() {
        command(journal, tenant, "agent", agent, &format!("hire-{agent}-{n}"), "system", body).await;
    }
}

/// Agents who take what they are offered, answer after so long, and end it.
async fn work(journal: NatsJournal, tenant: &'static str, answer_after: Duration) {
    let filter = journal.subjects().events(tenant, "conversation", "*");
    let mut tail = journal.tail(0, Some(filter)).await.unwrap();
    while let Some(commit) = tail.next().await {
        let commit: Value = serde_json::from_slice(&commit.unwrap().payload).unwrap();
        let key = commit["key"].as_str().unwrap().to_owned();
        for event in commit["events"].as_array().unwrap() {
            let (id, agent) = (commit["commit_id"].as_str().unwrap(), &event["agent"]);
            match event["type"].as_str().unwrap() {
                "offer_made" => {
                    let body = json!({"type": "accept", "offer": event["offer"], "as": agent});
                    command(&journal, tenant, "conversation", &key, &format!("{id}-a"), "agent", body).await;
                }
                "offer_accepted" => {
                    let (journal, id, agent) = (journal.clone(), id.to_owned(), agent.clone());
                    let key = key.clone();
                    tokio::spawn(async move {
                        // waits because how long agents take is what is measured
                        tokio::time::sleep(answer_after).await;
                        let content = json!({"kind": "text", "text": "Here you are."});
                        let reply = json!({"type": "reply", "content": content, "as": agent});
                        command(&journal, tenant, "conversation", &key, &format!("{id}-r"), "agent", reply).await;
                        let close = json!({"type": "close", "as": agent});
                        command(&journal, tenant, "conversation", &key, &format!("{id}-c"), "agent", close).await;
                    });
                }
                _ => {}
            }
        }
    }
}

async fn says(journal: &NatsJournal, tenant: &str, thread: &str, id: &str, text: &str) {
    let [tenant, channel, thread, id, text] = [tenant, "web", thread, id, text].map(str::to_owned);
    load::publish(journal, &Published { tenant, channel, thread, id, text }).await;
}

/// Customers without end: some ask what is known, some want a person.
async fn customers(journal: NatsJournal) {
    for number in 0.. {
        let thread = format!("customer{number}");
        let text = ["human", "How can I return something?", "where is my order"][number % 3];
        says(&journal, "demo", &thread, "1", text).await;
        // waits because rates need time to be rates of
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Queries of the dashboard's panels, as Grafana would ask them for all tenants.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&shipped("kefu.dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let queries = panels.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap();
        panel["targets"].as_array().unwrap().iter().map(move |target| {
            let query = target["expr"].as_str().unwrap();
            (title.to_owned(), query.replace("$tenant", ".*").replace("$__rate_interval", "30s"))
        })
    });
    queries.collect()
}

/// `# TYPE` lines of what a server serves: name → kind.
fn types(kefu: &Kefu) -> BTreeMap<String, String> {
    let answer = kefu.http("/metrics").unwrap();
    let lines = answer.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(name, kind)| (name.to_owned(), kind.trim().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_sees_every_metric_in_every_panel_and_alerts_of_what_is_wrong() {
    let Some(prometheus) = program("prometheus", "monitoring") else { return };
    let mut kefu = Kefu::start().await;
    let journal = kefu.journal().await;
    let faq = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo-faq.jsonl");
    kefu.run(&["faq", "import", faq.to_str().unwrap(), "--approve"]);
    for (tenant, seconds) in [("demo", "20"), ("lonely", "0.1"), ("tardy", "20")] {
        if tenant != "demo" {
            kefu.run(&["tenant", "create", tenant]);
        }
        let within = format!("default.target.within_s={seconds}");
        let target = ["settings", "set", "--tenant", tenant, "--document", "scheduling", "default.target.percent=80"];
        kefu.run(&[&target[..], &[&within]].concat());
    }
    hire(&journal, "demo", "ann", 20).await;
    hire(&journal, "tardy", "bob", 20).await;
    let prometheus = Prometheus::start(&prometheus, &kefu).await;
    let at_work = [
        tokio::spawn(work(journal.clone(), "demo", Duration::ZERO)),
        tokio::spawn(work(journal.clone(), "tardy", Duration::from_secs(9))),
        tokio::spawn(customers(journal.clone())),
    ];
    // Customers whom nobody serves, one who waits long for each word, and an adapter with a mistake in it.
    for number in 0..25 {
        says(&journal, "lonely", &format!("lonely{number}"), "1", "human").await;
    }
    for number in 0..5 {
        says(&journal, "tardy", &format!("tardy{number}"), "1", "human").await;
    }
    eventually("the counter of rejected input is seen at 0", async || {
        let seen = prometheus.query("kefu_rejected_total{reason=\"malformed\"}").await;
        seen.iter().any(|(_, value)| *value == 0.0).then_some(())
    })
    .await;
    journal.publish_inbound("demo", "web", &conversation_key("web", "x"), "1", "{".into()).await.unwrap();

    let known: BTreeMap<&str, &str> = catalogue::ALL
        .iter()
        .map(|metric| match metric.kind {
            Kind::Counter => (metric.name, "counter"),
            Kind::Gauge => (metric.name, "gauge"),
            Kind::Histogram(_) => (metric.name, "histogram"),
        })
        .collect();
    let missing = || known.iter().filter(|(name, kind)| types(&kefu).get(**name).is_none_or(|found| found != *kind));
    let began = std::time::Instant::now();
    while missing().next().is_some() {
        assert!(began.elapsed() < support::PATIENCE, "not served: {:?}", missing().collect::<Vec<_>>());
        pause().await;
    }
    for name in types(&kefu).keys().filter(|name| name.starts_with("kefu_")) {
        assert!(known.contains_key(name.as_str()), "{name} is served and not in the catalogue");
    }
    for (title, query) in panels() {
        eventually(&format!("panel {title:?} shows a series: {query}"), async || {
            (!prometheus.query(&query).await.is_empty()).then_some(())
        })
        .await;
    }
    for (alert, label, value) in [
        ("KefuQueueLong", "tenant", "lonely"),
        ("KefuQueueUnstaffed", "tenant", "lonely"),
        ("KefuServiceLevelAtRisk", "tenant", "lonely"),
        ("KefuAgentResponseSlow", "tenant", "tardy"),
        ("KefuInputRejected", "reason", "malformed"),
    ] {
        prometheus.until_firing(alert, label, value).await;
    }
    // Where all is well, nobody is woken up.
    eventually("no alert of what works", async || {
        let firing = prometheus.firing().await;
        let wrong = firing.iter().find(|labels| {
            let alert = labels["alertname"].as_str().unwrap();
            let works = ["KefuNotReady", "KefuPartitionsUnowned", "KefuSchedulingFailing", "KefuSchedulerLeaderless"];
            let whole = ["KefuDown", "KefuLogOdd", "KefuNatsLost", "KefuStoreStopped", "KefuSearchBehind"];
            works.contains(&alert) || whole.contains(&alert) || alert == "KefuQueueLong" && labels["tenant"] == "demo"
        });
        wrong.is_none().then_some(())
    })
    .await;
    at_work.iter().for_each(tokio::task::JoinHandle::abort);
    kefu.kill();
    let address = kefu.http_url().trim_start_matches("http://").to_owned();
    prometheus.until_firing("KefuDown", "instance", &address).await;
}

/// The sum of a metric's series with these labels in what a server serves.
fn sum(kefu: &Kefu, metric: &str, labels: &[&str]) -> f64 {
    let answer = kefu.http("/metrics").unwrap_or_default();
    let lines = answer.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_together_count_each_message_once() {
    let bus = nats::TestServer::start().await;
    let (user, password) = bus.server.engine_login();
    let external = External { url: bus.server.url(), user: user.to_owned(), password: password.to_owned() };
    let mut nodes = [Kefu::spawn_on(&external), Kefu::spawn_on(&external)];
    for node in &mut nodes {
        node.ready().await;
    }
    let owned = |node: &Kefu| {
        let answer = node.http("/metrics").unwrap_or_default();
        let line = answer.lines().find_map(|line| line.strip_prefix("kefu_partitions_owned "));
        line.and_then(|count| count.parse::<u32>().ok()).unwrap_or(0)
    };
    eventually("both nodes own partitions", async || {
        let [one, other] = nodes.each_ref().map(owned);
        (one > 0 && other > 0 && one + other == 16).then_some(())
    })
    .await;
    let journal = nodes[0].journal().await;
    Load::new("web", 40, 8).publish(&journal, 0, 3).await;
    let counted = |node: &Kefu| sum(node, "kefu_messages_total", &["author=\"customer\"", "channel=\"web\""]);
    eventually("120 messages are counted", async || {
        let counts = nodes.each_ref().map(counted);
        assert!(counts.iter().sum::<f64>() <= 120.0, "counted twice: {counts:?}");
        (counts.iter().sum::<f64>() == 120.0 && counts.iter().all(|count| *count > 0.0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_measured_also_where_kefu_was_killed_while_the_agent_had_the_conversation() {
    let mut kefu = Kefu::start().await;
    let journal = kefu.journal().await;
    hire(&journal, "demo", "ann", 1).await;
    says(&journal, "demo", "alice", "1", "human").await;
    let key = conversation_key("web", "alice");
    let filter = journal.subjects().events("demo", "conversation", "*");
    let mut tail = journal.tail(0, Some(filter)).await.unwrap();
    let offer = 'offered: loop {
        let commit: Value = serde_json::from_slice(&tail.next().await.unwrap().unwrap().payload).unwrap();
        for event in commit["events"].as_array().unwrap() {
            if event["type"] == "offer_made" {
                break 'offered event["offer"].clone();
            }
        }
    };
    let accept = json!({"type": "accept", "offer": offer, "as": "ann"});
    command(&journal, "demo", "conversation", &key, "accept", "agent", accept).await;
    eventually("ann has the conversation", async || {
        kefu.run(&["show", "web:alice"])["state"]["session"]["phase"]["active"].is_object().then_some(())
    })
    .await;
    kefu.kill();
    kefu.spawn();
    kefu.ready().await;
    let journal = kefu.journal().await;
    says(&journal, "demo", "alice", "2", "are you there?").await;
    eventually("a reply is owed", async || {
        (sum(&kefu, "kefu_agent_response_pending", &["tenant=\"demo\""]) == 1.0).then_some(())
    })
    .await;
    let reply = json!({"type": "reply", "content": {"kind": "text", "text": "Yes."}, "as": "ann"});
    command(&journal, "demo", "conversation", &key, "reply", "agent", reply).await;
    eventually("the reply is measured, under its queue", async || {
        let labels = ["queue=\"support\"", "tenant=\"demo\""];
        (sum(&kefu, "kefu_agent_response_seconds_count", &labels) == 1.0).then_some(())
    })
    .await;
    assert_eq!(sum(&kefu, "kefu_agent_response_pending", &["tenant=\"demo\""]), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_for_those_who_show_the_token_where_there_is_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = tempfile::NamedTempFile::new().unwrap();
    let token = "0123456789abcdef0123456789abcdef";
    fs::write(file.path(), format!("{token}\n")).unwrap();
    let kefu = Kefu::start_with(&[("KEFU_METRICS_TOKEN_FILE", file.path().to_str().unwrap())]).await;
    assert_eq!(kefu.http_status("/metrics"), Some(401));
    let url = format!("{}/metrics", kefu.http_url());
    let answer = reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap();
    assert!(answer.status().is_success() && answer.text().await.unwrap().contains("kefu_ready 1"));
    fs::write(file.path(), "short").unwrap();
    let mut command = kefu.command();
    let output = command.env("KEFU_DATA", kefu.data().join("other")).args(["serve", "--listen", "0"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && complaint.contains("metrics.token_file"), "{complaint}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_counted_while_they_listen() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kefu = Kefu::start().await;
    kefu.run(&["user", "add", "sam", "--role", "supervisor=all", "--no-password"]);
    let token = kefu.run(&["user", "token", "add", "sam", "--name", "test"])["secret"].as_str().unwrap().to_owned();
    let url = format!("{}/api/v1/events", kefu.http_url());
    let http = reqwest::Client::new();
    let begun: Value = http.get(&url).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
    let url = format!("{url}?epoch={}&after={}&wait=30", begun["epoch"].as_str().unwrap(), begun["seq"]);
    let listening = tokio::spawn(http.get(url).bearer_auth(&token).send());
    let clients = async |count: u32| {
        let line = format!("\nkefu_sockets {count}\n");
        eventually("the client is counted", async || kefu.http("/metrics")?.contains(&line).then_some(())).await;
    };
    clients(1).await;
    // Ends the wait.
    says(&kefu.journal().await, "demo", "alice", "1", "hello").await;
    assert!(listening.await.unwrap().unwrap().status().is_success());
    clients(0).await;
    assert!(sum(&kefu, "kefu_http_requests_total", &["status=\"2xx\""]) >= 2.0);
}
