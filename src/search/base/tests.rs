//! A base in a folder: what is kept, what is noticed, what readers see.

use super::*;
use std::cell::Cell;

const WIDTH: usize = 16;

/// A model of sorts: a text's vector counts its letters, so that texts with the same letters are near.
fn letters(texts: &[&str], _: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
    let vector = |text: &&str| {
        let mut vector = [0.01_f32; WIDTH];
        text.bytes()
            .filter(u8::is_ascii_alphabetic)
            .for_each(|byte| vector[(byte.to_ascii_lowercase() % 16) as usize] += 1.0);
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        vector.iter().map(|value| value / length).collect()
    };
    Ok(texts.iter().map(vector).collect())
}

fn model(name: &str) -> ModelIdentity {
    ModelIdentity { name: name.to_owned(), sha256: "0".repeat(64), dimensions: WIDTH }
}

fn entry(id: &str, question: &str, similar: &[&str], answer: &str) -> EntryText {
    EntryText {
        id: id.to_owned(),
        entry_version: 1,
        question: question.to_owned(),
        similar: similar.iter().map(|text| (*text).to_owned()).collect(),
        answer: answer.to_owned(),
        language: None,
    }
}

fn some() -> Vec<Change> {
    vec![
        Change::Put(entry("pin", "How do I change my PIN?", &["new pin please"], "In the app, under Card.")),
        Change::Put(entry("refund", "When do I get my refund?", &[], "Within five days.")),
        Change::Put(entry("额度", "怎么提高信用卡额度", &["信用卡提额"], "在手机银行申请。")),
    ]
}

fn put(base: &mut Base, changes: Vec<Change>) {
    base.apply(changes, Some(&letters), &|_, _| {}).expect("applied");
}

fn ask(reader: &Reader, text: &str) -> Ranked {
    let vector = letters(&[text], Role::Question).expect("vector").remove(0);
    reader.ask(&Question { text, earlier: &[], language: None, vector: Some(&vector) }).expect("asked")
}

fn first(reader: &Reader, text: &str) -> Option<String> {
    ask(reader, text).candidates.first().map(|found| found.entry.clone())
}

#[test]
fn what_was_applied_is_found_at_once_and_after_opening_again() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path().join("tenant");
    let mut base = Base::open(&dir, Some(&model("m"))).expect("opened");
    let reader = base.reader();
    assert!(ask(&reader, "pin").candidates.is_empty());
    put(&mut base, some());
    let check = |reader: &Reader| {
        assert_eq!(first(reader, "change the pin").as_deref(), Some("pin"));
        assert_eq!(first(reader, "my refnud").as_deref(), Some("refund"));
        assert_eq!(first(reader, "信用卡額度").as_deref(), Some("额度"));
        let ranked = ask(reader, "change the pin");
        let sum: f64 = ranked.candidates.iter().map(|found| found.probability).sum();
        assert!((sum - 1.0).abs() < 1e-5 && (0.0..=1.0).contains(&ranked.in_scope));
    };
    check(&reader);
    let before = ask(&reader, "change the pin");
    drop(base);
    let base = Base::open(&dir, Some(&model("m"))).expect("opened");
    check(&base.reader());
    assert_eq!(ask(&base.reader(), "change the pin"), before);
    assert_eq!(base.entries().collect::<Vec<_>>(), [("pin", 1), ("refund", 1), ("额度", 1)]);
}

#[test]
fn changes_replace_and_remove_and_readers_follow() {
    let mut base = Base::in_memory(Some(&model("m"))).expect("base");
    put(&mut base, some());
    let reader = base.reader();
    put(
        &mut base,
        vec![
            Change::Remove("refund".to_owned()),
            Change::Put(EntryText { entry_version: 2, ..entry("pin", "Where is my parcel?", &[], "") }),
        ],
    );
    assert_eq!(first(&reader, "parcel").as_deref(), Some("pin"));
    assert_eq!(ask(&reader, "parcel").candidates[0].entry_version, 2);
    assert!(ask(&reader, "refund").candidates.iter().all(|found| found.entry != "refund"));
    assert_eq!(base.entries().collect::<Vec<_>>(), [("pin", 2), ("额度", 1)]);
}

#[test]
fn only_new_texts_are_embedded_and_a_failing_model_changes_nothing() {
    let mut base = Base::in_memory(Some(&model("m"))).expect("base");
    put(&mut base, some());
    let count = Cell::new(0);
    let counting = |texts: &[&str], role: Role| {
        count.set(count.get() + texts.len());
        letters(texts, role)
    };
    let longer = Change::Put(entry(
        "pin",
        "How do I change my PIN?",
        &["new pin please", "forgot my pin"],
        "In the app, under Card.",
    ));
    base.apply(vec![longer.clone()], Some(&counting), &|_, _| {}).expect("applied");
    base.apply(vec![longer], Some(&counting), &|_, _| {}).expect("applied");
    assert_eq!(count.get(), 1);

    let before = ask(&base.reader(), "parcel");
    let failing = |_: &[&str], _: Role| Err(EmbedError::Busy);
    let result =
        base.apply(vec![Change::Put(entry("parcel", "Where is my parcel?", &[], ""))], Some(&failing), &|_, _| {});
    assert!(matches!(result, Err(BaseError::Embed(EmbedError::Busy))));
    assert_eq!(ask(&base.reader(), "parcel"), before);
    assert_eq!(base.entries().count(), 3);
}

#[test]
fn another_model_and_damage_are_told_and_texts_are_mended() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path().join("tenant");
    let mut base = Base::open(&dir, Some(&model("m"))).expect("opened");
    put(&mut base, some());
    drop(base);
    let rebuild = |result: Result<Base, BaseError>| result.err().is_some_and(|error| error.is_rebuild());
    assert!(rebuild(Base::open(&dir, Some(&model("other")))));
    assert!(rebuild(Base::open(&dir, None)));

    // The text index can be made from the entries.
    fs::remove_dir_all(dir.join(TEXTS)).expect("removed");
    assert_eq!(
        first(&Base::open(&dir, Some(&model("m"))).expect("opened").reader(), "refund").as_deref(),
        Some("refund")
    );

    // A batch that a crash cut off never was.
    let entries = fs::read(dir.join(ENTRIES)).expect("file");
    let mut longer = entries.clone();
    longer.extend(b"{\"remove\":{\"id\":\"pin\"}}\n{\"put\":");
    fs::write(dir.join(ENTRIES), longer).expect("file");
    assert_eq!(Base::open(&dir, Some(&model("m"))).expect("opened").entries().count(), 3);
    assert_eq!(fs::read(dir.join(ENTRIES)).expect("file"), entries);

    for (name, at) in [(ENTRIES, 30), (ENTRIES, entries.len() - 40), (ROWS, 40)] {
        let bytes = fs::read(dir.join(name)).expect("file");
        let mut changed = bytes.clone();
        changed[at] = 0;
        fs::write(dir.join(name), changed).expect("file");
        assert!(rebuild(Base::open(&dir, Some(&model("m")))), "{name} at {at}");
        fs::write(dir.join(name), bytes).expect("file");
    }
    fs::remove_file(dir.join(ROWS)).expect("file");
    assert!(rebuild(Base::open(&dir, Some(&model("m")))));
}

#[test]
fn without_a_model_words_answer() {
    let mut base = Base::in_memory(None).expect("base");
    base.apply(some(), None, &|_, _| {}).expect("applied");
    let ranked =
        base.reader().ask(&Question { text: "PIN ändern change", earlier: &[], language: None, vector: None });
    assert_eq!(ranked.expect("asked").candidates[0].entry, "pin");
}

/// Six entries with seven variants each, whose words overlap.
fn taught() -> Vec<Change> {
    let subjects = ["card", "pin", "refund", "loan", "transfer", "address"];
    let forms = [
        "how do i change my {}",
        "{} change",
        "where can i change the {}",
        "i want another {}",
        "my {} is wrong",
        "new {} please",
        "{}?",
    ];
    let entry_of = |subject: &&str| {
        let texts: Vec<String> = forms.iter().map(|form| form.replace("{}", subject)).collect();
        let similar: Vec<&str> = texts[1..].iter().map(String::as_str).collect();
        Change::Put(entry(subject, &texts[0], &similar, ""))
    };
    subjects.iter().map(entry_of).collect()
}

#[test]
fn what_was_learned_is_kept_and_newer_entries_still_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let dir = folder.path().join("tenant");
    let mut base = Base::open(&dir, Some(&model("m"))).expect("opened");
    put(&mut base, some());
    assert_eq!(base.train().expect("trained"), None, "there are too few variants");
    put(
        &mut base,
        vec![Change::Remove("pin".to_owned()), Change::Remove("refund".to_owned()), Change::Remove("额度".to_owned())],
    );
    put(&mut base, taught());
    let report = base.train().expect("trained").expect("enough");
    assert_eq!((report.entries, report.variants), (6, 42));
    let reader = base.reader();
    let ranked = ask(&reader, "can you change my loan");
    assert_eq!(ranked.candidates[0].entry, "loan");
    assert!(ranked.candidates[0].parts.learned != 0.0);

    put(&mut base, vec![Change::Put(entry("parcel", "Where is my parcel now?", &[], "On its way."))]);
    let newer = ask(&reader, "where is my parcel now");
    assert_eq!((newer.candidates[0].entry.as_str(), newer.candidates[0].parts.learned), ("parcel", 0.0));
    assert!(newer.candidates[0].probability > 0.5);
    let sum: f64 = newer.candidates.iter().map(|found| found.probability).sum();
    assert!((sum - 1.0).abs() < 1e-4);

    let before = ask(&reader, "another address");
    drop(base);
    let base = Base::open(&dir, Some(&model("m"))).expect("opened");
    assert_eq!(ask(&base.reader(), "another address"), before);
    // What was learned can be learned again: damage to it is no damage to the base.
    fs::write(dir.join("learned"), b"what?").expect("file");
    drop(base);
    let base = Base::open(&dir, Some(&model("m"))).expect("opened");
    assert_eq!(ask(&base.reader(), "another address").candidates[0].parts.learned, 0.0);
}

#[test]
fn a_question_of_100_kilobytes_is_answered_like_its_beginning() {
    let mut base = Base::in_memory(Some(&model("m"))).expect("base");
    put(&mut base, some());
    let long = format!("When do I get my refund? {}", "because I wait ".repeat(7_000));
    assert!(ask(&base.reader(), &long).candidates.iter().any(|found| found.entry == "refund"));
}
