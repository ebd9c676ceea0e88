//! JSON that is passed on and not read.
//!
//! What the scheduler says of a decision travels through two commands and two commits. As text it is copied; as a tree of
//! values it would be taken apart and put together again each time, which cost more than all the rest of an offer.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use std::{borrow::Cow, fmt, sync::Arc};

/// Any JSON, as its text. Cheap to clone.
#[derive(Clone)]
pub struct Json(Arc<RawValue>);

impl Json {
    /// What `value` is in JSON; `null` if it cannot be written, as a map with keys other than text.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        let raw = serde_json::value::to_raw_value(value).unwrap_or_default();
        Self(raw.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// What it says.
    pub fn value(&self) -> Value {
        // Cannot fail: it was checked when it was read, and is well formed where it was written.
        self.read().unwrap_or_default()
    }

    /// What it says, as a `T`.
    ///
    /// # Errors
    /// It says something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The text of one object with the fields of this one, then those of `more`. Both must be objects.
    pub fn followed_by<T: Serialize>(&self, more: &T) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.as_str().len() + 512);
        text.extend_from_slice(self.as_str().as_bytes());
        let brace = text.pop();
        debug_assert_eq!(brace, Some(b'}'), "an object: {self:?}");
        let comma = text.len();
        // Cannot fail: see `of`.
        let _ = serde_json::to_writer(&mut text, more);
        // The other one's brace becomes the comma, where there is anything to part.
        match (self.as_str().len() > 2, text.get(comma + 1)) {
            (true, Some(b'}')) => drop(text.remove(comma)),
            (true, _) => text[comma] = b',',
            (false, _) => drop(text.remove(comma)),
        }
        text
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self::of(value)
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::of(&value)
    }
}

/// Equal if they say the same, however it is written.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str() || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}

impl JsonSchema for Json {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Value::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Value::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_passed_on_is_the_same_text() {
        let text = r#"{"b": [1, 2.50], "a":"\u00e9"}"#;
        let read: Json = serde_json::from_str(text).unwrap();
        assert_eq!(read.as_str(), text);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        // Also by way of a tree of values, where the text is lost and its meaning is not.
        let tree = serde_json::to_value(&read).unwrap();
        assert_eq!(tree, json!({"a": "é", "b": [1, 2.5]}));
        assert_eq!(serde_json::from_value::<Json>(tree.clone()).unwrap(), read);
        assert_eq!((read.value(), Json::from(&tree)), (tree, read));
        assert_ne!(Json::from(json!({"a": 1})), Json::from(json!({"a": 2})));
    }

    #[test]
    fn two_objects_become_one() {
        for (first, second) in [(json!({"a": 1}), json!({"b": [2]})), (json!({"a": 1}), json!({}))] {
            let mut both = first.as_object().unwrap().clone();
            both.extend(second.as_object().unwrap().clone());
            for (one, other) in [(&first, &second), (&second, &first)] {
                let text = Json::from(one).followed_by(other);
                assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), Value::from(both.clone()), "{one} {other}");
            }
        }
        assert_eq!(Json::from(json!({})).followed_by(&json!({})), b"{}");
    }
}
