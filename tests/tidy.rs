//! Rules of layout and style that matter, as tests: who may import what, how large a file may be, what may not be
//! committed. Plain text checks, so that they are fast and hold for code that is not compiled here. Each failure says what
//! to do.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::{fs, path::Path, process::Command};

/// Code that only computes: it gets time, ids, randomness and look-ups as arguments.
const PURE: [&str; 18] = [
    "src/aggregate/",
    "src/conversation/",
    "src/contact/",
    "src/agent/",
    "src/settings/",
    "src/access/user/",
    "src/policy/",
    "src/routing/",
    "src/scheduler/",
    "src/faq/entry/",
    "src/faq/answer",
    "src/faq/llm/breaker",
    "src/faq/llm/budget",
    "src/faq/llm/facts",
    "src/faq/llm/grounding",
    "src/faq/llm/mask",
    "src/faq/llm/prompt",
    "src/reporting/metric",
];

/// The same, but it knows what a delivery and an outgoing message look like.
const MACHINE: &str = "src/runtime/machine/";

/// Who may name which crate. A name stands for all that begin with it.
const CRATES: [(&str, &[&str]); 10] = [
    ("async_nats", &["src/journal/"]),
    ("rocksdb", &["src/store/"]),
    ("actix", &["src/runtime/", "src/bridge/", "bench/src/sockets.rs"]),
    ("usearch", &["src/search/"]),
    ("tantivy", &["src/search/"]),
    ("cel::", &["src/routing/"]),
    ("cedar_policy", &["src/policy/"]),
    ("argon2", &["src/access/"]),
    ("chrono_tz", &["src/routing/"]),
    ("openidconnect", &["src/bridge/oidc.rs"]),
];

const MAX_LINES: usize = 600;

struct File {
    path: String,
    text: String,
}

impl File {
    fn is_under(&self, starts: &[&str]) -> bool {
        starts.iter().any(|start| self.path.starts_with(start))
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether line `number` (from 0) belongs to tests.
    fn is_test(&self, number: usize) -> bool {
        let own_file = self.path.contains("tests/") || self.path.ends_with("tests.rs");
        let lines: Vec<&str> = self.text.lines().take(number).collect();
        // `mod tests;` is a file of its own; what follows such a line is code.
        let begins = |pair: &[&str]| pair[0].trim() == "#[cfg(test)]" && !pair[1].trim().ends_with(';');
        own_file || lines.windows(2).any(begins)
    }

    /// The Rust code with its comments and the contents of its strings blanked out, line by line.
    fn code(&self) -> String {
        blanked(&self.text)
    }
}

/// Blanks comments, strings and characters out of Rust source, and keeps its lines.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let find = |mut at: usize, what: &str| {
        while at < chars.len() && !starts(at, what) {
            at += 1;
        }
        (at + what.len()).min(chars.len())
    };
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let word_before = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
        let end = if starts(at, "//") {
            find(at, "\n") - 1
        } else if starts(at, "/*") {
            find(at + 2, "*/")
        } else if chars[at] == 'r' && !word_before && chars.get(at + 1 + hashes) == Some(&'"') {
            find(at + 2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        } else if chars[at] == '"' {
            let mut end = at + 1;
            while end < chars.len() && chars[end] != '"' {
                end += if chars[end] == '\\' { 2 } else { 1 };
            }
            end + 1
        } else if starts(at, "'\\") {
            find(at + 3, "'")
        } else if chars[at] == '\'' && chars.get(at + 2) == Some(&'\'') {
            at + 3
        } else {
            code.push(chars[at]);
            at += 1;
            continue;
        };
        let end = end.clamp(at + 1, chars.len());
        code.extend(chars[at..end].iter().filter(|&&c| c == '\n'));
        code.push(' ');
        at = end;
    }
    code
}

/// All files that are, or would be, committed.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())
        .map(|output| String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect());
    let mut paths: Vec<String> = listed.unwrap_or_else(|| {
        let mut found = Vec::new();
        walk(root, root, &mut found);
        found
    });
    paths.sort();
    paths.dedup();
    let read = |path: String| Some(File { text: fs::read_to_string(root.join(&path)).ok()?, path });
    let files: Vec<File> = paths.into_iter().filter_map(read).collect();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "no files found under {}", root.display());
    files
}

/// Outside of a checkout: everything but what is made or installed here.
fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if [".git", ".tools", "target", "node_modules"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(relative) = path.strip_prefix(root) {
            found.push(relative.to_string_lossy().into_owned());
        }
    }
}

fn rust_files() -> impl Iterator<Item = File> {
    files().into_iter().filter(File::is_rust)
}

/// Fails with all violations of one rule and what to do about them.
fn assert_none(violations: impl Iterator<Item = String>, what_to_do: &str) {
    let violations: Vec<String> = violations.collect();
    assert!(violations.is_empty(), "\n  {}\n\n{what_to_do}", violations.join("\n  "));
}

/// Whether `word` stands in `line` with nothing before it that belongs to a longer word.
fn has_word_start(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'))
}

/// Every line of code (comments and strings blanked) of which `wrong` says so, as `path:line: text`.
fn lines_of_code<'a>(file: &'a File, wrong: impl Fn(usize, &str) -> bool + 'a) -> Vec<String> {
    let code = file.code();
    let wrong_ones = code.lines().zip(file.text.lines()).enumerate().filter(|(number, (code, _))| wrong(*number, code));
    wrong_ones.map(|(number, (_, line))| format!("{}:{}: {}", file.path, number + 1, line.trim())).collect()
}

/// The modules of this crate that a file's code names: after `crate::` or `super::`, also in braces.
fn modules_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for start in ["crate::", "super::", "kefu::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            if !rest.starts_with('{') {
                named.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
                continue;
            }
            // Only what follows the brace or a comma is a module of the crate; what follows `::` is inside of one.
            let (mut depth, mut inside, mut word) = (0, false, String::new());
            for c in rest.chars() {
                match c {
                    _ if depth == 1 && !inside && (c.is_alphanumeric() || c == '_') => {
                        word.push(c);
                        continue;
                    }
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ':' => inside = true,
                    ',' if depth == 1 => inside = false,
                    _ => {}
                }
                if !word.is_empty() {
                    named.push(std::mem::take(&mut word));
                }
                if depth == 0 {
                    break;
                }
            }
        }
    }
    named
}

#[test]
fn pure_code_imports_nothing_that_acts() {
    const ACTING: [&str; 7] = ["journal", "store", "runtime", "bridge", "cli", "access", "channels"];
    let violations = rust_files().filter(|file| file.is_under(&PURE)).flat_map(|file| {
        let named = modules_named(&file.code());
        let wrong = ACTING.into_iter().filter(|module| named.iter().any(|name| name == module));
        wrong.map(|module| format!("{}: imports {module}", file.path)).collect::<Vec<_>>()
    });
    assert_none(
        violations,
        "Pure code decides; it does not act. Take what it needs as an argument, or give back what is to be done as data.",
    );
}

#[test]
fn pure_code_reads_no_clock_draws_no_random_number_and_never_waits() {
    const IMPURE: [&str; 6] = ["SystemTime", "Instant", "Utc::now", "rand::", "tokio", "std::env"];
    const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];
    let waits = |line: &str| {
        let after = line.split(".await").skip(1);
        after.into_iter().any(|after| !after.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
    };
    let pure_files = rust_files().filter(|file| file.is_under(&PURE) || file.is_under(&[MACHINE]));
    let violations = pure_files.flat_map(|file| {
        let unordered = if file.is_under(&PURE) { UNORDERED.as_slice() } else { &[] };
        lines_of_code(&file, |_, line| {
            waits(line) || IMPURE.iter().chain(unordered).any(|word| has_word_start(line, word))
        })
    });
    assert_none(
        violations,
        "Time, ids and randomness are arguments of pure code, so that it says the same whenever it is asked again. For the \
         same reason it uses BTreeMap, whose order is the same everywhere.",
    );
}

#[test]
fn each_library_stays_in_its_folder() {
    let violations = rust_files().filter(|file| file.is_under(&["src/", "events/"])).flat_map(|file| {
        let foreign: Vec<_> = CRATES.iter().filter(|(_, homes)| !file.is_under(homes)).map(|(name, _)| *name).collect();
        lines_of_code(&file, |_, line| foreign.iter().any(|name| has_word_start(line, name)))
    });
    let homes: Vec<String> = CRATES.iter().map(|(name, homes)| format!("{name}: {}", homes.join(", "))).collect();
    assert_none(
        violations,
        &format!("Each of these can be replaced in one place: {}. Use the folder's own types.", homes.join("; ")),
    );
}

#[test]
fn the_contract_imports_nothing_of_kefu() {
    let manifest = files().into_iter().find(|file| file.path == "events/Cargo.toml").expect("events/Cargo.toml");
    let in_manifest =
        manifest.text.lines().filter(|line| line.starts_with("kefu")).map(|line| format!("events/Cargo.toml: {line}"));
    let in_code = rust_files().filter(|file| file.path.starts_with("events/")).flat_map(|file| {
        lines_of_code(&file, |_, line| has_word_start(line, "kefu::") || has_word_start(line, "kefu_bench"))
    });
    assert_none(
        in_manifest.chain(in_code),
        "Others depend on kefu-events alone: it may depend on nothing else of kefu.",
    );
}

#[test]
fn no_file_is_two_ideas() {
    let long = files().into_iter().filter(|file| {
        let code = [".rs", ".py", ".sh", ".js", ".ts", ".css", ".html"].iter().any(|end| file.path.ends_with(end));
        (code || file.path.starts_with("scripts/")) && file.text.lines().count() > MAX_LINES
    });
    assert_none(
        long.map(|file| format!("{} has {} lines", file.path, file.text.lines().count())),
        &format!("Over {MAX_LINES} lines, a file is two ideas. Find the second one and give it a file."),
    );
}

#[test]
fn every_folder_explains_itself_first() {
    let files = files();
    let has = |path: &str| files.iter().find(|file| file.path == path);
    let mut folders: Vec<&str> = files
        .iter()
        .filter(|file| file.is_rust() && file.is_under(&["src/", "events/src/", "bench/src/"]))
        .filter_map(|file| Some(file.path.rsplit_once('/')?.0))
        .filter(|folder| !folder.ends_with("src") && !folder.ends_with("src/bin"))
        .collect();
    folders.dedup();
    let violations = folders.into_iter().filter_map(|folder| {
        match has(&format!("{folder}/mod.rs")).or_else(|| has(&format!("{folder}.rs"))) {
            None => Some(format!("{folder} has no mod.rs")),
            Some(file) if !file.text.starts_with("//!") => Some(format!("{} does not start with //!", file.path)),
            Some(_) => None,
        }
    });
    assert_none(violations, "A folder says first what it does, and what it may not know.");
}

#[test]
fn nothing_is_left_for_later() {
    let violations = rust_files().flat_map(|file| {
        lines_of_code(&file, |_, line| {
            ["todo!", "unimplemented!", "dbg!"].iter().any(|word| has_word_start(line, word))
        })
    });
    assert_none(violations, "Build it, or leave it out and say so where a user would look for it.");
}

#[test]
fn a_test_that_is_not_run_says_why() {
    let violations = rust_files().flat_map(|file| lines_of_code(&file, |_, line| line.trim() == "#[ignore]"));
    assert_none(violations, "Write #[ignore = \"the reason, and how to run it\"].");
}

#[test]
fn a_test_that_sleeps_says_what_for() {
    let violations = rust_files().flat_map(|file| {
        let lines: Vec<&str> = file.text.lines().collect();
        let explained = |number: usize| {
            let before = |count: usize| &lines[number.saturating_sub(count)..=number];
            let asks_again = |line: &&str| line.trim().ends_with("loop {") || line.trim().starts_with("while ");
            before(1).iter().any(|line| line.contains("// waits because")) || before(6).iter().any(asks_again)
        };
        lines_of_code(&file, |number, line| {
            has_word_start(line, "sleep(") && !line.contains("fn sleep") && file.is_test(number) && !explained(number)
        })
    });
    assert_none(
        violations,
        "Wait for what you need, with a deadline, instead of for a time that is too short or too long: in a loop that asks \
         again. Where only time helps, say so on the line or above it: // waits because …",
    );
}

#[test]
fn nothing_names_a_machine_or_a_place_to_download_from() {
    // In two pieces, so that this file does not break its own rule.
    const PLACES: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    /// Hosts of documents that may be referred to, and names that lead nowhere.
    const HOSTS: [&str; 13] = [
        "127.0.0.1",
        "localhost",
        "example.com",
        "docs.nats.io",
        "json-schema.org",
        "www.apache.org",
        "keepachangelog.com",
        "semver.org",
        "www.asyncapi.com",
        "spec.openapis.org",
        "www.rfc-editor.org",
        "prometheus.io",
        "www.w3.org",
    ];
    let foreign = |line: &str| {
        line.match_indices("://").any(|(at, mark)| {
            let scheme = line[..at].ends_with("http") || line[..at].ends_with("https");
            let rest = &line[at + mark.len()..];
            let host = rest.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-')).next().unwrap_or_default();
            // A host without a dot is a placeholder, as in a format string; `.example` is reserved to lead nowhere.
            scheme && host.contains('.') && !HOSTS.contains(&host) && !host.ends_with(".example")
        })
    };
    // Cargo itself writes where crates come from into its lock file, and npm whom one may thank; see also the next test.
    let is_lock = |path: &str| path == "Cargo.lock" || path.ends_with("package-lock.json");
    let violations = files().into_iter().filter(|file| !is_lock(&file.path)).flat_map(|file| {
        let wrong = |line: &&str| PLACES.iter().any(|place| line.contains(place)) || foreign(line);
        let lines = file.text.lines().enumerate().filter(|(_, line)| wrong(line));
        lines.map(|(number, line)| format!("{}:{}: {}", file.path, number + 1, line.trim())).collect::<Vec<_>>()
    });
    assert_none(
        violations,
        "Paths are relative to the project or come from the environment; packages come from their registries by name. A host \
         of documents can be added to HOSTS in tests/tidy.rs.",
    );
}

#[test]
fn lock_files_of_npm_name_no_registry() {
    let violations = files()
        .into_iter()
        .filter(|file| file.path.ends_with("package-lock.json") && file.text.contains("\"resolved\": \"http"));
    assert_none(
        violations.map(|file| file.path),
        "Put `omit-lockfile-registry-resolved=true` into .npmrc beside package.json, delete the lock file and install again.",
    );
}

#[test]
fn no_binary_is_committed() {
    const BINARY: [&str; 9] = [".whl", ".zip", ".gz", ".so", ".a", ".o", ".exe", ".rlib", ".pyc"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(output) = Command::new("git").args(["ls-files"]).current_dir(root).output().ok() else { return };
    let listed = String::from_utf8_lossy(&output.stdout).into_owned();
    let violations = listed.lines().filter(|path| BINARY.iter().any(|end| path.ends_with(end)));
    assert_none(violations.map(str::to_owned), "git rm it: scripts/setup installs what is needed, into .tools.");
}

#[test]
fn comments_and_strings_are_no_code() {
    let code = blanked("a /* b */ \"c\\\"d\" 'e' '\\'' f // g\nr#\"h\"i\"# 'j: &'k l");
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "f", "'j:", "&'k", "l"]);
    assert_eq!(code.lines().count(), 2);
    let named = modules_named("use crate::{a, b::{c, d}, e::f, j}; super::g::h(); crate::i;");
    for module in ["a", "b", "e", "g", "i", "j"] {
        assert!(named.iter().any(|name| name == module), "{module} in {named:?}");
    }
    assert!(!named.iter().any(|name| name == "c" || name == "f" || name == "h"), "{named:?}");
}
