//! What can be had without a server: help, usage errors, configuration, schemas.

use crate::program::{kefu, run};
use std::io::Write;

#[test]
fn the_help_lists_commands_examples_and_exit_codes() {
    let data = tempfile::tempdir().unwrap();
    let help = run(data.path(), &["--help"]).exits(0).stdout;
    for part in ["serve", "rejected", "Examples:", "Exit codes:", "5  nothing came back in time"] {
        assert!(help.contains(part), "{part}\n{help}");
    }
    for command in
        ["serve", "send", "chat", "act", "replay", "show", "settings set", "rejected retry", "channel add", "agent"]
    {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = run(data.path(), &arguments).exits(0).stdout;
        assert!(help.contains("Example"), "{command} has no examples\n{help}");
    }
    assert!(run(data.path(), &["--version"]).exits(0).stdout.starts_with("kefu 0."));
    assert_eq!(run(data.path(), &["version", "--json"]).exits(0).json()["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_wrong_command_line_exits_2() {
    let data = tempfile::tempdir().unwrap();
    for wrong in [
        &["sned"][..],
        &[],
        &["send", "--from", "alice"],
        &["act", "no-conversation", "hold"],
        &["act", "web:alice", "--as", "customer:x", "hold"],
        &["act", "web:alice", "transfer"],
        &["act", "web:alice", "raw", "[]"],
        &["show", "web:alice", "--at", "soon"],
        &["replay", "--follow", "--to", "5"],
        &["schema", "nothing"],
        &["tenant", "create", "two words"],
        &["channel", "add", "agent"],
        &["--log", "kefu=loud", "config", "show"],
        &["--log-format", "xml", "config", "show"],
    ] {
        run(data.path(), wrong).exits(2);
    }
}

#[test]
fn without_a_server_the_exit_code_is_4_and_the_hint_says_how_to_start_one() {
    let data = tempfile::tempdir().unwrap();
    for command in [
        &["show", "web:alice"][..],
        &["send", "--from", "alice", "hi"],
        &["tenant", "list"],
        &["replay"],
        &["rejected", "list"],
        &["doctor"],
    ] {
        let ran = run(data.path(), command).exits(4);
        assert!((ran.stderr + &ran.stdout).contains("kefu serve"), "{command:?}");
    }
    let ran = run(data.path(), &["show", "web:alice", "--json"]).exits(4);
    assert_eq!(ran.error_code(), "not_running");
    let ran = run(data.path(), &["tenant", "list", "--nats", "nats://127.0.0.1:1", "--json"]).exits(4);
    assert_eq!(ran.error_code(), "unreachable");
}

#[test]
fn the_configuration_is_shown_with_its_origins_and_a_wrong_key_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("config.toml");
    std::fs::write(&file, "tenant = \"shop\"\n[nats]\npassword = \"hush\"\n").unwrap();
    let show = |more: &[&str]| {
        let mut command = kefu(data.path());
        command.env("KEFU_PREFIX", "other").arg("--config").arg(&file).args(["config", "show"]).args(more);
        command.output().unwrap()
    };
    let shown: serde_json::Value = serde_json::from_slice(&show(&["--json", "--log", "debug"]).stdout).unwrap();
    assert_eq!(shown["tenant"]["value"], "shop");
    assert!(shown["tenant"]["origin"].as_str().unwrap().ends_with("config.toml"));
    assert_eq!(shown["prefix"]["origin"], "environment KEFU_PREFIX");
    assert_eq!(shown["log.level"]["origin"], "flag --log");
    assert_eq!(shown["limits.idle"]["origin"], "default");
    let text = String::from_utf8(show(&[]).stdout).unwrap();
    assert!(text.contains("KEFU_PREFIX") && !text.contains("hush"), "{text}");

    std::fs::write(&file, "tennant = \"shop\"\n").unwrap();
    let wrong = show(&[]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("did you mean \"tenant\"?"));
}

#[test]
fn schemas_and_completions_are_printed() {
    let data = tempfile::tempdir().unwrap();
    let list = run(data.path(), &["schema", "--json"]).exits(0).json();
    assert!(list.as_array().unwrap().iter().any(|schema| schema["name"] == "inbound"));
    let schema = run(data.path(), &["schema", "inbound"]).exits(0).json();
    assert_eq!(schema["$id"], "urn:kefu:schema:inbound");
    let out = data.path().join("schemas");
    run(data.path(), &["schema", "--out", out.to_str().unwrap()]).exits(0);
    assert!(out.join("asyncapi.json").exists());
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(data.path(), &["completions", shell]).exits(0).stdout.contains("rejected"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let data = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // A pipe that nobody reads any more, before the first byte is written.
    assert!((&writer).write(b"x").is_err());
    let output = kefu(data.path()).args(["schema", "asyncapi"]).stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
