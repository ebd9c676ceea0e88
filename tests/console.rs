//! The agents' web page in a real browser, with a real kefu behind it: `console/e2e` says what happens.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use support::{eventually, kefu::Kefu, skip};

const PASSWORD: &str = "correct-horse-battery";

/// The browser, or what is missing.
fn browser() -> Result<PathBuf, String> {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("console");
    let chromium = std::env::var_os("KEFU_CHROMIUM").map_or_else(|| PathBuf::from("/usr/bin/chromium"), PathBuf::from);
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !chromium.exists() {
        return Err(format!("{} is not there: scripts/test installs it", chromium.display()));
    }
    if !node.is_ok_and(|status| status.success()) {
        return Err("there is no node".to_owned());
    }
    if !console.join("node_modules/playwright-core").exists() {
        return Err("console/node_modules is not there: run scripts/setup".to_owned());
    }
    if !kefu::bridge::Bridge::has_console() {
        return Err("this kefu was built without the page: run scripts/setup, and build it again".to_owned());
    }
    Ok(chromium)
}

fn add(kefu: &Kefu, user: &str, name: &str, role: &str) {
    let mut command = kefu.command();
    command.args(["user", "add", user, "--name", name, "--role", role]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{user}-{PASSWORD}").unwrap();
    assert!(child.wait().unwrap().success(), "{user}");
}

/// `console/e2e` to its end.
async fn run(kefu: &Kefu, chromium: &Path, arguments: &[&str], environment: &[(&str, &str)]) {
    let mut command = Command::new("node");
    command.arg("e2e/main.mjs").args(arguments).envs(environment.iter().copied());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("console"));
    for (name, user) in
        [("KEFU_AGENT_A", "anna"), ("KEFU_AGENT_B", "ben"), ("KEFU_SUPERVISOR", "sam"), ("KEFU_ADMIN", "ada")]
    {
        command.env(name, user).env(format!("{name}_PASSWORD"), format!("{user}-{PASSWORD}"));
    }
    command.env("KEFU_URL", kefu.http_url()).env("KEFU_TENANT", "demo").env("KEFU_CHROMIUM", chromium);
    command.env("KEFU_BIN", env!("CARGO_BIN_EXE_kefu")).env("KEFU_DATA", kefu.data()).env("KEFU_PATIENCE_S", "90");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    println!("{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_and_supervisors_work_in_a_browser() {
    let chromium = match browser() {
        Ok(chromium) => chromium,
        Err(reason) => return skip("the page in a browser", &reason),
    };
    let kefu = Kefu::start().await;
    let address = eventually("the address of the first start", async || {
        let words = kefu.last_words();
        words.split_whitespace().find(|word| word.contains("/#/setup/")).map(str::to_owned)
    })
    .await;
    // Ada is made by it, and is the administrator of all that follows.
    run(&kefu, &chromium, &["first"], &[("KEFU_SETUP", &address)]).await;
    for (agent, name) in [("anna", "Anna Berg"), ("ben", "Ben Okafor"), ("sam", "Sam 李")] {
        kefu.run(&["agent", "add", agent, "--name", name, "--queue", "support", "--queue", "sales", "--slots", "4"]);
    }
    add(&kefu, "anna", "Anna Berg", "agent");
    add(&kefu, "ben", "Ben Okafor", "agent");
    add(&kefu, "sam", "Sam 李", "supervisor");
    run(&kefu, &chromium, &[], &[]).await;
}
