//! Turns valid JSON into what strangers send.

use super::rng::Rng;
use serde_json::{Number, Value, json};

/// Texts that have broken somebody's software.
const TEXTS: [&str; 16] = [
    "",
    " ",
    "\u{0}",
    "a\r\nKefu-Reason: nothing\r\n\r\n",
    "\u{202e}txet desrever",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\u{feff}客服\u{200b}",
    "\u{fffd}\u{ffff}\u{10ffff}",
    "../../etc/passwd",
    "kefu.in.t.*.>",
    "%s%n{}{agent}",
    "1970-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.999Z",
    "+10000-01-01T00:00:00Z",
    "quarantine:request",
];

/// Bytes that are nearly, or not at all, what `valid` is.
pub fn mutate(rng: &mut Rng, valid: &Value) -> Vec<u8> {
    let mut value = valid.clone();
    for _ in 0..rng.below(3) {
        change(rng, &mut value);
    }
    let mut bytes = value.to_string().into_bytes();
    match rng.below(12) {
        0 => {
            for _ in 0..rng.range(1, 4) {
                let index = rng.index(bytes.len());
                bytes[index] ^= 1 << rng.below(8);
            }
        }
        1 => bytes.truncate(rng.index(bytes.len())),
        2 => {
            let (from, to) = (rng.index(bytes.len()), rng.index(bytes.len()));
            let slice = bytes[from.min(to)..from.max(to)].to_vec();
            let at = rng.index(bytes.len());
            bytes.splice(at..at, slice);
        }
        3 => {
            let index = rng.index(bytes.len());
            let junk: [&[u8]; 6] = [&[0xff], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf5], &[0], b"\\ud800"];
            bytes.splice(index..index, rng.pick(&junk).iter().copied());
        }
        4 => {
            // A field twice.
            let text = String::from_utf8_lossy(&bytes).into_owned();
            bytes = text.replacen('{', "{\"id\":\"first\",", 1).into_bytes();
        }
        5 => bytes.extend_from_slice(b" trailing"),
        6 => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let numbers =
                ["1e400", "-0", "1e-400", "0.30000000000000004", "123456789012345678901234567890", "01", "NaN"];
            bytes = text.replacen(":1", &format!(":{}", rng.pick(&numbers)), 1).into_bytes();
        }
        7 if rng.chance(300) => {
            let depth = *rng.pick(&[100, 127, 129, 1_000, 100_000]);
            let (open, close) = *rng.pick(&[("[", "]"), ("{\"a\":", "}")]);
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            bytes = text.replacen('{', &format!("{{\"metadata\":{nested},"), 1).into_bytes();
        }
        8 if rng.chance(300) => {
            let long = "x".repeat(*rng.pick(&[65_000, 250_000, 262_144, 300 << 10, 600 << 10]));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            bytes = text.replacen('{', &format!("{{\"padding\":\"{long}\","), 1).into_bytes();
        }
        9 if rng.chance(500) => {
            bytes = match rng.below(5) {
                0 => Vec::new(),
                1 => (0..rng.below(400)).map(|_| rng.next() as u8).collect(),
                2 => b"null".to_vec(),
                3 => b"[]".to_vec(),
                _ => vec![b'['; 100_000],
            }
        }
        _ => {}
    }
    bytes
}

/// Changes one thing somewhere inside.
fn change(rng: &mut Rng, value: &mut Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() && rng.chance(9000) => {
            let name = fields.keys().nth(rng.index(fields.len())).cloned().unwrap_or_default();
            match rng.below(8) {
                0 => {
                    fields.remove(&name);
                }
                1 => {
                    let moved = fields.remove(&name).unwrap_or_default();
                    fields.insert((*rng.pick(&TEXTS)).to_owned(), moved);
                }
                2 => {
                    fields.insert("unknown".to_owned(), junk(rng));
                }
                _ => fields.get_mut(&name).into_iter().for_each(|inner| change(rng, inner)),
            }
        }
        Value::Array(items) if !items.is_empty() && rng.chance(7000) => {
            let index = rng.index(items.len());
            match rng.below(3) {
                0 => {
                    let item = items[index].clone();
                    items.extend(std::iter::repeat_n(item, *rng.pick(&[1, 20, 2_000])));
                }
                _ => change(rng, &mut items[index]),
            }
        }
        Value::String(text) if rng.chance(5000) => {
            let other = *rng.pick(&TEXTS);
            match rng.below(4) {
                0 => text.push_str(other),
                1 => *text = text.repeat(*rng.pick(&[2, 40, 600])),
                2 => other.clone_into(text),
                _ => text.insert_str(0, other),
            }
        }
        _ => *value = junk(rng),
    }
}

fn junk(rng: &mut Rng) -> Value {
    match rng.below(12) {
        0 => Value::Null,
        1 => json!(rng.chance(5000)),
        2 => json!(u64::MAX),
        3 => json!(i64::MIN),
        4 => json!(rng.next() as i32),
        5 => Number::from_f64(f64::from_bits(rng.next())).map_or(Value::Null, Value::Number),
        6 => json!([]),
        7 => json!({}),
        8 => json!({"kind": "text"}),
        9 => (0..*rng.pick(&[3, 60, 200])).fold(json!(1), |inner, _| json!([inner])),
        _ => json!(rng.pick(&TEXTS)),
    }
}
