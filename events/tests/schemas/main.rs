//! `schemas/` says what the code says, and what was once written stays readable.
//!
//! After a change of the contract run
//!
//! ```text
//! KEFU_BLESS=1 cargo test -p kefu-events --test schemas
//! ```
//!
//! and commit what it writes. It refuses changes that are not backward compatible, and says what to do instead.
//! `KEFU_BLESS=incompatible` makes them all the same and records the corpus anew: only while no log of anybody's is kept.

#![allow(clippy::unwrap_used, reason = "all of it is test code, of which clippy sees only the functions marked so")]

mod compatibility;
mod corpus;
mod examples;
mod messages;

use kefu_events::schema;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

const HOW_TO_BLESS: &str =
    "If the change is meant, run `KEFU_BLESS=1 cargo test -p kefu-events --test schemas` and commit schemas/.";

/// What `KEFU_BLESS` asks for.
#[derive(Clone, Copy, PartialEq)]
enum Bless {
    No,
    Compatible,
    Incompatible,
}

fn bless() -> Bless {
    match std::env::var("KEFU_BLESS").as_deref() {
        Err(_) | Ok("" | "0") => Bless::No,
        Ok("1") => Bless::Compatible,
        Ok("incompatible") => Bless::Incompatible,
        Ok(other) => panic!("KEFU_BLESS is {other:?}; it can be 1 or incompatible"),
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

fn pretty(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap() + "\n"
}

/// The documents in `schemas/`, as text.
fn committed() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).into_iter().flatten().map(Result::unwrap);
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"));
    let files = files.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let files = files.filter(|(file, _)| !schema::MADE_ELSEWHERE.contains(&file.as_str()));
    files.map(|(file, path)| (file, fs::read_to_string(path).unwrap())).collect()
}

fn incompatible_changes() -> Vec<String> {
    let now = schema::documents();
    let mut changes = Vec::new();
    for (file, text) in committed().iter().filter(|(file, _)| *file != "asyncapi.json") {
        let old = serde_json::from_str(text).unwrap();
        match now.get(file) {
            Some(new) => changes.extend(compatibility::changes(file, &old, new)),
            None => changes.push(format!("{file}: the document was removed")),
        }
    }
    changes
}

fn assert_compatible() {
    let changes = incompatible_changes();
    assert!(
        changes.is_empty(),
        "not backward compatible:\n  {}\n\n\
         What was once written must stay readable, and what was once promised must stay true. For an event: leave the \
         recorded version as it is, count `v` up (`V<2>`), and add a step to events/src/upcast.rs that lifts version 1. \
         For anything else: add an optional field, a new type or a new value beside the old one. Only before a release, \
         while nobody keeps a log: `KEFU_BLESS=incompatible cargo test -p kefu-events --test schemas`.",
        changes.join("\n  ")
    );
}

#[test]
fn schemas_are_what_the_code_says() {
    let now: BTreeMap<String, String> =
        schema::documents().into_iter().map(|(file, document)| (file, pretty(&document))).collect();
    if bless() == Bless::Compatible {
        assert_compatible();
    }
    if bless() != Bless::No {
        fs::create_dir_all(folder()).unwrap();
        for file in committed().keys().filter(|file| !now.contains_key(*file)) {
            fs::remove_file(folder().join(file)).unwrap();
        }
        for (file, text) in &now {
            fs::write(folder().join(file), text).unwrap();
        }
    }
    let committed = committed();
    let files: std::collections::BTreeSet<&String> = now.keys().chain(committed.keys()).collect();
    let differing: Vec<_> = files.into_iter().filter(|file| now.get(*file) != committed.get(*file)).collect();
    assert!(differing.is_empty(), "schemas/ differs from the code in {differing:?}. {HOW_TO_BLESS}");
}

#[test]
fn changes_of_the_schemas_are_backward_compatible() {
    if bless() == Bless::No {
        assert_compatible();
    }
}
