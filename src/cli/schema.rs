//! `kefu schema`: the contract, as JSON Schemas and an AsyncAPI document.

use super::{error::CliError, output::Output};
use clap::Args;
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Print a JSON Schema of the contract, or the AsyncAPI document
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu schema                      the list
  kefu schema inbound              what an adapter publishes
  kefu schema asyncapi             on which subjects it all travels
  kefu schema --out schemas/       everything, as files")]
pub struct Schema {
    /// Which one; the list, if absent
    name: Option<String>,
    /// Write all of them into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    out: Option<PathBuf>,
}

impl Schema {
    pub(super) fn run(self, mut out: Output) -> Result<(), CliError> {
        let documents = crate::settings::schemas();
        if let Some(directory) = self.out {
            return write_all(&documents, &directory);
        }
        match self.name {
            Some(name) => {
                let wanted = name.trim_end_matches(".json");
                let found = documents.iter().find(|(file, _)| file.trim_end_matches(".json") == wanted);
                let Some((_, document)) = found else { return Err(unknown(&documents, &name)) };
                out.json(document)
            }
            None if out.is_json() => {
                let list: Vec<Value> = documents.iter().map(|(file, document)| listed(file, document)).collect();
                out.json(&list)
            }
            None => {
                let rows: Vec<[String; 2]> = documents
                    .iter()
                    .map(|(file, document)| [stem(file).to_owned(), title(document).to_owned()])
                    .collect();
                out.table(["NAME", "WHAT"], &rows)
            }
        }
    }
}

fn write_all(documents: &BTreeMap<String, Value>, directory: &std::path::Path) -> Result<(), CliError> {
    std::fs::create_dir_all(directory)?;
    for (file, document) in documents {
        std::fs::write(directory.join(file), serde_json::to_string_pretty(document)? + "\n")?;
    }
    Ok(())
}

fn stem(file: &str) -> &str {
    file.trim_end_matches(".json")
}

fn title(document: &Value) -> &str {
    document["title"].as_str().or_else(|| document["info"]["title"].as_str()).unwrap_or_default()
}

fn listed(file: &str, document: &Value) -> Value {
    json!({ "name": stem(file), "file": file, "title": title(document) })
}

fn unknown(documents: &BTreeMap<String, Value>, name: &str) -> CliError {
    let names: Vec<&str> = documents.keys().map(|file| stem(file)).collect();
    CliError::usage(format!("there is no schema {name:?}")).hint(format!("there are: {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::settings::schemas;
    use std::{fs, path::Path};

    /// The contract's own are compared in its crate.
    #[test]
    fn the_schemas_that_are_made_here_are_what_the_code_says() {
        let documents = schemas();
        for file in kefu_events::schema::MADE_ELSEWHERE {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(file);
            let now = serde_json::to_string_pretty(&documents[file]).unwrap() + "\n";
            if std::env::var("KEFU_BLESS").is_ok_and(|bless| bless == "1") {
                fs::write(&path, &now).unwrap();
            }
            let committed = fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(committed, now, "run `KEFU_BLESS=1 cargo test -p kefu --lib cli::schema` and commit schemas/");
        }
    }
}
