//! The real models. Skipped, visibly, where `scripts/models` has not fetched them.

use super::cosine;
use kefu::search::embed::{self, ENGLISH, EmbedError, Embedder, LocalEmbedder, MULTILINGUAL, Role};
use std::{collections::BTreeMap, fs, path::PathBuf};

fn models() -> Option<PathBuf> {
    let dir = embed::models_dir().filter(|dir| dir.join(ENGLISH).exists() && dir.join(MULTILINGUAL).exists());
    if dir.is_none() {
        eprintln!("skipped: the models are not there; scripts/models fetches them");
    }
    dir
}

fn both() -> Option<[LocalEmbedder; 2]> {
    let dir = models()?;
    Some([ENGLISH, MULTILINGUAL].map(|name| embed::open(&dir, name).unwrap()))
}

fn one(model: &LocalEmbedder, text: &str) -> Vec<f32> {
    model.embed(&[text], Role::Question).unwrap().remove(0)
}

#[test]
fn vectors_are_those_of_the_reference_implementations() {
    // MiniLM: a forward pass in numpy with 64-bit numbers. e5: the engine that the weights were packed for; it rounds what
    // flows between layers to 8 bits, which this code does not, so a little less than 1 is right.
    let mut reference: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(include_str!("reference.json")).unwrap();
    let texts: Vec<String> = serde_json::from_value(reference.remove("texts").unwrap()).unwrap();
    let Some(models) = both() else { return };
    for (model, least) in models.iter().zip([0.99999, 0.9998]) {
        let name = &model.identity().name;
        let expected: Vec<Vec<f32>> = serde_json::from_value(reference[name].clone()).unwrap();
        for (text, expected) in texts.iter().zip(expected) {
            let vector = one(model, text);
            assert_eq!((vector.len(), model.identity().dimensions), (384, 384));
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
            // They are written with four digits, so their length is not quite 1.
            let near = cosine(&vector, &expected) / cosine(&expected, &expected).sqrt();
            assert!(near > least, "{name}, {text}: {near}");
        }
    }
}

#[test]
fn what_means_the_same_is_nearer_than_what_does_not() {
    let Some([english, multilingual]) = both() else { return };
    let triples = [
        (&english, "My card was stolen", "Someone took my bank card", "What is the weather like?"),
        (&multilingual, "My card was stolen", "Someone took my bank card", "What is the weather like?"),
        (&multilingual, "银行卡丢了怎么办", "我的卡被偷了", "今天天气怎么样"),
        (&multilingual, "银行卡丢了怎么办", "I lost my bank card, what now?", "How do I bake bread?"),
        (&multilingual, "怎么退款", "如何申請退款", "怎么开发票"),
    ];
    for (model, text, same, other) in triples {
        let [text_vector, same_vector, other_vector] = [text, same, other].map(|text| one(model, text));
        let (near, far) = (cosine(&text_vector, &same_vector), cosine(&text_vector, &other_vector));
        assert!(near > far + 0.03, "{text}: {same} {near}, {other} {far}");
    }
}

#[test]
fn a_batch_gives_what_its_texts_give_alone() {
    let Some(models) = both() else { return };
    let long = "please help me with my order ".repeat(60);
    let texts = ["hi", "银行卡丢了怎么办？", &long, "", "How do I reset my PIN?", "😀 ½ ㎏", "hi"];
    for model in &models {
        let together = model.embed(&texts, Role::Passage).unwrap();
        for (text, vector) in texts.iter().zip(&together) {
            let alone = model.embed(&[text], Role::Passage).unwrap().remove(0);
            assert!(cosine(&alone, vector) > 0.99999, "{}: {text}", model.identity().name);
        }
    }
}

#[test]
fn a_question_and_an_answer_are_told_apart_only_by_the_model_that_knows_the_difference() {
    let Some([english, multilingual]) = both() else { return };
    let near = |model: &LocalEmbedder| {
        let answer = model.embed(&["refunds take 5 days"], Role::Passage).unwrap().remove(0);
        cosine(&answer, &one(model, "refunds take 5 days"))
    };
    assert!(near(&english) > 0.99999);
    assert!((0.8..0.9999).contains(&near(&multilingual)));
}

#[test]
fn a_text_of_100_kb_and_hostile_ones_give_vectors_too() {
    let Some(models) = both() else { return };
    let texts =
        ["word ".repeat(20_000), "客".repeat(33_000), " ".repeat(100_000), "\0\u{feff}\u{202e}</s><s>[CLS]".to_owned()];
    for model in &models {
        for text in &texts {
            let vector = one(model, text);
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-4);
        }
    }
}

#[test]
fn missing_truncated_and_exchanged_files_are_told_apart() {
    let empty = tempfile::tempdir().unwrap();
    for name in [ENGLISH, MULTILINGUAL, "some-other-model"] {
        assert!(matches!(embed::open(empty.path(), name), Err(EmbedError::Missing(_))), "{name}");
    }
    let Some(models) = models() else { return };
    let original = fs::read(models.join(MULTILINGUAL).join("e5-small-q4.bin")).unwrap();
    let folder = empty.path().join(MULTILINGUAL);
    fs::create_dir(&folder).unwrap();
    let open_with = |content: &[u8]| {
        fs::write(folder.join("e5-small-q4.bin"), content).unwrap();
        embed::open(empty.path(), MULTILINGUAL).err().unwrap().to_string()
    };
    let truncated = open_with(&original[..original.len() / 2]);
    assert!(truncated.contains("35811200 bytes long instead of 71622400"), "{truncated}");
    let mut changed = original.clone();
    changed[60_000_000] ^= 1;
    let changed = open_with(&changed);
    assert!(changed.contains("SHA-256"), "{changed}");
}

#[test]
fn a_packed_file_that_is_cut_anywhere_is_an_error_and_no_panic() {
    let Some(models) = models() else { return };
    let original = fs::read(models.join(MULTILINGUAL).join("e5-small-q4.bin")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    // Another name: the length and hash of the known model are not looked at, only what is inside.
    let folder = empty.path().join("own");
    fs::create_dir(&folder).unwrap();
    for length in [0, 3, 4, 20, 44, 64, 1_000_000, 2_000_100, 4_600_000, 30_000_000, original.len() - 1] {
        fs::write(folder.join("e5-small-q4.bin"), &original[..length]).unwrap();
        assert!(matches!(embed::open(empty.path(), "own"), Err(EmbedError::Model(_))), "cut at {length}");
    }
    fs::write(folder.join("e5-small-q4.bin"), &original).unwrap();
    let known = embed::open(&models, MULTILINGUAL).unwrap();
    assert_eq!(embed::open(empty.path(), "own").unwrap().identity().sha256, known.identity().sha256);
}

#[test]
fn a_folder_of_the_user_is_read_and_its_contradictions_are_named() {
    let Some(models) = models() else { return };
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().join("own");
    fs::create_dir(&folder).unwrap();
    let copy = |name: &str| fs::copy(models.join(ENGLISH).join(name), folder.join(name)).map(|_| ()).unwrap();
    ["model.safetensors", "tokenizer.json", "config.json"].into_iter().for_each(copy);
    let open = || embed::open(empty.path(), "own");
    let (own, known) = (open().unwrap(), embed::open(&models, ENGLISH).unwrap());
    assert!(cosine(&one(&own, "where is my card"), &one(&known, "where is my card")) > 0.99999);
    assert_ne!(own.identity().sha256, known.identity().sha256, "the known one reads 256 tokens, this one 512");

    fs::create_dir(folder.join("1_Pooling")).unwrap();
    fs::write(folder.join("1_Pooling/config.json"), r#"{"pooling_mode_cls_token": true}"#).unwrap();
    let first = open().unwrap();
    assert!(cosine(&one(&own, "where is my card"), &one(&first, "where is my card")) < 0.999);
    fs::write(folder.join("1_Pooling/config.json"), r#"{"pooling_mode_max_tokens": true}"#).unwrap();
    assert!(open().err().unwrap().to_string().contains("only mean and first token"));
    fs::remove_dir_all(folder.join("1_Pooling")).unwrap();

    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    for (from, to, says) in [
        ("\"bert\"", "\"gpt2\"", "only BERT"),
        ("\"hidden_size\": 384", "\"hidden_size\": 768", "config.json says"),
        ("\"num_hidden_layers\": 6", "\"num_hidden_layers\": 7", "has no encoder.layer.6"),
        ("{", "", "config.json"),
    ] {
        fs::write(folder.join("config.json"), config.replacen(from, to, 1)).unwrap();
        let error = open().err().unwrap().to_string();
        assert!(error.contains(says), "{from} → {to}: {error}");
    }
    fs::write(folder.join("config.json"), &config).unwrap();
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    fs::write(folder.join("model.safetensors"), &weights[..weights.len() / 3]).unwrap();
    assert!(open().err().unwrap().to_string().contains("model.safetensors"));
}
