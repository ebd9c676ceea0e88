//! The files of a model: where models are, reading them whole, and telling the known ones from what only has their name.

use super::{EmbedError, hex};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of multilingual-e5-small in 4 bits: English, Chinese and some hundred other languages. The default.
pub const MULTILINGUAL: &str = "multilingual-e5-small-q4";

/// The name of all-MiniLM-L6-v2: English, half the time.
pub const ENGLISH: &str = "all-minilm-l6-v2";

/// What `scripts/models` fetches, file by file: model, file, bytes, SHA-256. The same list stands there; a test compares.
pub(super) const KNOWN: [(&str, &str, u64, &str); 5] = [
    (MULTILINGUAL, "e5-small-q4.bin", 71_622_400, "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"),
    (ENGLISH, "model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
    (ENGLISH, "tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    (ENGLISH, "config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    (ENGLISH, "sentence_bert_config.json", 53, "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"),
];

/// Where `scripts/models` puts models, unless settings say otherwise: `KEFU_MODELS`, or `kefu/models` in the user's cache.
pub fn models_dir() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set("KEFU_MODELS").or_else(|| Some(cache()?.join("kefu").join("models")))
}

/// All files of one model, read whole and hashed.
pub(super) struct Files {
    folder: PathBuf,
    contents: BTreeMap<&'static str, Vec<u8>>,
    hasher: Sha256,
}

impl Files {
    /// Reads those of `names` that are there. A model known by its folder's name must have the files known.
    pub(super) fn read(folder: &Path, model: &str, names: &[&'static str]) -> Result<Self, EmbedError> {
        let mut files = Self { folder: folder.to_owned(), contents: BTreeMap::new(), hasher: Sha256::new() };
        for name in names {
            let path = folder.join(name);
            let known = KNOWN.iter().find(|(known, file, ..)| *known == model && file == name);
            if let Some((_, _, bytes, _)) = known {
                // Before 90 MB are read and hashed for nothing.
                let found = fs::metadata(&path).map_err(|error| unreadable(&path, error))?.len();
                if found != *bytes {
                    return Err(wrong_file(&path, format!("{found} bytes long"), format!("{bytes}")));
                }
            }
            let content = match fs::read(&path) {
                Ok(content) => content,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&path, error)),
            };
            let digest = Sha256::digest(&content);
            if let Some((.., expected)) = known
                && hex(&digest) != *expected
            {
                return Err(wrong_file(&path, format!("of SHA-256 {}", hex(&digest)), (*expected).to_owned()));
            }
            files.hasher.update(name);
            files.hasher.update(digest);
            files.contents.insert(name, content);
        }
        Ok(files)
    }

    /// A file that the model cannot do without.
    pub(super) fn need(&self, name: &str) -> Result<&[u8], EmbedError> {
        self.find(name).ok_or_else(|| EmbedError::Missing(self.path(name)))
    }

    /// A file that may be there.
    pub(super) fn find(&self, name: &str) -> Option<&[u8]> {
        self.contents.get(name).map(Vec::as_slice)
    }

    /// Where that file is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// One digest of all files and their names.
    pub(super) fn sha256(&self) -> String {
        hex(&self.hasher.clone().finalize())
    }
}

fn unreadable(path: &Path, error: io::Error) -> EmbedError {
    match error.kind() {
        io::ErrorKind::NotFound => EmbedError::Missing(path.to_owned()),
        _ => EmbedError::Unreadable { path: path.to_owned(), error: Arc::new(error) },
    }
}

fn wrong_file(path: &Path, found: String, expected: String) -> EmbedError {
    EmbedError::WrongFile { path: path.to_owned(), found, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_that_fetches_models_has_the_same_list() {
        let script = include_str!("../../../scripts/models");
        for (model, file, bytes, sha256) in KNOWN {
            let line = script.lines().find(|line| line.contains(sha256)).unwrap_or_else(|| panic!("no {sha256}"));
            for part in [model, file, &bytes.to_string()] {
                assert!(line.contains(part), "{part} is not in: {line}");
            }
        }
    }

    #[test]
    fn what_a_model_is_changes_with_each_of_its_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        let hash = || Files::read(folder.path(), "own", &["a", "b", "c"]).expect("readable").sha256();
        write("a", "1");
        let one = hash();
        write("b", "");
        let two = hash();
        write("b", "1");
        let three = hash();
        assert!(one != two && two != three && one != three);
        assert_eq!(three, hash());
    }
}
