//! Reads multilingual-e5-small in 4 bits from the one file that holds weights and tokenizer (`e5-small-q4.bin`).
//!
//! All numbers are little-endian, nothing is aligned:
//!
//! | part | contents |
//! |---|---|
//! | head | `E5S1`, version; width, layers, heads, inner width, words, positions, token types: `i32`; epsilon `f32`; block size `i32` (32) |
//! | tokenizer | pieces, first, last, padding, unknown: `i32`; bytes of text `u64`; `pieces + 1` offsets `u32`; scores `f32`; text |
//! | normalisation | entries `i32`, bytes `u32`; each entry: character `u32`, count `u8`, as many characters `u32` |
//! | directory | entries `i32`; each: length of name `u16`, name, type `u8`, numbers `u32`, offset in the file `u64`, bytes `u64` |
//! | tensors | `f32`, or blocks of [`q4`] |
//!
//! Every length comes from the file and is checked before it is used: a truncated or foreign file is an error.

use super::{
    EmbedError,
    bert::{Bert, Layer, Linear, Norm, Pooling, Shape, Words},
    q4,
    unigram::{Pieces, Unigram},
};
use std::collections::BTreeMap;

/// Its name.
pub(super) const FILE: &str = "e5-small-q4.bin";

/// First bytes of such a file.
const MAGIC: &[u8] = b"E5S1";

/// Type of a tensor of plain numbers in the directory.
const FLOATS: u8 = 0;

/// Reads the encoder and its tokenizer. `file` is its whole content.
pub(super) fn read(file: &[u8]) -> Result<(Bert, Unigram), EmbedError> {
    let mut reader = Reader { file, at: 0 };
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(wrong("it does not start with E5S1"));
    }
    reader.u32()?;
    let mut size = || reader.size();
    let (width, layers, heads, inner_width, words, positions, _types) =
        (size()?, size()?, size()?, size()?, size()?, size()?, size()?);
    let shape = Shape { width, heads, inner_width, layers, positions, words, epsilon: reader.f32()? };
    let divisible = heads > 0 && width % heads == 0 && width % q4::BLOCK == 0 && inner_width % q4::BLOCK == 0;
    if !divisible || reader.size()? != q4::BLOCK {
        return Err(wrong("its sizes are none of such a model"));
    }
    let tokenizer = tokenizer(&mut reader, positions)?;
    let tensors = directory(&mut reader)?;
    Ok((bert(&tensors, shape)?, tokenizer))
}

fn wrong(what: &str) -> EmbedError {
    EmbedError::Model(format!("e5-small-q4.bin: {what}"))
}

/// A place in the file.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], EmbedError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.file.len());
        let end = end.ok_or_else(|| wrong("it is truncated"))?;
        let bytes = &self.file[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EmbedError> {
        self.bytes(N)?.try_into().map_err(|_| wrong("it is truncated"))
    }

    fn u32(&mut self) -> Result<u32, EmbedError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<usize, EmbedError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| wrong("a length is out of range"))
    }

    fn f32(&mut self) -> Result<f32, EmbedError> {
        self.array().map(f32::from_le_bytes)
    }

    /// A count or number that is written with a sign and has none.
    fn size(&mut self) -> Result<usize, EmbedError> {
        usize::try_from(i32::from_le_bytes(self.array()?)).map_err(|_| wrong("a count is negative"))
    }

    fn u32s(&mut self, count: usize) -> Result<Vec<u32>, EmbedError> {
        let bytes = self.bytes(count.checked_mul(4).ok_or_else(|| wrong("a length is out of range"))?)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect())
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn tokenizer(reader: &mut Reader<'_>, positions: usize) -> Result<Unigram, EmbedError> {
    let count = reader.size()?;
    let mut token = || reader.size().and_then(|id| u32::try_from(id).map_err(|_| wrong("a token is out of range")));
    let (first, last, _padding, unknown) = (token()?, token()?, token()?, token()?);
    let text_bytes = reader.u64()?;
    let offsets = reader.u32s(count + 1)?;
    let scores = floats(reader.bytes(count * 4)?);
    let text = reader.bytes(text_bytes)?;
    let pieces =
        Pieces::new(text.to_vec(), offsets, scores, unknown).ok_or_else(|| wrong("its pieces are not in order"))?;

    let entries = reader.size()?;
    let map_bytes = reader.u32()? as usize;
    let mut map = Reader { file: reader.bytes(map_bytes)?, at: 0 };
    let mut replacements = BTreeMap::new();
    for _ in 0..entries {
        let from = character(map.u32()?)?;
        let [count] = map.array()?;
        let to = map.u32s(usize::from(count))?.into_iter().map(character).collect::<Result<String, _>>()?;
        replacements.insert(from, to);
    }
    Ok(Unigram::new(pieces, replacements, first, last, positions))
}

fn character(code: u32) -> Result<char, EmbedError> {
    char::from_u32(code).ok_or_else(|| wrong("its normalisation names what is no character"))
}

/// Bytes of each tensor with its type and how many numbers it holds.
type Tensors<'a> = BTreeMap<&'a str, (u8, usize, &'a [u8])>;

fn directory<'a>(reader: &mut Reader<'a>) -> Result<Tensors<'a>, EmbedError> {
    let mut tensors = Tensors::new();
    for _ in 0..reader.size()? {
        let length = usize::from(u16::from_le_bytes(reader.array()?));
        let name = std::str::from_utf8(reader.bytes(length)?).map_err(|_| wrong("a name is no text"))?;
        let [kind] = reader.array()?;
        let (numbers, at, bytes) = (reader.u32()? as usize, reader.u64()?, reader.u64()?);
        let bytes = Reader { file: reader.file, at: at.min(reader.file.len()) }.bytes(bytes)?;
        tensors.insert(name, (kind, numbers, bytes));
    }
    Ok(tensors)
}

fn bert(tensors: &Tensors<'_>, shape: Shape) -> Result<Bert, EmbedError> {
    let find = |name: &str, floats: bool, numbers: usize| {
        let (kind, _, bytes) = tensors.get(name).ok_or_else(|| wrong(&format!("it has no {name}")))?;
        let expected = if floats { numbers * 4 } else { q4::bytes_of(numbers) };
        if (*kind == FLOATS) != floats || bytes.len() != expected {
            return Err(wrong(&format!("{name} has {} bytes instead of {expected}", bytes.len())));
        }
        Ok(*bytes)
    };
    let plain = |name: String, numbers: usize| find(&name, true, numbers).map(floats);
    let packed = |name: String, numbers: usize| {
        let mut unpacked = vec![0.0; numbers];
        q4::unpack(find(&name, false, numbers)?, &mut unpacked);
        Ok::<_, EmbedError>(unpacked)
    };
    let width = shape.width;
    let linear = |names: &[&str], layer: usize, outputs: usize, inputs: usize| {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(packed(format!("l{layer}.{name}.w"), outputs * inputs)?);
            bias.extend(plain(format!("l{layer}.{name}.b"), outputs)?);
        }
        Linear::new(weight, inputs, bias)
    };
    let norm = |name: String| {
        Ok::<_, EmbedError>(Norm {
            weight: plain(format!("{name}.w"), width)?,
            bias: plain(format!("{name}.b"), width)?,
        })
    };
    let layers = (0..shape.layers).map(|layer| {
        Ok(Layer {
            qkv: linear(&["q", "k", "v"], layer, width, width)?,
            attention_output: linear(&["ao"], layer, width, width)?,
            attention_norm: norm(format!("l{layer}.aln"))?,
            inner: linear(&["fi"], layer, shape.inner_width, width)?,
            output: linear(&["fo"], layer, width, shape.inner_width)?,
            output_norm: norm(format!("l{layer}.oln"))?,
        })
    });
    let layers = layers.collect::<Result<_, EmbedError>>()?;
    let mut positions = plain("emb.pos".to_owned(), shape.positions * width)?;
    let token_type = tensors.get("emb.type").map(|(_, _, bytes)| floats(bytes)).filter(|row| row.len() >= width);
    let token_type = token_type.ok_or_else(|| wrong("it has no emb.type"))?;
    for row in positions.chunks_exact_mut(width) {
        row.iter_mut().zip(&token_type).for_each(|(value, add)| *value += add);
    }
    Ok(Bert {
        shape,
        pooling: Pooling::Mean,
        words: Words::Q4(find("emb.word", false, shape.words * width)?.to_vec()),
        positions,
        embedding_norm: norm("emb.ln".to_owned())?,
        layers,
    })
}
