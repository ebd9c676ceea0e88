//! `kefu faq eval`: how good the answers would be, on files, without a server.

use crate::{
    cli::{
        Session,
        error::CliError,
        output::{Output, note},
        simulate::bar,
    },
    faq::eval::{
        self, Outcomes, Progress,
        measures::Figures,
        rows::{self, Asked, Known, RowError, Selection},
    },
    search::{
        base::BaseError,
        embed::{self, EmbedError, Embedder, LocalEmbedder, Role},
        text::Language,
    },
};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};
use std::{cell::RefCell, path::PathBuf};

/// Files, and which of their rows count: shared with `kefu faq calibrate`.
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// Entries, one JSON object per line: {id, question, similar: […], answer}
    #[arg(long, value_name = "FILE.jsonl", group = "known", required = true)]
    entries: Option<PathBuf>,
    /// Examples, one JSON object per line: {text, label}; each label is an entry, its texts are variants of the question
    #[arg(long, value_name = "FILE.jsonl", group = "known", required = true)]
    labelled: Option<PathBuf>,
    /// The label of what is out of scope, in examples and questions
    #[arg(long, value_name = "LABEL", default_value = "__oos__")]
    oos_label: String,
    /// The model: multilingual-e5-small-q4, all-minilm-l6-v2, a folder's name in the directory of models, none (words only),
    /// or auto: the second where all entries are English, else the first
    #[arg(long, value_name = "NAME", default_value = "auto")]
    model: String,
    /// Directory of the models [default: where scripts/models puts them]
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Use only this many variants of each entry, drawn once and for all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,
    /// Use only rows whose field has this value; can be repeated
    #[arg(long = "where", value_name = "FIELD=VALUE", value_parser = crate::cli::values::pair)]
    only: Vec<(String, String)>,
    /// Evaluate the rows with each value of this field on their own, where they have it, and give the mean
    #[arg(long, value_name = "FIELD", default_value = "bot")]
    group_by: String,
}

/// Measure how good the answers would be: entries from a file, questions whose answers are known from another
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu faq eval --entries faq.jsonl --queries questions.jsonl
  kefu faq eval --labelled train.jsonl --queries dev.jsonl --shots 10 --json
  kefu faq eval --labelled train.jsonl --queries dev.jsonl --model none       words only

Questions are {text, faq_id} or {text, label}, with accept: [id, …] where others are right as well. Nothing is sent or
stored; the labels of the questions are looked at only after they are answered.")]
pub struct Eval {
    #[command(flatten)]
    files: Files,
    /// Questions, one JSON object per line: {text, faq_id | label, accept?: [id, …]}
    #[arg(long, value_name = "FILE.jsonl")]
    queries: PathBuf,
}

/// One group's outcomes.
pub(super) struct Group {
    /// Value of the field that it is grouped by.
    pub name: Option<String>,
    /// What came out.
    pub outcomes: Outcomes,
}

/// One evaluation: the group's name, entries and questions.
type Task = (Option<String>, Known, Vec<Asked>);

impl Eval {
    pub(super) fn run(self, session: &mut Session) -> Result<(), CliError> {
        let (model, groups) = self.files.evaluate(Some(&self.queries))?;
        let figures: Vec<Figures> = groups.iter().map(|group| eval::figures(&group.outcomes)).collect();
        let all = if figures.len() == 1 { figures[0].clone() } else { Figures::mean(&figures) };
        let mut value = json!(all);
        value["model"] = json!(model);
        let seconds = |of: fn(&Outcomes) -> f64| groups.iter().map(|group| of(&group.outcomes)).sum::<f64>();
        value["build_s"] = json!(seconds(|outcomes| outcomes.built.as_secs_f64()));
        value["training_s"] = json!(seconds(|outcomes| outcomes.trained.as_secs_f64()));
        value["training"] = json!(groups.iter().map(|group| group.outcomes.report).collect::<Vec<_>>());
        if groups.len() > 1 {
            let named = groups
                .iter()
                .zip(&figures)
                .map(|(group, figures)| (group.name.clone().unwrap_or_default(), json!(figures)));
            value["groups"] = Value::Object(named.collect::<Map<_, _>>());
        }
        if session.out.is_json() {
            session.out.json(&value)
        } else {
            table(&mut session.out, &model, &groups, &figures, &all)
        }
    }
}

fn table(out: &mut Output, model: &str, groups: &[Group], figures: &[Figures], all: &Figures) -> Result<(), CliError> {
    let row = |name: &str, figures: &Figures| {
        let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{:.1}", value * 100.0));
        [
            name.to_owned(),
            format!("{} ({})", figures.n, figures.n_in_scope),
            share(figures.accuracy_at_1),
            share(figures.accuracy_at_5),
            share(figures.mrr_at_10),
            share(figures.oos_auroc),
            share(figures.oos_recall_at_95_precision),
            share(figures.ece),
            format!("{:.1} / {:.1}", figures.latency_ms_p50, figures.latency_ms_p99),
            format!("{:.0}", figures.queries_per_s),
        ]
    };
    let mut rows: Vec<_> = Vec::new();
    if groups.len() > 1 {
        rows.extend(
            groups.iter().zip(figures).map(|(group, figures)| row(group.name.as_deref().unwrap_or("–"), figures)),
        );
    }
    rows.push(row(if groups.len() > 1 { "mean" } else { "all" }, all));
    let heading = [
        "",
        "QUESTIONS (IN SCOPE)",
        "FIRST %",
        "FIRST 5 %",
        "MRR %",
        "OOS AUROC %",
        "OOS FOUND %",
        "ECE %",
        "ms p50 / p99",
        "PER s",
    ];
    out.table(heading, &rows)?;
    note(format!("model: {model}"));
    Ok(())
}

impl Files {
    fn selection(&self) -> Selection {
        Selection {
            only: self.only.clone(),
            group_by: Some(self.group_by.clone()),
            oos_label: Some(self.oos_label.clone()),
            shots: self.shots.map(|shots| shots as usize),
        }
    }

    /// Evaluates each group of rows; without questions on variants that are taken out of the entries. Gives the model's name
    /// with it.
    pub(super) fn evaluate(&self, queries: Option<&PathBuf>) -> Result<(String, Vec<Group>), CliError> {
        let tasks = self.tasks(queries)?;
        let model = self.open(&tasks)?;
        let progress = Bars::default();
        let mut groups = Vec::new();
        for (name, known, asked) in tasks {
            let embed = |texts: &[&str], role: Role| match &model {
                Some(model) => model.embed(texts, role),
                None => Err(EmbedError::Stopped),
            };
            let with = model.as_ref().map(|model| (model.identity(), &embed as &crate::search::base::Embed<'_>));
            let outcomes = eval::evaluate(&known, &asked, with, &progress)?;
            groups.push(Group { name, outcomes });
        }
        progress.finish();
        Ok((model.map_or_else(|| "none".to_owned(), |model| model.identity().name.clone()), groups))
    }

    /// What is to be evaluated: each group's name, entries and questions.
    fn tasks(&self, queries: Option<&PathBuf>) -> Result<Vec<Task>, CliError> {
        let selection = self.selection();
        let field = selection.group_by.as_deref();
        let path =
            self.entries.as_ref().or(self.labelled.as_ref()).ok_or_else(|| CliError::usage("no file of entries"))?;
        let known = |rows: &[rows::Row]| match self.entries {
            Some(_) => rows::entries(rows, &selection),
            None => rows::labelled(rows, &selection),
        };
        let mut of_known = rows::grouped(rows::read(path, &selection)?, field);
        let mut tasks = Vec::new();
        match queries {
            None => {
                for (name, rows) in of_known {
                    let (known, asked) = eval::leave_one_out(&known(&rows)?);
                    tasks.push((name, known, asked));
                }
            }
            Some(queries) => {
                for (name, questions) in rows::grouped(rows::read(queries, &selection)?, field) {
                    // Questions of one group may be about entries that are not grouped.
                    let rows = of_known.get(&name).or_else(|| of_known.get(&None)).map(Vec::as_slice);
                    let rows =
                        rows.ok_or_else(|| CliError::usage(format!("no entries for the questions of {name:?}")))?;
                    tasks.push((name, known(rows)?, rows::questions(&questions, &selection)?));
                }
                of_known.clear();
            }
        }
        if tasks.iter().all(|(_, known, asked)| known.entries.is_empty() || asked.is_empty()) {
            return Err(CliError::usage("there are no entries or no questions in these files"));
        }
        Ok(tasks)
    }

    fn open(&self, tasks: &[(Option<String>, Known, Vec<Asked>)]) -> Result<Option<LocalEmbedder>, CliError> {
        let name = match self.model.as_str() {
            "none" => return Ok(None),
            "auto" => {
                let mut entries = tasks.iter().flat_map(|(_, known, _)| &known.entries);
                if entries.all(|entry| Language::of(&entry.question) == Language::English) {
                    embed::ENGLISH
                } else {
                    embed::MULTILINGUAL
                }
            }
            name => name,
        };
        let dir = self.models.clone().or_else(embed::models_dir);
        let dir = dir.ok_or_else(|| CliError::usage("no directory of models is known: use --models"))?;
        let opened = embed::open(&dir, name).map_err(|error| {
            CliError::failure(error.to_string())
                .hint("scripts/models fetches the models; --model none goes by words only")
        })?;
        Ok(Some(opened))
    }
}

/// Progress on stderr, one bar per step.
#[derive(Default)]
struct Bars(RefCell<Option<(String, ProgressBar)>>);

impl Progress for Bars {
    fn step(&self, name: &str, done: usize, all: usize) {
        let mut shown = self.0.borrow_mut();
        if shown.as_ref().is_none_or(|(shown, _)| shown != name) {
            if let Some((_, bar)) = shown.take() {
                bar.finish_and_clear();
            }
            *shown = Some((name.to_owned(), bar(all as u64, name)));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        }
    }
}

impl Bars {
    fn finish(&self) {
        if let Some((_, bar)) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

impl From<RowError> for CliError {
    fn from(error: RowError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<BaseError> for CliError {
    fn from(error: BaseError) -> Self {
        Self::failure(error.to_string())
    }
}
