//! The tokenizer of XLM-RoBERTa and of models made from it: SentencePiece's Unigram with its normalisation.
//!
//! The crate `tokenizers` has one, but its prefix tree of 250,002 pieces, a hash map per node, took UNIGRAM_MEMORY of memory and
//! UNIGRAM_TIME to build at each start. Here the pieces stay in the bytes of the file behind one hash table.

use hashbrown::HashTable;
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;

/// What SentencePiece puts in the place of a space.
const SPACE: char = '\u{2581}';

/// How much less than the least likely piece an unknown character counts (`kUnkPenalty` of SentencePiece).
const UNKNOWN_PENALTY: f32 = 10.0;

/// No token is longer than this many characters of text on average, spaces aside: what is beyond it times the most tokens
/// a model takes is not even looked at, so that a text of 100 kB costs no more than one that just fits.
const MAX_CHARS_PER_TOKEN: usize = 16;

/// The vocabulary.
pub(super) struct Pieces {
    /// All pieces one after the other.
    text: Vec<u8>,
    /// Where each begins; one more than there are pieces.
    offsets: Vec<u32>,
    /// Logarithm of each one's probability.
    scores: Vec<f32>,
    /// Numbers of pieces, by their bytes.
    table: HashTable<u32>,
    unknown: u32,
    unknown_score: f32,
    longest: usize,
}

/// Tokenizer of one model.
pub(super) struct Unigram {
    pieces: Pieces,
    replacements: BTreeMap<char, String>,
    first: u32,
    last: u32,
    max_tokens: usize,
}

/// FNV-1a, because it can be taken further byte by byte: all beginnings of a text are hashed in one pass.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const NEW: Self = Self(0xcbf2_9ce4_8422_2325);

    fn and(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }

    fn of(bytes: &[u8]) -> Self {
        bytes.iter().fold(Self::NEW, |hash, byte| hash.and(*byte))
    }

    /// The table takes its control bits from the top, where FNV mixes little.
    fn finish(self) -> u64 {
        (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }
}

impl Pieces {
    /// Nothing, if offsets and scores do not fit the text.
    pub(super) fn new(text: Vec<u8>, offsets: Vec<u32>, scores: Vec<f32>, unknown: u32) -> Option<Self> {
        let fits = offsets.len() == scores.len() + 1
            && offsets.is_sorted()
            && offsets.last().is_some_and(|end| *end as usize <= text.len())
            && (unknown as usize) < scores.len();
        if !fits {
            return None;
        }
        let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        let mut pieces = Self {
            text,
            offsets,
            scores,
            table: HashTable::new(),
            unknown,
            unknown_score: lowest - UNKNOWN_PENALTY,
            longest: 0,
        };
        let mut table = HashTable::with_capacity(pieces.scores.len());
        for id in 0..pieces.scores.len() as u32 {
            let bytes = pieces.bytes(id);
            // Control tokens such as </s> have the score 0. They stand for no text: whoever writes "</s>" in a message
            // means four characters.
            if !bytes.is_empty() && pieces.scores[id as usize] < 0.0 {
                pieces.longest = pieces.longest.max(bytes.len());
                let bytes = pieces.bytes(id);
                table.insert_unique(Fnv::of(bytes).finish(), id, |other| Fnv::of(pieces.bytes(*other)).finish());
            }
        }
        pieces.table = table;
        Some(pieces)
    }

    fn bytes(&self, id: u32) -> &[u8] {
        &self.text[self.offsets[id as usize] as usize..self.offsets[id as usize + 1] as usize]
    }

    /// The most likely way to put `text` together from pieces (Viterbi).
    fn split(&self, text: &str) -> Vec<u32> {
        /// The best way to a place: how likely, its last piece, and where that begins.
        #[derive(Clone, Copy)]
        struct Way {
            score: f32,
            piece: u32,
            from: usize,
        }
        let bytes = text.as_bytes();
        let mut ways = vec![Way { score: f32::NEG_INFINITY, piece: self.unknown, from: 0 }; bytes.len() + 1];
        ways[0].score = 0.0;
        for (from, character) in text.char_indices() {
            let score = ways[from].score;
            let mut reach = |to: usize, piece: u32, add: f32| {
                if score + add > ways[to].score {
                    ways[to] = Way { score: score + add, piece, from };
                }
            };
            let mut hash = Fnv::NEW;
            for (at, byte) in bytes.iter().enumerate().skip(from).take(self.longest) {
                hash = hash.and(*byte);
                let to = at + 1;
                if text.is_char_boundary(to)
                    && let Some(piece) = self.table.find(hash.finish(), |id| self.bytes(*id) == &bytes[from..to])
                {
                    reach(to, *piece, self.scores[*piece as usize]);
                }
            }
            reach(from + character.len_utf8(), self.unknown, self.unknown_score);
        }
        let mut split = Vec::new();
        let mut at = bytes.len();
        while at > 0 {
            let way = ways[at];
            // Unknown characters in a row are one token, as in SentencePiece.
            if way.piece != self.unknown || split.last() != Some(&self.unknown) {
                split.push(way.piece);
            }
            at = way.from;
        }
        split.reverse();
        split
    }
}

impl Unigram {
    /// With what each character is replaced by first, the tokens before and after each text, and how many there may be.
    pub(super) fn new(
        pieces: Pieces,
        replacements: BTreeMap<char, String>,
        first: u32,
        last: u32,
        max_tokens: usize,
    ) -> Self {
        Self { pieces, replacements, first, last, max_tokens }
    }

    /// Numbers of the tokens of `text`, with those before and after; what is too long is cut at its end.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let content = self.max_tokens.saturating_sub(2);
        let normal = self.normalised(text, content * MAX_CHARS_PER_TOKEN);
        let split = self.pieces.split(&normal);
        std::iter::once(self.first).chain(split.into_iter().take(content)).chain([self.last]).collect()
    }

    /// Composed, replaced character by character, with runs of spaces made one, one space at the start.
    fn normalised(&self, text: &str, max_chars: usize) -> String {
        let mut normal = String::with_capacity(text.len().min(4 * max_chars) + SPACE.len_utf8());
        normal.push(SPACE);
        let mut push = |character: char| match character {
            ' ' if normal.ends_with(SPACE) => {}
            ' ' => normal.push(SPACE),
            other => normal.push(other),
        };
        for character in text.chars().take(max_chars).nfc() {
            match self.replacements.get(&character) {
                Some(replacement) => replacement.chars().for_each(&mut push),
                None => push(character),
            }
        }
        normal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(max_tokens: usize) -> Unigram {
        let pieces = [
            ("<s>", 0.0),
            ("</s>", 0.0),
            ("<unk>", 0.0),
            ("▁", -2.0),
            ("a", -3.0),
            ("ab", -3.5),
            ("b", -3.0),
            ("▁ab", -4.0),
        ];
        let text: String = pieces.iter().map(|(piece, _)| *piece).collect();
        let offsets = pieces.iter().scan(0, |at, (piece, _)| {
            *at += piece.len() as u32;
            Some(*at)
        });
        let offsets = std::iter::once(0).chain(offsets).collect();
        let scores = pieces.iter().map(|(_, score)| *score).collect();
        let pieces = Pieces::new(text.into_bytes(), offsets, scores, 2).expect("the pieces fit");
        Unigram::new(pieces, BTreeMap::from([('Ａ', "a".to_owned()), ('\t', " ".to_owned())]), 0, 1, max_tokens)
    }

    #[test]
    fn the_likeliest_pieces_win() {
        assert_eq!(tokenizer(10).encode("ab ab b"), [0, 7, 7, 3, 6, 1]);
    }

    #[test]
    fn wide_letters_and_runs_of_spaces_are_folded_first() {
        assert_eq!(tokenizer(10).encode("  Ａb\t\t b"), tokenizer(10).encode("ab b"));
    }

    #[test]
    fn unknown_characters_in_a_row_are_one_token() {
        assert_eq!(tokenizer(10).encode("a客服a"), [0, 3, 4, 2, 4, 1]);
    }

    #[test]
    fn control_tokens_in_a_text_are_text() {
        assert!(!tokenizer(10).encode("</s>")[1..].starts_with(&[1]));
        assert_eq!(tokenizer(10).encode("</s>").iter().filter(|id| **id == 1).count(), 1);
    }

    #[test]
    fn a_long_text_is_cut_and_still_ends() {
        let tokens = tokenizer(5).encode(&"b".repeat(100_000));
        assert_eq!(tokens, [0, 3, 6, 6, 1]);
    }

    #[test]
    fn no_text_is_a_space() {
        assert_eq!(tokenizer(5).encode(""), [0, 3, 1]);
    }

    #[test]
    fn offsets_beyond_the_text_are_refused() {
        assert!(Pieces::new(b"ab".to_vec(), vec![0, 1, 3], vec![-1.0, -1.0], 0).is_none());
        assert!(Pieces::new(b"ab".to_vec(), vec![1, 0, 2], vec![-1.0, -1.0], 0).is_none());
        assert!(Pieces::new(b"ab".to_vec(), vec![0, 1, 2], vec![-1.0, -1.0], 2).is_none());
    }
}
