//! What an answer takes: from a question to a decision, one at a time and many at once; what words alone take beside tantivy
//! alone; how long a base takes to open; and how soon an approved entry answers in a running kefu.
//!
//! All of it with the base, the model and the service that `kefu serve` runs, on one worker thread. The entries are made up of
//! three lists of words, in English and Chinese in turn, so that every entry is a question of its own and has many that
//! are near it; how good answers are is measured by `kefu faq eval`, and not here.

use crate::{
    Result, World,
    bus::Bus,
    engine::{Engine, Limits, TENANT},
    load::histogram,
    report::{self, Progress, at_least, at_most, rounded},
};
use bytes::Bytes;
use clap::Args;
use hdrhistogram::Histogram;
use kefu::{
    journal::Outgoing,
    search::{
        base::{Base, Change, EntryText, Question, Reader},
        embed::{self, EmbedError, Embedder, Embeddings, EmbeddingsOptions, MULTILINGUAL, ModelIdentity, Role},
        text::Analyzer,
    },
};
use kefu_events::{CommandResult, query::name};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use std::{
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tantivy::{
    Index, IndexReader, TantivyDocument, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{TokenStream, Tokenizer},
};

/// Who asks at once, where batches are measured.
const ASKERS: usize = 64;
/// Variants and answers that a base looks at in full, as `kefu::search::base` does.
const CANDIDATES: [usize; 2] = [100, 30];
/// Numbers per vector of the made-up model with which opening is measured.
const WIDTH: usize = 384;
/// Ways of asking each entry, there.
const VARIANTS: usize = 5;
/// A base takes entries in within seconds; past this something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Entries, each with one question and one answer
    #[arg(long, default_value_t = 10_000)]
    entries: usize,
    /// Questions
    #[arg(long, default_value_t = 640)]
    questions: usize,
    /// Variants in the base that is opened (0: none is)
    #[arg(long, default_value_t = 100_000)]
    variants: usize,
    /// Entries that are approved one by one in a running kefu (0: none are)
    #[arg(long, default_value_t = 20)]
    approvals: usize,
    /// The model
    #[arg(long, default_value = MULTILINGUAL)]
    model: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { entries: 10_000, questions: 640, variants: 100_000, approvals: 20, model: MULTILINGUAL.to_owned() }
    }
}

pub async fn run(world: &World, options: Options) -> Result<Value> {
    let progress = world.progress;
    let folder = embed::models_dir().ok_or("no folder of models: set KEFU_MODELS")?;
    let alone = {
        let (options, folder) = (options.clone(), folder.clone());
        tokio::task::spawn_blocking(move || alone(&options, &folder, progress)).await??
    };
    let (mut value, mut goals) = alone;
    if options.variants > 0 {
        let (options, dir) = (options.clone(), world.dir.clone());
        let opened = tokio::task::spawn_blocking(move || opened(&options, dir.as_deref(), &folder, progress)).await??;
        goals.push(at_most(
            "from files to the first answer, s",
            opened["first_answer_s"].as_f64().unwrap_or(f64::MAX),
            2.0,
        ));
        value["opened"] = opened;
    }
    if options.approvals > 0 {
        let approved = approvals(world, &options).await?;
        goals.push(at_most("from approval to answer, max, s", approved["max_s"].as_f64().unwrap_or(f64::MAX), 1.0));
        value["approved"] = approved;
    }
    value["goals"] = json!(goals);
    Ok(value)
}

/// Everything that needs no engine.
fn alone(options: &Options, folder: &Path, progress: Progress) -> Result<(Value, Vec<Value>)> {
    let model = Arc::new(embed::open(folder, &options.model)?);
    let entries: Vec<EntryText> = (0..options.entries).map(entry).collect();
    let questions: Vec<String> = (0..options.questions).map(|n| asked(n * 7919 % options.entries.max(1))).collect();

    progress.say(format!("{} entries for words alone", entries.len()));
    let words = words_alone(&entries, &questions)?;
    progress.say(format!("words alone: {words}"));

    progress.say("vectors of all entries; this takes minutes");
    let one_worker = EmbeddingsOptions { workers: NonZeroUsize::MIN, ..EmbeddingsOptions::default() };
    let service = Arc::new(Embeddings::start(model.clone(), one_worker)?);
    let built = Instant::now();
    let mut base = Base::in_memory(Some(model.identity()))?;
    let embed = |texts: &[&str], role: Role| service.embed_all(texts, role, |_| {});
    base.apply(entries.into_iter().map(Change::Put).collect(), Some(&embed), &|_, _| {})?;
    base.train()?;
    let built_s = built.elapsed().as_secs_f64();
    let reader = base.reader();

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let one = |text: &str| -> Result<()> {
        let question = Question { text, earlier: &[], language: None, vector: None };
        let vector = runtime.block_on(service.embed(&Reader::text_to_embed(&question), Role::Question))?;
        reader.ask(&Question { vector: Some(&vector), ..question })?;
        Ok(())
    };
    // What is loaded once: dictionaries, the vocabulary.
    one("Where is it? 在哪里")?;
    let (cold, one_by_one_s) = timed(&questions, one)?;
    let (cached, _) = timed(&questions, one)?;
    progress.say(format!("cold {}, cached {}", shown(&cold), shown(&cached)));

    // The same questions in other words, or the cache would answer.
    let others: Vec<String> =
        questions.iter().map(|text| format!("{text} {}", if text.is_ascii() { "please" } else { "谢谢" })).collect();
    let asking = Instant::now();
    runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        for share in others.chunks(others.len().div_ceil(ASKERS)) {
            let (share, service, reader) = (share.to_vec(), service.clone(), reader.clone());
            local.spawn_local(async move {
                for text in &share {
                    let question = Question { text, earlier: &[], language: None, vector: None };
                    let vector = service.embed(&Reader::text_to_embed(&question), Role::Question).await?;
                    reader
                        .ask(&Question { vector: Some(&vector), ..question })
                        .map_err(|error| EmbedError::Model(error.to_string()))?;
                }
                Ok::<(), EmbedError>(())
            });
        }
        local.await;
    });
    let together_s = asking.elapsed().as_secs_f64();
    let answered = service.counts().computed;
    let (alone_per_s, together_per_s) = (questions.len() as f64 / one_by_one_s, others.len() as f64 / together_s);

    let ms = |histogram: &Histogram<u64>, quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
    let goals = vec![
        at_most("question to decision, p99, ms", ms(&cold, 0.99), 60.0),
        at_most("cached question to decision, p99, ms", ms(&cached, 0.99), 2.0),
        at_least("questions/s, 64 askers beside one", together_per_s / alone_per_s, 2.0),
        at_least("words alone beside tantivy alone", words["ratio"].as_f64().unwrap_or_default(), 0.8),
    ];
    let value = json!({
        "model": options.model,
        "entries": options.entries,
        "questions": options.questions,
        "built_s": rounded(built_s),
        "cold_ms": shown(&cold),
        "cached_ms": shown(&cached),
        "per_s": {"one_by_one": rounded(alone_per_s), "askers_64": rounded(together_per_s)},
        "texts_embedded": answered,
        "words": words,
    });
    Ok((value, goals))
}

/// Each question once: how long each took, and all of them.
fn timed(questions: &[String], mut ask: impl FnMut(&str) -> Result<()>) -> Result<(Histogram<u64>, f64)> {
    let mut took = histogram()?;
    let began = Instant::now();
    for text in questions {
        let asking = Instant::now();
        ask(text)?;
        took.saturating_record(asking.elapsed().as_micros() as u64);
    }
    Ok((took, began.elapsed().as_secs_f64()))
}

fn shown(histogram: &Histogram<u64>) -> Value {
    let ms = |quantile: f64| rounded(histogram.value_at_quantile(quantile) as f64 / 1e3);
    json!({"p50": ms(0.5), "p99": ms(0.99), "max": rounded(histogram.max() as f64 / 1e3)})
}

/// A base without a model beside tantivy with the same schema, the same words and as many candidates, turn by turn.
fn words_alone(entries: &[EntryText], questions: &[String]) -> Result<Value> {
    let mut base = Base::in_memory(None)?;
    base.apply(entries.iter().cloned().map(Change::Put).collect(), None, &|_, _| {})?;
    let reader = base.reader();
    let tantivy = Tantivy::of(entries)?;
    let mut analyzer = Analyzer::default();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..6 {
        let asking = Instant::now();
        for text in questions {
            reader.ask(&Question { text, earlier: &[], language: None, vector: None })?;
        }
        let took = asking.elapsed().as_secs_f64();
        let asking = Instant::now();
        for text in questions {
            tantivy.ask(&mut analyzer, text)?;
        }
        // The first round loads what is loaded once.
        if round > 0 {
            ours.push(questions.len() as f64 / took);
            theirs.push(questions.len() as f64 / asking.elapsed().as_secs_f64());
        }
    }
    let (ours, theirs) = (report::median(&ours), report::median(&theirs));
    Ok(json!({"per_s": rounded(ours), "tantivy_per_s": rounded(theirs), "ratio": ours / theirs}))
}

/// tantivy and nothing else.
struct Tantivy {
    reader: IndexReader,
    fields: [Field; 2],
}

impl Tantivy {
    fn of(entries: &[EntryText]) -> Result<Self> {
        let mut schema = Schema::builder();
        let slot = schema.add_u64_field("slot", INDEXED | FAST);
        let indexing =
            TextFieldIndexing::default().set_tokenizer("words").set_index_option(IndexRecordOption::WithFreqs);
        let text = TextOptions::default().set_indexing_options(indexing);
        let fields = ["question", "answer"].map(|name| schema.add_text_field(name, text.clone()));
        let index = Index::create_in_ram(schema.build());
        index.tokenizers().register("words", Analyzer::default());
        let mut writer = index.writer_with_num_threads(1, 15_000_000)?;
        let pieces = entries.iter().flat_map(|entry| [(fields[0], &entry.question), (fields[1], &entry.answer)]);
        for (number, (field, text)) in pieces.enumerate() {
            let mut document = TantivyDocument::default();
            document.add_u64(slot, number as u64);
            document.add_text(field, text);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        Ok(Self { reader: index.reader()?, fields })
    }

    fn ask(&self, analyzer: &mut Analyzer, text: &str) -> Result<usize> {
        let mut words: Vec<String> = Vec::new();
        let mut stream = analyzer.token_stream(text);
        while stream.advance() {
            if !words.contains(&stream.token().text) {
                words.push(stream.token().text.clone());
            }
        }
        let searcher = self.reader.searcher();
        let mut found = 0;
        for (field, limit) in self.fields.iter().zip(CANDIDATES) {
            let clause = |word: &String| {
                let query = TermQuery::new(Term::from_field_text(*field, word), IndexRecordOption::WithFreqs);
                (Occur::Should, Box::new(query) as Box<dyn Query>)
            };
            let query = BooleanQuery::new(words.iter().map(clause).collect());
            found += searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?.len();
        }
        Ok(found)
    }
}

/// A base of many variants is written, and opened as a starting kefu does it. The vectors are random: opening does not look at
/// what they mean.
fn opened(options: &Options, dir: Option<&Path>, folder: &Path, progress: Progress) -> Result<Value> {
    progress.say(format!("a base of {} variants is written; the graph takes a minute", options.variants));
    let dir = dir.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
    let path = dir.path().join("base");
    let identity = ModelIdentity { name: "random".to_owned(), sha256: "0".repeat(64), dimensions: WIDTH };
    let mut base = Base::open(&path, Some(&identity))?;
    let mut random = StdRng::seed_from_u64(1);
    let vectors: Vec<Vec<f32>> = (0..4_096).map(|_| unit(&mut random)).collect();
    let drawn = |texts: &[&str], _: Role| {
        let near = |text: &&str| {
            let number = text.bytes().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            let (one, other) = (&vectors[number % 4_096], &vectors[number / 4_096 % 4_096]);
            let sum: Vec<f32> = one.iter().zip(other).map(|(one, other)| one + 0.5 * other).collect();
            let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
            sum.into_iter().map(|value| value / length).collect()
        };
        Ok(texts.iter().map(near).collect())
    };
    let many = (0..options.variants / VARIANTS).map(|number| {
        let similar = (1..VARIANTS).map(|form| format!("{} ({form} {number})", entry(number).question));
        EntryText { similar: similar.collect(), ..entry(number) }
    });
    base.apply(many.map(Change::Put).collect(), Some(&drawn), &|_, _| {})?;
    base.train()?;
    drop(base);
    progress.say("it is opened");
    let mut starts = Vec::new();
    let mut with_model = Vec::new();
    for _ in 0..5 {
        let starting = Instant::now();
        let base = Base::open(&path, Some(&identity))?;
        let text = asked(5);
        let ranked =
            base.reader().ask(&Question { text: &text, earlier: &[], language: None, vector: Some(&vectors[0]) })?;
        if ranked.candidates.is_empty() {
            return Err("the base that was opened finds nothing".into());
        }
        starts.push(starting.elapsed().as_secs_f64());
        let model = embed::open(folder, &options.model)?;
        model.embed(&[&text], Role::Question)?;
        with_model.push(starting.elapsed().as_secs_f64());
    }
    Ok(json!({
        "variants": options.variants,
        "base_s": rounded(report::median(&starts)),
        "first_answer_s": rounded(report::median(&with_model)),
    }))
}

fn unit(random: &mut StdRng) -> Vec<f32> {
    let vector: Vec<f32> = (0..WIDTH).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// Entries are approved one by one in a running kefu that has some, each timed from the moment at which approval is asked for
/// until the query `ask` finds it first for its own question.
async fn approvals(world: &World, options: &Options) -> Result<Value> {
    world.progress.say("a running kefu");
    let bus = Bus::start(world).await?;
    let limits = Limits { model: Some(options.model.clone()), ..Limits::default() };
    let engine = Engine::start(world, &bus, &limits).await?;
    engine.set_tenant(&bus, json!({"name": "Bench"})).await?;
    let before = 200;
    for number in 0..before {
        decide(&bus, number, "draft").await?;
        decide(&bus, number, "approve").await?;
    }
    until_found(&bus, before - 1).await?;
    let mut took = Vec::new();
    for number in before..before + options.approvals {
        decide(&bus, number, "draft").await?;
        // The question's own vector is known then: what is timed is the entry's way and not the question's.
        found(&bus, number).await?;
        let asking = Instant::now();
        decide(&bus, number, "approve").await?;
        until_found(&bus, number).await?;
        took.push(asking.elapsed().as_secs_f64());
    }
    engine.stop().await?;
    bus.stop().await;
    let max = took.iter().copied().fold(0.0, f64::max);
    world.progress.say(format!("approved to answer: median {:.3} s, at most {max:.3} s", report::median(&took)));
    Ok(json!({"entries": before, "approvals": took.len(), "p50_s": report::median(&took), "max_s": max}))
}

async fn decide(bus: &Bus, number: usize, what: &str) -> Result<()> {
    let entry = entry(number);
    let id = format!("bench-{what}-{number}");
    let mut command = json!({"type": what, "v": 1, "id": id, "aggregate": "faq", "key": entry.id,
        "actor": {"kind": "system", "id": "bench"}, "at": "2026-11-22T00:00:00.000Z"});
    if what == "draft" {
        command["content"] = json!({"question": entry.question, "answer": entry.answer});
    }
    let command = Outgoing::Command {
        tenant: TENANT.to_owned(),
        source: "system".to_owned(),
        key: entry.id,
        id,
        payload: Bytes::from(command.to_string()),
    };
    let result = bus.journal.request_command(command, PATIENCE).await?.ok_or("kefu did not decide")?;
    let result: CommandResult = serde_json::from_slice(&result)?;
    result.refusal.map_or(Ok(()), |refusal| Err(refusal.message.into()))
}

async fn until_found(bus: &Bus, number: usize) -> Result<()> {
    let began = Instant::now();
    while !found(bus, number).await? {
        if began.elapsed() > PATIENCE {
            return Err(format!("entry {number} does not answer after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Whether an entry comes first for its own question.
async fn found(bus: &Bus, number: usize) -> Result<bool> {
    let entry = entry(number);
    let asked = json!({"question": entry.question}).to_string();
    let answer = bus.journal.query(TENANT, name::ASK, Bytes::from(asked), PATIENCE).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    let candidate = &answer["ok"]["candidates"][0];
    Ok(candidate["entry"] == json!(entry.id) && candidate["probability"].as_f64().is_some())
}

const VERBS: [(&str, &str); 25] = [
    ("cancel", "取消"),
    ("renew", "续期"),
    ("transfer", "转让"),
    ("activate", "激活"),
    ("block", "冻结"),
    ("replace", "更换"),
    ("upgrade", "升级"),
    ("return", "退回"),
    ("pay for", "支付"),
    ("track", "跟踪"),
    ("rename", "改名"),
    ("share", "共享"),
    ("export", "导出"),
    ("verify", "验证"),
    ("repair", "维修"),
    ("insure", "投保"),
    ("pause", "暂停"),
    ("print", "打印"),
    ("reserve", "预订"),
    ("archive", "归档"),
    ("translate", "翻译"),
    ("connect", "连接"),
    ("measure", "测量"),
    ("deliver", "寄送"),
    ("lock", "锁定"),
];

const THINGS: [(&str, &str); 20] = [
    ("credit card", "信用卡"),
    ("parcel", "包裹"),
    ("subscription", "订阅"),
    ("invoice", "发票"),
    ("account", "账户"),
    ("phone number", "手机号"),
    ("ticket", "车票"),
    ("router", "路由器"),
    ("gift card", "礼品卡"),
    ("passport", "护照"),
    ("loan", "贷款"),
    ("password", "密码"),
    ("washing machine", "洗衣机"),
    ("hotel room", "酒店房间"),
    ("warranty", "保修"),
    ("bicycle", "自行车"),
    ("newsletter", "邮件通讯"),
    ("medical record", "病历"),
    ("membership", "会员"),
    ("photo album", "相册"),
];

const CASES: [(&str, &str); 20] = [
    ("from abroad", "在国外"),
    ("without the app", "没有应用程序"),
    ("for my daughter", "替我女儿"),
    ("after the deadline", "过了截止日期"),
    ("on a public holiday", "在节假日"),
    ("with an expired address", "地址已失效"),
    ("in another currency", "用其他货币"),
    ("over the telephone", "通过电话"),
    ("as a company", "以公司名义"),
    ("before delivery", "在发货之前"),
    ("after a divorce", "离婚之后"),
    ("during the trial", "在试用期间"),
    ("with a disability", "身有残疾"),
    ("without a receipt", "没有收据"),
    ("in an emergency", "紧急情况下"),
    ("for several people", "给好几个人"),
    ("free of charge", "免费"),
    ("at the airport", "在机场"),
    ("by post", "通过邮寄"),
    ("for a whole year", "整整一年"),
];

/// Numbers next to each other differ in everything.
fn parts(number: usize) -> [(&'static str, &'static str); 3] {
    let verb = number % 25;
    [VERBS[verb], THINGS[(number / 25 + verb) % 20], CASES[(number / 500 + number / 25 + verb) % 20]]
}

fn entry(number: usize) -> EntryText {
    let [verb, thing, case] = parts(number);
    let (question, answer) = if number.is_multiple_of(2) {
        let question = format!("How do I {} my {} {}?", verb.0, thing.0, case.0);
        (question, format!("Open the page of your {}, choose '{}', and say that it is {}.", thing.0, verb.0, case.0))
    } else {
        (
            format!("{}怎么{}我的{}？", case.1, verb.1, thing.1),
            format!("请打开{}页面，选择“{}”，并说明是{}。", thing.1, verb.1, case.1),
        )
    };
    EntryText {
        id: format!("entry-{number}"),
        entry_version: 1,
        // Beyond the lists' combinations the number tells them apart.
        question: if number < 10_000 { question } else { format!("{question} [{number}]") },
        similar: Vec::new(),
        answer,
        language: None,
    }
}

/// A question that an entry answers, in other words.
fn asked(number: usize) -> String {
    let [verb, thing, case] = parts(number);
    if number.is_multiple_of(2) {
        format!("I want to {} a {} {}, what now? ({number})", verb.0, thing.0, case.0)
    } else {
        format!("{}，想{}{}，该如何办理？（{number}）", case.1, verb.1, thing.1)
    }
}
