//! Settings, tenants and contacts.

use crate::program::Serving;
use serde_json::Value;

#[test]
fn a_changed_text_reaches_a_running_conversation_and_can_be_taken_back() {
    let kefu = Serving::start();
    kefu.say("Hello", &[]);
    let before = kefu.run(&["settings", "get", "--effective", "texts.handoff"]).exits(0).stdout;
    let changed = kefu.ask(&["settings", "set", "texts.handoff=Moment mal", "--comment", "German"]).json();
    assert_eq!(changed["document_version"], 2);
    assert_eq!(changed["changes"][0]["path"], "texts.handoff");
    let replies = kefu.say("human", &["--wait", "20s", "--replies", "1"]);
    assert_eq!(replies, ["Moment mal"]);

    let shown = kefu.run(&["settings", "set", "texts.handoff=Other", "wrap_up_s=5", "--dry-run"]).exits(0).stdout;
    assert!(shown.contains("- texts.handoff = \"Moment mal\"") && shown.contains("+ wrap_up_s = 5"), "{shown}");
    let history = kefu.ask(&["settings", "history"]).lines();
    assert_eq!(history.len(), 2);
    assert_eq!(history[1]["comment"], "German");
    assert_eq!(history[1]["by"], "system:operator");
    kefu.ask(&["settings", "rollback", "1"]);
    assert_eq!(kefu.run(&["settings", "get", "--effective", "texts.handoff"]).exits(0).stdout, before);

    // Once more the same is no failure; what is wrong is refused with its path.
    kefu.run(&["settings", "set", "wrap_up_s=7"]).exits(0);
    kefu.run(&["settings", "set", "wrap_up_s=7"]).exits(0);
    let refused = kefu.run(&["settings", "set", "bot.answer_deadline_s=0"]).exits(3);
    assert!(refused.stderr.contains("answer_deadline_s"), "{refused:?}");
    kefu.run(&["settings", "get", "-t", "nobody"]).exits(1);
    kefu.run(&["settings", "set", "-t", "nobody", "wrap_up_s=7"]).exits(1);
}

#[test]
fn a_document_can_be_edited_as_a_file_and_a_channel_differs_from_its_tenant() {
    let kefu = Serving::start();
    let mut document: Value = kefu.ask(&["settings", "get"]).json();
    document["wrap_up_s"] = 11.into();
    let file = kefu.path().join("document.json");
    std::fs::write(&file, document.to_string()).unwrap();
    kefu.run(&["settings", "set", "--file", file.to_str().unwrap()]).exits(0);
    assert_eq!(kefu.ask(&["settings", "get"]).json(), document);

    kefu.run(&["settings", "set", "--channel", "web", "wrap_up_s=12"]).exits(0);
    let web = kefu.ask(&["settings", "get", "--effective", "--channel", "web"]).json();
    let other = kefu.ask(&["settings", "get", "--effective", "--channel", "other"]).json();
    assert_eq!((&web["wrap_up_s"], &other["wrap_up_s"]), (&12.into(), &11.into()));
    assert_eq!(web["texts"], other["texts"]);

    kefu.run(&["tenant", "clone", "demo", "shop", "--name", "The Shop"]).exits(0);
    let web = kefu.ask(&["settings", "get", "-t", "shop", "--effective", "--channel", "web"]).json();
    assert_eq!((&web["wrap_up_s"], &web["name"]), (&12.into(), &"The Shop".into()));
}

#[test]
fn a_tenant_is_there_when_create_returns_and_is_made_once() {
    let kefu = Serving::start();
    kefu.run(&["tenant", "create", "shop"]).exits(0);
    kefu.run(&["send", "-t", "shop", "--from", "alice", "--wait", "20s", "--replies", "1", "hi"]).exits(0);
    let again = kefu.run(&["tenant", "create", "shop", "--json"]).exits(3);
    assert_eq!(again.error_code(), "exists");
    let tenants: Vec<Value> = kefu.ask(&["tenant", "list"]).lines();
    let names: Vec<&str> = tenants.iter().map(|tenant| tenant["tenant"].as_str().unwrap()).collect();
    assert_eq!(names, ["demo", "shop"]);
}

#[test]
fn contacts_are_shown_tagged_merged_and_separated() {
    let kefu = Serving::start();
    kefu.run(&["send", "--from", "alice", "--name", "Alice", "--channel", "web", "hi"]).exits(0);
    kefu.run(&["send", "--from", "wx-1", "--channel", "wechat", "hi"]).exits(0);
    // The contact comes to be by a command of the conversation's; the next command to it waits behind that one.
    let result = kefu.ask(&["contact", "tag", "web:alice", "vip"]).json();
    assert_eq!(result["ok"], true);
    kefu.run(&["contact", "set", "web:alice", "email=alice@example.com", "orders=3"]).exits(0);
    kefu.run(&["contact", "merge", "wechat:wx-1", "--into", "web:alice"]).exits(0);
    let shown = kefu.run(&["contact", "show", "web:alice"]).exits(0).stdout;
    assert!(shown.contains("Alice") && shown.contains("vip"), "{shown}");
    kefu.run(&["contact", "show", "web:nobody"]).exits(1);
    let listed = kefu.ask(&["contact", "list"]).lines();
    assert!(!listed.is_empty());
}
