//! The arithmetic of the encoder that is no matrix product: loops over slices that the compiler turns into vector
//! instructions. [`pulp`] chooses at run time what the processor has; without it the compiler may assume SSE2 only.

use pulp::Arch;

/// Runs `work` compiled for the widest vectors of this processor. What `work` calls must be `#[inline(always)]`, or it is
/// compiled for the oldest one.
#[inline]
pub(super) fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    Arch::new().dispatch(work)
}

/// `x[row] += bias` for all rows.
#[inline(always)]
pub(super) fn add_bias(x: &mut [f32], bias: &[f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

/// `x[row] = gelu(x[row] + bias)` for all rows, the exact form `v / 2 · (1 + erf(v / √2))`.
#[inline(always)]
pub(super) fn add_bias_gelu(x: &mut [f32], bias: &[f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            let v = *value + bias;
            *value = 0.5 * v * (1.0 + erf(v * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The error function, to 3·10⁻⁷. A rational function on [-4, 4], beyond which `f32` cannot tell it from ±1; the
/// coefficients are those of Eigen's `erf` for `float` (Eigen 3.4, `generic_fast_erf_float`).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let x2 = x * x;
    let p = -2.726_142_3e-10;
    let p = x2 * p + 2.770_681_4e-8;
    let p = x2 * p + -2.101_024e-6;
    let p = x2 * p + -5.692_506_4e-5;
    let p = x2 * p + -7.349_906_3e-4;
    let p = x2 * p + -2.954_599_8e-3;
    let p = x2 * p + -1.609_603_3e-2;
    let q = -1.456_607_2e-5;
    let q = x2 * q + -2.133_740_6e-4;
    let q = x2 * q + -1.682_827e-3;
    let q = x2 * q + -7.373_329e-3;
    let q = x2 * q + -1.426_473_9e-2;
    x * p / q
}

/// `e^x` for `x ≤ 0`, to about 2·10⁻⁷ of its value; 0 below -87, where `f32` ends. Cephes' `expf`: 2^n · e^r with
/// |r| ≤ ln 2 / 2, the logarithm of 2 taken off in two parts so that r keeps its digits.
#[inline(always)]
fn exp_not_positive(x: f32) -> f32 {
    let clamped = x.max(-87.0);
    // Adding and subtracting 1.5 · 2²³ rounds to the nearest integer.
    let n = (clamped * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = clamped - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 0.166_666_66;
    let p = p * r + 0.5;
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    if x < -87.0 { 0.0 } else { (p * r * r + r + 1.0) * power }
}

/// Adds up in eight lanes, since the order of a plain sum forbids vectors.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let chunks = values.chunks_exact(16);
    let rest: f32 = chunks.remainder().iter().map(|value| of(*value)).sum();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// `x[row] = normalised(x[row] + y[row]) · weight + bias`, mean 0 and variance 1 within each row.
#[inline(always)]
pub(super) fn add_layer_norm(x: &mut [f32], y: Option<&[f32]>, weight: &[f32], bias: &[f32], epsilon: f32) {
    let width = weight.len();
    for (at, row) in x.chunks_exact_mut(width).enumerate() {
        if let Some(y) = y {
            for (value, y) in row.iter_mut().zip(&y[at * width..]) {
                *value += y;
            }
        }
        let mean = sum(row, |value| value) / width as f32;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / width as f32;
        let scale = 1.0 / (variance + epsilon).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
}

/// Attention of one text: `qkv` holds query, key and value of each token side by side (`3 · width` per row), `context` gets
/// `width` per row. `scratch` is reused between calls.
#[inline(always)]
pub(super) fn attention(qkv: &[f32], context: &mut [f32], heads: usize, width: usize, scratch: &mut Vec<f32>) {
    let (tokens, size) = (qkv.len() / (3 * width), width / heads);
    let scale = 1.0 / (size as f32).sqrt();
    scratch.clear();
    scratch.resize(size * tokens + tokens, 0.0);
    let (keys, scores) = scratch.split_at_mut(size * tokens);
    for head in 0..heads {
        // Keys transposed, so that the products with one query run over tokens that lie side by side.
        for (token, row) in qkv.chunks_exact(3 * width).enumerate() {
            for (i, key) in row[width + head * size..][..size].iter().enumerate() {
                keys[i * tokens + token] = *key;
            }
        }
        for token in 0..tokens {
            let query = &qkv[token * 3 * width + head * size..][..size];
            scores.fill(0.0);
            for (query, keys) in query.iter().zip(keys.chunks_exact(tokens)) {
                let query = query * scale;
                for (score, key) in scores.iter_mut().zip(keys) {
                    *score += query * key;
                }
            }
            let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for score in scores.iter_mut() {
                *score = exp_not_positive(*score - highest);
            }
            let total = sum(scores, |score| score);
            let context = &mut context[token * width + head * size..][..size];
            context.fill(0.0);
            for (score, row) in scores.iter().zip(qkv.chunks_exact(3 * width)) {
                let part = score / total;
                for (context, value) in context.iter_mut().zip(&row[2 * width + head * size..][..size]) {
                    *context += part * value;
                }
            }
        }
    }
}

/// The mean of the rows of `x`.
#[inline(always)]
pub(super) fn mean_row(x: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    for row in x.chunks_exact(width) {
        for (mean, value) in mean.iter_mut().zip(row) {
            *mean += value;
        }
    }
    let rows = (x.len() / width).max(1) as f32;
    mean.iter_mut().for_each(|value| *value /= rows);
    mean
}

/// Scales `x` to length 1. Nothing happens to a vector without a direction.
#[inline(always)]
pub(super) fn normalise(x: &mut [f32]) {
    let length = sum(x, |value| value * value).sqrt();
    if length > 0.0 {
        x.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_function_is_that_of_the_standard_library() {
        for step in 0..=90_000 {
            let x = -(step as f32) / 1000.0;
            let (ours, exact) = (f64::from(exp_not_positive(x)), f64::from(x).exp());
            assert!((ours - exact).abs() <= 3e-7 * exact + 2e-38, "e^{x}: {ours} for {exact}");
        }
        assert_eq!(exp_not_positive(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn gelu_is_that_of_candle() {
        use candle_core::{Device, Tensor};
        let xs: Vec<f32> = (-8000..=8000).map(|step| step as f32 / 1000.0).collect();
        let exact =
            Tensor::new(xs.as_slice(), &Device::Cpu).and_then(|x| x.gelu_erf()).and_then(|x| x.to_vec1::<f32>());
        let mut ours = xs.clone();
        vectorised(|| add_bias_gelu(&mut ours, &[0.0]));
        for ((x, ours), exact) in xs.iter().zip(ours).zip(exact.expect("candle computes")) {
            assert!((ours - exact).abs() <= 3e-6 + 1e-6 * exact.abs(), "gelu({x}): {ours} for {exact}");
        }
    }

    #[test]
    fn attention_of_one_token_is_its_value() {
        let mut context = [0.0; 4];
        let qkv = [1.0, -2.0, 3.0, 4.0, 0.5, 0.5, 0.5, 0.5, 9.0, 8.0, 7.0, 6.0];
        attention(&qkv, &mut context, 2, 4, &mut Vec::new());
        assert_eq!(context, [9.0, 8.0, 7.0, 6.0]);
    }

    #[test]
    fn a_vector_is_scaled_to_length_one_and_nothing_stays_nothing() {
        let (mut x, mut nothing) = ([3.0, 4.0], [0.0, 0.0]);
        normalise(&mut x);
        normalise(&mut nothing);
        assert_eq!((x, nothing), ([0.6, 0.8], [0.0, 0.0]));
    }
}
