//! Routing rules: checked, set, tried on what has happened, taken back.

use crate::program::{Serving, run};
use serde_json::json;
use std::path::{Path, PathBuf};

const RULES: &str = r#"
[[rules]]
name = "refunds"
when = "text.lowerAscii().contains('money back')"
then = { queue = "sales", priority = 5, required = { refunds = 3 }, tags = ["refund"] }
"#;

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_file_is_checked_without_a_server_and_what_is_wrong_is_pointed_at() {
    let folder = tempfile::tempdir().unwrap();
    let good = write(folder.path(), "good.toml", RULES);
    let checked = run(folder.path(), &["rules", "check", good.to_str().unwrap()]).exits(0);
    assert!(checked.stdout.contains("1 rules"), "{checked:?}");
    let bad = write(folder.path(), "bad.toml", &RULES.replace("text.lower", "txt.lower"));
    let refused = run(folder.path(), &["rules", "check", bad.to_str().unwrap()]).exits(1);
    assert!(
        refused.stderr.contains("rules[0].when (rule \"refunds\"), line 1, column 1: \"txt\" is not known"),
        "{refused:?}"
    );
    let refused = run(folder.path(), &["rules", "check", bad.to_str().unwrap(), "--json"]).exits(1);
    assert_eq!(refused.error_code(), "invalid");
    let no_toml = write(folder.path(), "none.toml", "[[rules");
    run(folder.path(), &["rules", "check", no_toml.to_str().unwrap()]).exits(2);
}

#[test]
fn rules_take_effect_at_once_are_tried_on_the_past_and_can_be_taken_back() {
    let kefu = Serving::start();
    let file = write(kefu.path(), "rules.toml", RULES);
    let file = file.to_str().unwrap();
    kefu.say("I want my Money Back, human", &["--wait", "20s", "--replies", "2"]);
    assert_eq!(kefu.ask(&["show", "cli:alice"]).json()["state"]["session"]["queue"], "support");

    // What would have been.
    let tried = kefu.ask(&["rules", "test", file]).json();
    assert_eq!(
        (&tried["handoffs"], &tried["moved"], &tried["by_rule"]),
        (&1.into(), &1.into(), &json!({"refunds": 1}))
    );
    let moved = &tried["moves"][0];
    assert_eq!((&moved["before"]["queue"], &moved["after"]["queue"]), (&"support".into(), &"sales".into()));
    let table = kefu.run(&["rules", "test", file]).exits(0).stdout;
    assert!(table.contains("sales 5 refunds≥3") && table.contains("1 of 1 hand-offs would go elsewhere"), "{table}");
    let seq = moved["seq"].as_u64().unwrap().to_string();
    let later = (moved["seq"].as_u64().unwrap() + 1).to_string();
    assert_eq!(kefu.ask(&["rules", "test", file, "--from", &seq, "--to", &seq]).json()["handoffs"], 1);
    assert_eq!(kefu.ask(&["rules", "test", file, "--from", &later]).json()["handoffs"], 0);

    // What is, from now on.
    let dry = kefu.run(&["rules", "set", file, "--dry-run"]).exits(0).stdout;
    assert!(dry.contains("would change"), "{dry}");
    let set = kefu.ask(&["rules", "set", file, "--comment", "refunds"]).json();
    assert_eq!((&set["document"], &set["document_version"]), (&"routing".into(), &1.into()));
    kefu.run(&["send", "--from", "bob", "my money back! human", "--wait", "20s", "--replies", "2"]).exits(0);
    let state = &kefu.ask(&["show", "cli:bob"]).json()["state"];
    let session = &state["session"];
    assert_eq!((&session["queue"], &session["priority"]), (&"sales".into(), &5.into()));
    assert_eq!((&session["required"], &state["tags"]), (&json!({"refunds": 3}), &json!(["refund"])));
    let events = kefu.run(&["replay", "--flat", "--conversation", "cli:bob"]).exits(0).lines();
    let queued = events.iter().find(|event| event["type"] == "queued").unwrap();
    assert_eq!(queued["event"]["rules"], json!(["refunds"]));
    assert_eq!(kefu.ask(&["rules", "test", file]).json()["moved"], 1, "what these rules decided stays as it is");

    // Hot, versioned, taken back; wrong ones and unknown queues are told of.
    assert!(kefu.run(&["rules", "show"]).exits(0).stdout.contains("refunds"));
    let other =
        write(kefu.path(), "other.json", r#"{"rules": [{"name": "r", "when": "true", "then": {"queue": "nowhere"}}]}"#);
    let warned = kefu.run(&["rules", "set", other.to_str().unwrap()]).exits(0);
    assert!(warned.stderr.contains("no queue \"nowhere\""), "{warned:?}");
    kefu.run(&["settings", "rollback", "--document", "routing", "1"]).exits(0);
    assert_eq!(kefu.ask(&["settings", "get", "--document", "routing"]).json(), kefu.ask(&["rules", "show"]).json());
    assert_eq!(kefu.ask(&["rules", "show"]).json()["rules"][0]["name"], "refunds");
    let bad = write(kefu.path(), "bad.json", r#"{"rules": [{"name": "r", "when": "x", "then": {}}]}"#);
    let refused = kefu.run(&["settings", "set", "--document", "routing", "--file", bad.to_str().unwrap()]).exits(3);
    assert!(refused.stderr.contains("rules[0].when (rule \"r\"), line 1, column 1"), "{refused:?}");
}
