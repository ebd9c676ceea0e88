//! Reads a BERT encoder from a folder as sentence-transformers writes it:
//!
//! | file | used for |
//! |---|---|
//! | `model.safetensors` | weights, `f32`, `f16` or `bf16` |
//! | `tokenizer.json` | the tokenizer |
//! | `config.json` | sizes; `model_type` must be `bert` |
//! | `1_Pooling/config.json`, if there | mean of the tokens (else this, too) or the first one's vector |
//! | `sentence_bert_config.json`, if there | `max_seq_length`; else as many tokens as there are positions |
//! | `config_sentence_transformers.json`, if there | `prompts`: `query` and `passage` or `document`, put before texts |

use super::{
    EmbedError,
    bert::{Bert, Layer, Linear, Norm, Pooling, Shape, Words},
    files::Files,
    local::{Prefixes, Tokens},
};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, de::DeserializeOwned};
use std::collections::HashMap;
use tokenizers::{Tokenizer, TruncationParams};

const WEIGHTS: &str = "model.safetensors";
const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "config.json";
const POOLING: &str = "1_Pooling/config.json";
const LENGTH: &str = "sentence_bert_config.json";
const PROMPTS: &str = "config_sentence_transformers.json";

/// All that are read.
pub(super) const FILES: [&str; 6] = [WEIGHTS, TOKENIZER, CONFIG, POOLING, LENGTH, PROMPTS];

#[derive(Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_attention_heads: usize,
    num_hidden_layers: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    vocab_size: usize,
    #[serde(default = "Config::usual_epsilon")]
    layer_norm_eps: f32,
    #[serde(default = "Config::usual_activation")]
    hidden_act: String,
    #[serde(default = "Config::usual_positions")]
    position_embedding_type: String,
}

impl Config {
    fn usual_epsilon() -> f32 {
        1e-12
    }

    fn usual_activation() -> String {
        "gelu".to_owned()
    }

    fn usual_positions() -> String {
        "absolute".to_owned()
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PoolingConfig {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
}

#[derive(Deserialize, Default)]
struct LengthConfig {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize, Default)]
struct PromptsConfig {
    #[serde(default)]
    prompts: HashMap<String, String>,
}

/// The encoder of a folder, its tokenizer and its prefixes.
pub(super) fn read(files: &Files) -> Result<(Bert, Tokens, Prefixes), EmbedError> {
    let config: Config = json(files, CONFIG)?;
    let known =
        config.model_type == "bert" && config.hidden_act == "gelu" && config.position_embedding_type == "absolute";
    if !known || config.num_attention_heads == 0 || config.hidden_size % config.num_attention_heads != 0 {
        return Err(EmbedError::Model(format!(
            "{}: only BERT encoders with gelu and absolute positions can be used, this is a {} with {} and {} positions",
            files.path(CONFIG).display(),
            config.model_type,
            config.hidden_act,
            config.position_embedding_type
        )));
    }
    let pooling = match optional::<PoolingConfig>(files, POOLING)? {
        Some(PoolingConfig { pooling_mode_cls_token: true, .. }) => Pooling::First,
        None | Some(PoolingConfig { pooling_mode_mean_tokens: true, .. }) => Pooling::Mean,
        Some(_) => {
            let path = files.path(POOLING);
            return Err(EmbedError::Model(format!("{}: only mean and first token are known", path.display())));
        }
    };
    let length = optional::<LengthConfig>(files, LENGTH)?.and_then(|config| config.max_seq_length);
    let max_tokens = length.unwrap_or(usize::MAX).min(config.max_position_embeddings);
    let mut prompts = optional::<PromptsConfig>(files, PROMPTS)?.unwrap_or_default().prompts;
    let mut prompt = |names: &[&str]| names.iter().find_map(|name| prompts.remove(*name)).unwrap_or_default();
    let prefixes = Prefixes { question: prompt(&["query"]), passage: prompt(&["passage", "document"]) };

    let shape = Shape {
        width: config.hidden_size,
        heads: config.num_attention_heads,
        inner_width: config.intermediate_size,
        layers: config.num_hidden_layers,
        positions: config.max_position_embeddings,
        words: config.vocab_size,
        epsilon: config.layer_norm_eps,
    };
    Ok((bert(files, shape, pooling)?, tokenizer(files, max_tokens)?, prefixes))
}

fn json<T: DeserializeOwned>(files: &Files, name: &str) -> Result<T, EmbedError> {
    let wrong = |error| EmbedError::Model(format!("{}: {error}", files.path(name).display()));
    serde_json::from_slice(files.need(name)?).map_err(wrong)
}

fn optional<T: DeserializeOwned>(files: &Files, name: &str) -> Result<Option<T>, EmbedError> {
    files.find(name).map(|_| json(files, name)).transpose()
}

fn tokenizer(files: &Files, max_tokens: usize) -> Result<Tokens, EmbedError> {
    let path = files.path(TOKENIZER);
    let wrong = |error: tokenizers::Error| EmbedError::Model(format!("{}: {error}", path.display()));
    let mut tokenizer = Tokenizer::from_bytes(files.need(TOKENIZER)?).map_err(wrong)?;
    // Files come with settings of some use of theirs, such as padding to 128 tokens.
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(Some(TruncationParams { max_length: max_tokens, ..TruncationParams::default() }))
        .map_err(wrong)?;
    Ok(Tokens::Library { tokenizer: Box::new(tokenizer), max_tokens })
}

fn bert(files: &Files, shape: Shape, pooling: Pooling) -> Result<Bert, EmbedError> {
    let path = files.path(WEIGHTS);
    let wrong = |what: String| EmbedError::Model(format!("{}: {what}", path.display()));
    let tensors = candle_core::safetensors::load_buffer(files.need(WEIGHTS)?, &Device::Cpu);
    let tensors = tensors.map_err(|error| wrong(error.to_string()))?;
    let find = |name: &str, dims: &[usize]| {
        // Some files name everything `bert.…`.
        let found: Option<&Tensor> = tensors.get(name).or_else(|| tensors.get(&format!("bert.{name}")));
        let tensor = found.ok_or_else(|| wrong(format!("it has no {name}")))?;
        if tensor.dims() != dims {
            return Err(wrong(format!("{name} is {:?}, where config.json says {dims:?}", tensor.dims())));
        }
        Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?)
    };
    let width = shape.width;
    let norm = |name: String| {
        Ok::<_, EmbedError>(Norm {
            weight: find(&format!("{name}.weight"), &[width])?,
            bias: find(&format!("{name}.bias"), &[width])?,
        })
    };
    let linear = |layer: usize, names: &[&str], outputs: usize, inputs: usize| {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(find(&format!("encoder.layer.{layer}.{name}.weight"), &[outputs, inputs])?);
            bias.extend(find(&format!("encoder.layer.{layer}.{name}.bias"), &[outputs])?);
        }
        Linear::new(weight, inputs, bias)
    };
    let layers = (0..shape.layers).map(|layer| {
        let qkv = ["attention.self.query", "attention.self.key", "attention.self.value"];
        Ok(Layer {
            qkv: linear(layer, &qkv, width, width)?,
            attention_output: linear(layer, &["attention.output.dense"], width, width)?,
            attention_norm: norm(format!("encoder.layer.{layer}.attention.output.LayerNorm"))?,
            inner: linear(layer, &["intermediate.dense"], shape.inner_width, width)?,
            output: linear(layer, &["output.dense"], width, shape.inner_width)?,
            output_norm: norm(format!("encoder.layer.{layer}.output.LayerNorm"))?,
        })
    });
    let layers = layers.collect::<Result<_, EmbedError>>()?;
    let mut positions = find("embeddings.position_embeddings.weight", &[shape.positions, width])?;
    let types = tensors.get("embeddings.token_type_embeddings.weight");
    let types = types.or_else(|| tensors.get("bert.embeddings.token_type_embeddings.weight"));
    if let Some(types) = types {
        let first = types.to_dtype(DType::F32)?.get(0)?.to_vec1::<f32>()?;
        if first.len() != width {
            return Err(wrong(format!("its token types have {} numbers instead of {width}", first.len())));
        }
        for row in positions.chunks_exact_mut(width) {
            row.iter_mut().zip(&first).for_each(|(value, add)| *value += add);
        }
    }
    Ok(Bert {
        shape,
        pooling,
        words: Words::Floats(find("embeddings.word_embeddings.weight", &[shape.words, width])?),
        positions,
        embedding_norm: norm("embeddings.LayerNorm".to_owned())?,
        layers,
    })
}
