//! Credentials of adapters and analysts.

use crate::program::Serving;
use kefu::journal::{ConnectOptions, NatsJournal, subjects::Subjects};

#[test]
fn a_channels_credentials_are_printed_once_and_can_be_taken_away() {
    let kefu = Serving::start();
    let made = kefu.ask(&["channel", "add", "web"]).json();
    assert_eq!(made["user"], "channel.demo.web");
    assert_eq!(made["publishes_to"], "kefu.in.demo.web.<key>");
    let again = kefu.run(&["channel", "add", "web", "--json"]).exits(1);
    assert_eq!(again.error_code(), "exists");
    let list = kefu.run(&["channel", "list", "--json"]).exits(0);
    assert_eq!(list.lines()[0]["channel"], "web");
    assert!(!list.stdout.contains(made["password"].as_str().unwrap()));

    let rules = kefu.run(&["nats", "config"]).exits(0).stdout;
    assert!(rules.contains("channel.demo.web") && !rules.contains(made["password"].as_str().unwrap()));

    // Logging in is allowed; reading what all streams are is not.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let attach = || {
        let (user, password) = (made["user"].as_str().unwrap(), made["password"].as_str().unwrap());
        let options = ConnectOptions::new(made["url"].as_str().unwrap()).user(user, password);
        runtime.block_on(NatsJournal::attach(options, Subjects::default())).unwrap_err().to_string()
    };
    assert!(!attach().contains("refuses these credentials"));
    kefu.run(&["channel", "revoke", "web"]).exits(0);
    assert!(attach().contains("refuses these credentials"));
    kefu.run(&["channel", "revoke", "web"]).exits(1);
    assert!(kefu.ask(&["channel", "list"]).stdout.is_empty());
}

#[test]
fn an_analyst_gets_credentials_for_the_log() {
    let kefu = Serving::start();
    let made = kefu.ask(&["analyst", "add", "dana", "--only", "demo"]).json();
    assert_eq!((&made["user"], &made["stream"]), (&"analyst.dana".into(), &"KEFU_EVENTS".into()));
    assert_eq!(kefu.ask(&["analyst", "list"]).lines()[0]["tenant"], "demo");
    kefu.run(&["analyst", "revoke", "dana"]).exits(0);
    assert!(kefu.ask(&["analyst", "list"]).stdout.is_empty());
}
