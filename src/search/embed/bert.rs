//! The forward pass of a BERT encoder: token numbers in, one vector per text out.
//!
//! Texts are not padded: all tokens of a batch stand one below the other, matrix products run over all of them at once,
//! and attention runs over each text's own rows. So a batch costs what its tokens cost, each weight is read once per batch
//! instead of once per text, and a text's vector does not depend on its neighbours beyond rounding.

use super::{EmbedError, math, q4};
use candle_core::{CpuStorage, Layout, backend::BackendStorage};

/// Sizes of an encoder, as `config.json` has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Numbers per token.
    pub width: usize,
    /// Attention heads per layer.
    pub heads: usize,
    /// Numbers per token inside of a layer's second half.
    pub inner_width: usize,
    /// Layers.
    pub layers: usize,
    /// Rows of the table of positions: no text may have more tokens.
    pub positions: usize,
    /// Rows of the table of words.
    pub words: usize,
    /// Added to the variance in each normalisation.
    pub epsilon: f32,
}

/// How one vector is made of those of the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The mean over all tokens.
    Mean,
    /// The first token's.
    First,
}

/// The table of words, by far the largest part of a model for many languages.
pub(super) enum Words {
    /// Row after row.
    Floats(Vec<f32>),
    /// Row after row in 4 bits; rows are unpacked when they are looked up.
    Q4(Vec<u8>),
}

/// `x · weight + bias`.
pub(super) struct Linear {
    /// `[in, out]`.
    weight: CpuStorage,
    inputs: usize,
    bias: Vec<f32>,
}

/// Scale and shift of a normalisation.
pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// One layer.
pub(super) struct Layer {
    /// Query, key and value side by side: one product instead of three.
    pub qkv: Linear,
    pub attention_output: Linear,
    pub attention_norm: Norm,
    pub inner: Linear,
    pub output: Linear,
    pub output_norm: Norm,
}

/// An encoder with its weights.
pub(super) struct Bert {
    pub shape: Shape,
    pub pooling: Pooling,
    pub words: Words,
    /// Row after row, the row of the only token type added already.
    pub positions: Vec<f32>,
    pub embedding_norm: Norm,
    pub layers: Vec<Layer>,
}

impl Linear {
    /// Of a weight as files have it, `[out, in]`.
    pub(super) fn new(weight: Vec<f32>, inputs: usize, bias: Vec<f32>) -> Result<Self, EmbedError> {
        let outputs = bias.len();
        if weight.len() != inputs * outputs {
            return Err(EmbedError::Model(format!("a weight has {} numbers, not {inputs} × {outputs}", weight.len())));
        }
        let mut transposed = vec![0.0; weight.len()];
        for (output, row) in weight.chunks_exact(inputs).enumerate() {
            for (input, value) in row.iter().enumerate() {
                transposed[input * outputs + output] = *value;
            }
        }
        Ok(Self { weight: CpuStorage::F32(transposed), inputs, bias })
    }

    /// The product of rows without the bias, which callers add in a loop that they need anyway. Storage instead of tensors:
    /// their numbers can be taken out again without a copy, and `rows` comes back as it was.
    fn product(&self, rows: &mut Vec<f32>) -> Result<Vec<f32>, EmbedError> {
        let outputs = self.bias.len();
        let count = rows.len() / self.inputs;
        let left = CpuStorage::F32(std::mem::take(rows));
        let (left_layout, right_layout) =
            (Layout::contiguous((count, self.inputs)), Layout::contiguous((self.inputs, outputs)));
        let product = left.matmul(&self.weight, (1, count, outputs, self.inputs), &left_layout, &right_layout);
        let (CpuStorage::F32(left), CpuStorage::F32(product)) = (left, product?) else {
            return Err(EmbedError::Model("a product of f32 is none of f32".to_owned()));
        };
        *rows = left;
        Ok(product)
    }
}

impl Bert {
    /// One vector of length 1 per text. `texts` are token numbers with the special ones, at most `shape.positions` each
    /// and at least one; numbers beyond the table of words are an error.
    pub(super) fn vectors(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (width, epsilon) = (self.shape.width, self.shape.epsilon);
        let mut x = self.embedded(texts)?;
        let mut scratch = Vec::new();
        for layer in &self.layers {
            let mut qkv = layer.qkv.product(&mut x)?;
            let mut context = vec![0.0; x.len()];
            math::vectorised(
                #[inline(always)]
                || {
                    math::add_bias(&mut qkv, &layer.qkv.bias);
                    let mut from = 0;
                    for text in texts {
                        let to = from + text.len();
                        let (qkv, context) =
                            (&qkv[from * 3 * width..to * 3 * width], &mut context[from * width..to * width]);
                        math::attention(qkv, context, self.shape.heads, width, &mut scratch);
                        from = to;
                    }
                },
            );
            let mut y = layer.attention_output.product(&mut context)?;
            let norm = &layer.attention_norm;
            math::vectorised(
                #[inline(always)]
                || {
                    math::add_bias(&mut y, &layer.attention_output.bias);
                    math::add_layer_norm(&mut x, Some(&y), &norm.weight, &norm.bias, epsilon);
                },
            );
            let mut inner = layer.inner.product(&mut x)?;
            math::vectorised(
                #[inline(always)]
                || math::add_bias_gelu(&mut inner, &layer.inner.bias),
            );
            let mut y = layer.output.product(&mut inner)?;
            let norm = &layer.output_norm;
            math::vectorised(
                #[inline(always)]
                || {
                    math::add_bias(&mut y, &layer.output.bias);
                    math::add_layer_norm(&mut x, Some(&y), &norm.weight, &norm.bias, epsilon);
                },
            );
        }
        let mut from = 0;
        let pooled = texts.iter().map(|text| {
            let rows = &x[from * width..(from + text.len()) * width];
            from += text.len();
            let mut vector = match self.pooling {
                Pooling::Mean => math::mean_row(rows, width),
                Pooling::First => rows[..width].to_vec(),
            };
            math::normalise(&mut vector);
            vector
        });
        Ok(pooled.collect())
    }

    /// Word and position of each token, normalised: a row per token.
    fn embedded(&self, texts: &[&[u32]]) -> Result<Vec<f32>, EmbedError> {
        let width = self.shape.width;
        let mut x = vec![0.0; texts.iter().map(|text| text.len()).sum::<usize>() * width];
        let tokens = texts.iter().flat_map(|text| text.iter().enumerate());
        for (row, (position, token)) in x.chunks_exact_mut(width).zip(tokens) {
            let token = *token as usize;
            if token >= self.shape.words || position >= self.shape.positions {
                return Err(EmbedError::Model(format!(
                    "token {token} at position {position} is beyond the model's tables"
                )));
            }
            match &self.words {
                Words::Floats(table) => row.copy_from_slice(&table[token * width..(token + 1) * width]),
                Words::Q4(table) => {
                    let size = q4::bytes_of(width);
                    q4::unpack(&table[token * size..(token + 1) * size], row);
                }
            }
            for (value, add) in row.iter_mut().zip(&self.positions[position * width..]) {
                *value += add;
            }
        }
        let norm = &self.embedding_norm;
        math::vectorised(
            #[inline(always)]
            || math::add_layer_norm(&mut x, None, &norm.weight, &norm.bias, self.shape.epsilon),
        );
        Ok(x)
    }
}
