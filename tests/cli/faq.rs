//! The knowledge base, from a shell.

use crate::program::{Serving, run};
use serde_json::json;
use std::{fs, path::Path};

const CSV: &str = "\
编号,问题,相似问,答案,分类
returns,怎么退货,\"如何退款
可以退吗\",十四天内可以退货,售后
opening,When are you open?,opening hours,Nine to five,contact
";

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn entries_are_imported_approved_asked_changed_rolled_back_and_exported() {
    let kefu = Serving::start();
    let dir = tempfile::tempdir().unwrap();
    let csv = file(dir.path(), "faq.csv", CSV);

    let shown = kefu.run(&["faq", "import", &csv, "--dry-run"]).exits(0).stdout;
    assert!(shown.contains("+ returns") && shown.contains("would be added: 2"), "{shown}");
    assert_eq!(kefu.ask(&["faq", "list"]).lines().len(), 0, "a dry run changes nothing");
    assert_eq!(kefu.ask(&["faq", "import", &csv]).json()["added"], 2);
    kefu.shows(&["faq", "list", "--waiting"], |ran| ran.lines().len() == 2);
    let again = kefu.ask(&["faq", "import", &csv, "--approve"]).json();
    assert_eq!((&again["added"], &again["changed"], &again["approved"]), (&json!(0), &json!(0), &json!(2)), "{again}");
    kefu.shows(&["faq", "list", "--status", "approved"], |ran| ran.lines().len() == 2);
    let same = kefu.ask(&["faq", "import", &csv, "--approve"]).json();
    assert_eq!((&same["unchanged"], &same["approved"]), (&json!(2), &json!(0)), "the same file again changes nothing");

    let found = kefu.shows(&["faq", "ask", "我想退货"], |ran| ran.code == Some(0)).json();
    assert_eq!(found["candidates"][0]["entry"], "returns", "{found}");

    kefu.ask(&["faq", "add", "returns", "--question", "怎么退货", "--answer", "三十天", "--comment", "new law"]);
    let shown = kefu.run(&["faq", "show", "returns"]).exits(0).stdout;
    assert!(shown.contains("三十天") && shown.contains("version 2 waits for approval"), "{shown}");
    let history = kefu.run(&["faq", "history", "returns"]).exits(0).stdout;
    assert!(history.contains("new law") && history.contains("- answer = \"十四天内可以退货\""), "{history}");
    kefu.ask(&["faq", "rollback", "returns", "1"]);
    kefu.ask(&["faq", "approve", "returns"]);
    kefu.ask(&["faq", "feedback", "returns", "adopted"]);
    let entry = kefu.ask(&["faq", "show", "returns"]).json();
    assert_eq!((&entry["status"], &entry["state"]["approved"]), (&json!("approved"), &json!(3)), "{entry}");

    let jsonl = dir.path().join("all.jsonl").to_string_lossy().into_owned();
    assert_eq!(kefu.ask(&["faq", "export", &jsonl]).json()["entries"], 2);
    let xlsx = dir.path().join("all.xlsx").to_string_lossy().into_owned();
    kefu.ask(&["faq", "export", &xlsx]);
    for copy in [&jsonl, &xlsx] {
        let counts = kefu.ask(&["faq", "import", copy]).json();
        assert_eq!((&counts["unchanged"], &counts["changed"]), (&json!(2), &json!(0)), "{copy}: {counts}");
    }

    let one = file(dir.path(), "one.csv", "id,question,answer\nopening,When are you open?,Always\n");
    let counts = kefu.ask(&["faq", "import", &one, "--approve", "--retire-missing"]).json();
    assert_eq!((&counts["changed"], &counts["retired"]), (&json!(1), &json!(1)), "{counts}");
    kefu.shows(&["faq", "list", "--status", "retired"], |ran| ran.lines().len() == 1);
}

#[test]
fn a_broken_file_and_a_wrong_command_say_what_to_mend() {
    let kefu = Serving::start();
    let dir = tempfile::tempdir().unwrap();
    let broken = file(dir.path(), "faq.csv", "id,question,answer\na,Q,A\nb,,A\nbad id,Q,A\n");
    let ran = kefu.run(&["faq", "import", &broken, "--json"]).exits(2);
    assert_eq!(ran.error_code(), "invalid_file");
    assert!(ran.stderr.contains("row 3: question") && ran.stderr.contains("row 4: id"), "{ran:?}");
    assert_eq!(kefu.ask(&["faq", "list"]).lines().len(), 0, "nothing of it was used");
    let sheet = file(dir.path(), "faq.xlsx", "no workbook");
    assert_eq!(kefu.run(&["faq", "import", &sheet, "--json"]).exits(2).error_code(), "invalid_file");
    let unknown = file(dir.path(), "faq.pdf", "");
    assert_eq!(kefu.run(&["faq", "import", &unknown, "--json"]).exits(2).error_code(), "usage");
    kefu.run(&["faq", "import", "/no/such.csv"]).exits(1);

    kefu.run(&["faq", "ask", "anything"]).exits(1);
    kefu.run(&["faq", "show", "nothing"]).exits(1);
    assert_eq!(kefu.run(&["faq", "approve", "nothing", "--json"]).exits(3).error_code(), "unknown_entry");
    let add = ["faq", "add", "x", "--question", "Q", "--answer", "Dear {name}", "--json"];
    assert_eq!(kefu.run(&add).exits(3).error_code(), "invalid");
    kefu.ask(&["faq", "add", "x", "--question", "Q", "--answer", "Dear {name}", "--variable", "name=friend"]);
    let stale = ["faq", "approve", "x", "--version", "7", "--json"];
    assert_eq!(kefu.run(&stale).exits(3).error_code(), "stale");
}

#[test]
fn what_was_said_is_found() {
    let kefu = Serving::start();
    kefu.ask(&["send", "--from", "alice", "my red shoes are lost"]);
    let found = kefu.shows(&["search", "shoe"], |ran| ran.lines().len() == 1).lines();
    let shown = (&found[0]["author"], &found[0]["channel"], &found[0]["snippet"][1]);
    assert_eq!(shown, (&json!("customer"), &json!("cli"), &json!({"text": "shoes", "hit": true})));
    assert_eq!(kefu.ask(&["search", "boots"]).lines().len(), 0);
    let text = kefu.run(&["search", "shoes", "--author", "customer"]).exits(0).stdout;
    assert!(text.contains("my red shoes are lost"), "{text}");
    kefu.run(&["search", "x", "--limit", "1000"]).exits(1);
}

const ENTRIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faq_zh.jsonl");
const QUESTIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/faq_zh.queries.jsonl");

#[test]
fn answers_are_measured_and_thresholds_shown_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let eval = ["faq", "eval", "--entries", ENTRIES, "--queries", QUESTIONS, "--model", "none", "--json"];
    let figures = run(dir.path(), &eval).exits(0).json();
    let figure = |name: &str| figures[name].as_f64().unwrap_or_else(|| panic!("{name} in {figures}"));
    // Words alone find what shares words; what they miss is for a model.
    assert!(figure("accuracy_at_1") > 0.3 && figure("accuracy_at_5") >= figure("accuracy_at_1"), "{figures}");
    assert!((0.0..=1.0).contains(&figure("ece")) && figure("latency_ms_p99") > 0.0, "{figures}");
    assert_eq!(figures["model"], "none");

    let plot = dir.path().join("thresholds.svg");
    let plot = plot.to_str().unwrap();
    let calibrate = ["faq", "calibrate", "--entries", ENTRIES, "--queries", QUESTIONS, "--model", "none"];
    let table = run(dir.path(), &[&calibrate[..], &["--plot", plot]].concat()).exits(0).stdout;
    assert!(table.lines().count() > 5, "{table}");
    assert!(fs::read_to_string(plot).unwrap().starts_with("<svg"));

    let bad = file(dir.path(), "bad.jsonl", "{\"text\": \"怎么退货\", \"faq_id\": \"x\"}\n{\"text\": 3}\n");
    let ran = run(dir.path(), &["faq", "eval", "--entries", ENTRIES, "--queries", &bad, "--model", "none"]).exits(2);
    assert!(ran.stderr.contains("bad.jsonl") && ran.stderr.contains('2'), "{ran:?}");
}
