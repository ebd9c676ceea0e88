//! What kefu is built from may be built from: licences, banned crates and sources, as deny.toml says. `cargo deny` checks
//! the same and more, but takes longer to install than all else here; this needs nothing but cargo.

#![allow(clippy::unwrap_used)] // A test may panic.

use serde_json::Value;
use std::{collections::BTreeSet, process::Command};

fn deny() -> toml::Table {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    std::fs::read_to_string(path).expect(path).parse().expect("deny.toml is TOML")
}

fn strings(list: &toml::Value) -> BTreeSet<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str()).map(str::to_owned).collect()
}

/// All packages that go into kefu on this platform, tests included.
fn packages() -> Vec<Value> {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&rustc.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host");
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).expect("cargo metadata writes JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap_or_default()
}

/// Whether one may choose licences out of an SPDX expression that are all allowed.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // Old manifests write a slash for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = any_of(&tokens, &mut at, allowed);
    answer && at == tokens.len()
}

fn any_of(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut answer = all_of(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= all_of(tokens, at, allowed);
    }
    answer
}

fn all_of(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut answer = one(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= one(tokens, at, allowed);
    }
    answer
}

fn one(tokens: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let answer = any_of(tokens, at, allowed);
        *at += 1;
        return answer;
    }
    if tokens.get(*at) == Some(&"WITH") {
        let exception = tokens.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&format!("{token} WITH {exception}"));
    }
    allowed.contains(*token)
}

#[test]
fn every_licence_is_allowed() {
    let deny = deny();
    let allowed = strings(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"].as_array().cloned().unwrap_or_default();
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| {
            let mut allowed = allowed.clone();
            let of_this = exceptions.iter().filter(|exception| exception["crate"].as_str() == Some(name(package)));
            of_this.for_each(|exception| allowed.extend(strings(&exception["allow"])));
            !satisfied(package["license"].as_str().unwrap_or_default(), &allowed)
        })
        .map(|package| format!("{} ({})", name(package), package["license"]))
        .collect();
    assert!(
        refused.is_empty(),
        "not under a licence that deny.toml allows: {refused:?}. Take another crate; or, where the licence is permissive, \
         add it to deny.toml."
    );
}

#[test]
fn no_banned_crate_and_no_foreign_source() {
    let deny = deny();
    let banned: BTreeSet<&str> =
        deny["bans"]["deny"].as_array().into_iter().flatten().filter_map(|ban| ban["crate"].as_str()).collect();
    let packages = packages();
    let found: Vec<&str> = packages.iter().map(name).filter(|name| banned.contains(name)).collect();
    assert!(found.is_empty(), "banned by deny.toml, which says why: {found:?}. `cargo tree -i {}`", found.join(" -i "));

    let sources: BTreeSet<&str> = packages.iter().filter_map(|package| package["source"].as_str()).collect();
    let foreign: Vec<_> = sources.iter().filter(|source| !source.starts_with("registry+")).collect();
    assert!(
        foreign.is_empty() && sources.len() <= 1,
        "crates come from Rust's own registry only, not from {sources:?}"
    );
}

#[test]
fn expressions_are_understood() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
    ] {
        assert!(satisfied(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "GPL-3.0 WITH LLVM-exception", "MIT ISC"]
    {
        assert!(!satisfied(bad, &allowed), "{bad}");
    }
}
