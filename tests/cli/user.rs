//! Users, from a shell.

use crate::program::{Ran, Serving, kefu};
use serde_json::json;
use std::{io::Write, process::Stdio};

const PASSWORD: &str = "korrekt pferd batterie";

/// Runs a command with something on its standard input.
fn piped(serving: &Serving, arguments: &[&str], input: &str) -> Ran {
    let mut command = kefu(serving.path());
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that ends without reading it is no failure of this.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::of(child.wait_with_output().unwrap())
}

#[test]
fn the_first_administrator_is_made_with_a_password_that_is_no_argument_and_is_shown_nowhere() {
    let kefu = Serving::start();
    let add = ["user", "add", "root", "--name", "Ada Root", "--role", "administrator", "--json"];
    kefu.run(&add).exits(2);
    assert_eq!(piped(&kefu, &add, "short\n").exits(2).error_code(), "usage");
    assert_eq!(piped(&kefu, &add, "two lines\nof something\n").exits(2).error_code(), "usage");
    assert!(kefu.ask(&["user", "list"]).stdout.is_empty(), "nobody was made who could not sign in");
    assert_eq!(piped(&kefu, &add, &format!("{PASSWORD}\n")).exits(0).json()["ok"], true);
    // Once more the same is no failure, and asks for no password.
    kefu.ask(&["user", "add", "root", "--role", "administrator"]);

    let root =
        kefu.shows(&["user", "show", "root"], |ran| ran.code == Some(0) && ran.json()["state"]["has_password"] == true);
    assert_eq!(root.json()["state"]["grants"], json!([{"role": "administrator", "scope": "all"}]));
    let text = kefu.run(&["user", "show", "root"]).exits(0).stdout;
    assert!(text.contains("Ada Root") && text.contains("administrator (all)"), "{text}");
    for output in [root.stdout, text, kefu.ask(&["user", "list"]).stdout] {
        assert!(!output.contains("argon2") && !output.contains(PASSWORD), "{output}");
    }
    let refused = kefu.run(&["user", "revoke", "root", "administrator", "--json"]).exits(3);
    assert_eq!(refused.error_code(), "last_administrator");
    assert_eq!(kefu.run(&["user", "disable", "root", "--json"]).exits(3).error_code(), "last_administrator");
}

#[test]
fn roles_passwords_and_tokens_are_given_and_taken() {
    let kefu = Serving::start();
    let roles = ["--role", "agent", "--role", "supervisor=tax,vip"];
    kefu.ask(&[&["user", "add", "anna", "--no-password"][..], &roles].concat());
    kefu.ask(&["user", "add", "reports", "--role", "service", "--no-password"]);
    let listed = kefu.shows(&["user", "list"], |ran| ran.lines().len() == 2).lines();
    let queues = json!({"queues": ["tax", "vip"]});
    assert_eq!(
        listed[0]["grants"],
        json!([{"role": "agent", "scope": "my_queues"}, {"role": "supervisor", "scope": queues}])
    );
    assert_eq!(kefu.ask(&["user", "list", "--role", "service"]).lines()[0]["id"], "reports");
    let table = kefu.run(&["user", "list"]).exits(0).stdout;
    assert!(table.contains("supervisor (tax, vip)") && table.contains("no password"), "{table}");

    kefu.ask(&["user", "grant", "anna", "supervisor", "--queue", "tax"]);
    kefu.ask(&["user", "grant", "anna", "supervisor", "--queue", "tax"]);
    kefu.ask(&["user", "revoke", "anna", "agent"]);
    let anna = |expected: fn(&serde_json::Value) -> bool| {
        kefu.shows(&["user", "show", "anna"], |ran| expected(&ran.json()["state"])).json()["state"].clone()
    };
    let state = anna(|state| state["grants"].as_array().is_some_and(|grants| grants.len() == 1));
    assert_eq!(state["grants"], json!([{"role": "supervisor", "scope": {"queues": ["tax"]}}]));
    piped(&kefu, &["user", "password", "anna"], PASSWORD).exits(0);
    assert_eq!(piped(&kefu, &["user", "password", "nobody", "--json"], PASSWORD).exits(3).error_code(), "unknown_user");
    kefu.ask(&["user", "disable", "anna", "--reason", "on leave"]);
    let state = anna(|state| state["disabled_at"].is_string());
    assert_eq!((&state["has_password"], &state["disabled_for"]), (&json!(true), &json!("on leave")));
    kefu.ask(&["user", "enable", "anna"]);

    let add = ["user", "token", "add", "reports", "--name", "nightly", "--scope", "report.read", "--expires", "90d"];
    let made = kefu.ask(&add).json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("kefu_t_") && secret.len() > 60);
    let tokens = kefu.shows(&["user", "token", "list", "reports"], |ran| ran.lines().len() == 1);
    assert_eq!((&tokens.lines()[0]["id"], &tokens.lines()[0]["scopes"]), (&made["token"], &json!(["report.read"])));
    for output in [tokens.stdout, kefu.ask(&["user", "show", "reports"]).stdout, kefu.ask(&["replay"]).stdout] {
        assert!(!output.contains(secret) && !output.contains(&secret["kefu_t_".len()..]), "shown once");
    }
    kefu.run(&["user", "token", "add", "reports", "--name", "x", "--scope", "file.burn"]).exits(2);
    kefu.ask(&["user", "token", "revoke", "reports", made["token"].as_str().unwrap()]);
    kefu.shows(&["user", "token", "list", "reports"], |ran| ran.stdout.is_empty());
    let again = kefu.run(&["user", "token", "revoke", "reports", made["token"].as_str().unwrap(), "--json"]).exits(3);
    assert_eq!(again.error_code(), "unknown_token");
}

#[test]
fn the_policies_are_printed_and_a_tenants_own_are_checked() {
    let kefu = Serving::start();
    let printed = kefu.run(&["user", "policies"]).exits(0).stdout;
    for part in ["entity User", "@id(\"administrator\")", "conversation.take_over"] {
        assert!(printed.contains(part), "{part}");
    }
    let document = |policy: &str| json!({"policies": [{"name": "mine", "policy": policy}]}).to_string();
    let set = |policy: &str| {
        piped(&kefu, &["settings", "set", "--document", "access", "--file", "-", "--json"], &document(policy))
    };
    let wrong = set("permit (principal, action == Action::\"file.burn\", resource);").exits(3);
    assert!(wrong.error_code() == "invalid" && wrong.stderr.contains("policies[0].policy"), "{wrong:?}");
    set("forbid (principal, action == Action::\"file.write\", resource);").exits(0);
}
