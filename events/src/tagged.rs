//! Enums that stand in JSON as `{"type": …, fields}`, read and written as they come.
//!
//! serde's own `tag = "type"` reads all fields into a tree before it knows of which variant they are, and then reads the
//! variant out of that tree. Here the fields that follow the tag, which is the first in everything that kefu writes, are
//! read where they stand. What comes before it, as in commands of others, waits in such a tree.
//!
//! An enum gets this by `#[serde(remote = "Self")]`, without a tag, and `tagged!`; its schema by
//! `#[schemars(rename = "…", tag = "type")]`.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        self, DeserializeSeed, EnumAccess, IgnoredAny, IntoDeserializer, MapAccess, VariantAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
    ser::{Impossible, SerializeStruct, SerializeStructVariant},
};
use serde_json::Value;
use std::{borrow::Cow, fmt, marker::PhantomData, vec};

/// What serde derives for an enum without a tag.
pub(crate) trait Untagged<'de>: Sized {
    /// Name of the field that says of which variant the others are.
    const TAG: &'static str;

    /// As `{"variant": fields}`.
    fn read<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Gives enums, derived with `#[serde(remote = "Self")]`, the form with the tag.
macro_rules! tagged {
    ($name:ident) => {
        $crate::tagged::tagged!($name, "type");
    };
    ($name:ident, $tag:literal) => {
        impl<'de> $crate::tagged::Untagged<'de> for $name {
            const TAG: &'static str = $tag;

            fn read<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                // Not the trait's function below: what is derived for a remote type is the type's own.
                $name::deserialize(deserializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::tagged::read(deserializer)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, $crate::tagged::Tagging { serializer, tag: $tag })
            }
        }
    };
}
pub(crate) use tagged;

/// Reads `{"type": variant, fields}`.
pub(crate) fn read<'de, D: Deserializer<'de>, T: Untagged<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Reading(PhantomData))
}

struct Reading<T>(PhantomData<T>);

impl<'de, T: Untagged<'de>> Visitor<'de> for Reading<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {:?}", T::TAG)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
        let mut before: Vec<(String, Value)> = Vec::new();
        while let Some(Text(name)) = fields.next_key()? {
            if name == T::TAG {
                let Text(variant) = fields.next_value()?;
                return match before.is_empty() {
                    true => T::read(Variant { variant, fields }),
                    false => {
                        T::read(Variant { variant, fields: Joined { before: before.into_iter(), value: None, fields } })
                    }
                };
            }
            before.push((name.into_owned(), fields.next_value()?));
        }
        Err(de::Error::missing_field(T::TAG))
    }
}

/// A text, out of the input where it stands there as it is.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;

        impl<'de> Visitor<'de> for AnyText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(AnyText)
    }
}

/// Fields that were read before the tag, then those behind it.
struct Joined<A> {
    before: vec::IntoIter<(String, Value)>,
    value: Option<Value>,
    fields: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Joined<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.before.next() {
            Some((name, value)) => {
                self.value = Some(value);
                seed.deserialize(name.into_deserializer()).map(Some)
            }
            None => self.fields.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(de::Error::custom),
            None => self.fields.next_value_seed(seed),
        }
    }
}

/// The variant, as serde's derived code asks for it.
struct Variant<'de, A> {
    variant: Cow<'de, str>,
    fields: A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Variant<'de, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Variant<'de, A> {
    type Error = A::Error;
    type Variant = Fields<A>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Fields<A>), A::Error> {
        let variant: StrDeserializer<'_, A::Error> = (*self.variant).into_deserializer();
        Ok((seed.deserialize(variant)?, Fields(self.fields)))
    }
}

struct Fields<A>(A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn unit_variant(mut self) -> Result<(), A::Error> {
        while self.0.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        seed.deserialize(MapAccessDeserializer::new(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(de::Error::custom("a variant with fields that have no names"))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.0)
    }
}

/// Writes an enum's variants with the tag as their first field.
pub(crate) struct Tagging<S> {
    pub(crate) serializer: S,
    pub(crate) tag: &'static str,
}

/// Writes a struct with the tag as its first field.
struct Within<S> {
    serializer: S,
    tag: &'static str,
    variant: &'static str,
}

/// The fields behind the tag.
pub(crate) struct Behind<S>(S);

impl<S: SerializeStruct> SerializeStruct for Behind<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), S::Error> {
        self.0.serialize_field(name, value)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
        self.0.skip_field(name)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

impl<S: SerializeStruct> SerializeStructVariant for Behind<S> {
    type Ok = S::Ok;
    type Error = S::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), S::Error> {
        self.0.serialize_field(name, value)
    }

    fn skip_field(&mut self, name: &'static str) -> Result<(), S::Error> {
        self.0.skip_field(name)
    }

    fn end(self) -> Result<S::Ok, S::Error> {
        self.0.end()
    }
}

fn begin<S: Serializer>(
    serializer: S,
    name: &'static str,
    (tag, variant): (&'static str, &'static str),
    len: usize,
) -> Result<Behind<S::SerializeStruct>, S::Error> {
    let mut fields = serializer.serialize_struct(name, len + 1)?;
    fields.serialize_field(tag, variant)?;
    Ok(Behind(fields))
}

/// What an enum of named fields, or a struct, never asks of a serializer.
macro_rules! never {
    ($($method:ident($($argument:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $argument),*) -> Result<$ok, S::Error> {
            Err(serde::ser::Error::custom("only named fields can stand beside a tag"))
        }
    )*};
}

macro_rules! never_scalars {
    () => {
        never! {
            serialize_bool(bool) -> S::Ok;
            serialize_i8(i8) -> S::Ok;
            serialize_i16(i16) -> S::Ok;
            serialize_i32(i32) -> S::Ok;
            serialize_i64(i64) -> S::Ok;
            serialize_u8(u8) -> S::Ok;
            serialize_u16(u16) -> S::Ok;
            serialize_u32(u32) -> S::Ok;
            serialize_u64(u64) -> S::Ok;
            serialize_f32(f32) -> S::Ok;
            serialize_f64(f64) -> S::Ok;
            serialize_char(char) -> S::Ok;
            serialize_str(&str) -> S::Ok;
            serialize_bytes(&[u8]) -> S::Ok;
            serialize_none() -> S::Ok;
            serialize_unit() -> S::Ok;
            serialize_unit_struct(&'static str) -> S::Ok;
            serialize_seq(Option<usize>) -> Self::SerializeSeq;
            serialize_tuple(usize) -> Self::SerializeTuple;
            serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
            serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
            serialize_map(Option<usize>) -> Self::SerializeMap;
        }

        fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("only named fields can stand beside a tag"))
        }

        fn serialize_newtype_struct<T: Serialize + ?Sized>(
            self,
            _: &'static str,
            value: &T,
        ) -> Result<S::Ok, S::Error> {
            value.serialize(self)
        }
    };
}

impl<S: Serializer> Serializer for Tagging<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Impossible<S::Ok, S::Error>;
    type SerializeStructVariant = Behind<S::SerializeStruct>;

    never_scalars!();
    never! { serialize_struct(&'static str, usize) -> Self::SerializeStruct; }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<S::Ok, S::Error> {
        SerializeStruct::end(begin(self.serializer, name, (self.tag, variant), 0)?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        value.serialize(Within { serializer: self.serializer, tag: self.tag, variant })
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        begin(self.serializer, name, (self.tag, variant), len)
    }
}

impl<S: Serializer> Serializer for Within<S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Impossible<S::Ok, S::Error>;
    type SerializeTuple = Impossible<S::Ok, S::Error>;
    type SerializeTupleStruct = Impossible<S::Ok, S::Error>;
    type SerializeTupleVariant = Impossible<S::Ok, S::Error>;
    type SerializeMap = Impossible<S::Ok, S::Error>;
    type SerializeStruct = Behind<S::SerializeStruct>;
    type SerializeStructVariant = Impossible<S::Ok, S::Error>;

    never_scalars!();
    never! {
        serialize_unit_variant(&'static str, u32, &'static str) -> S::Ok;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("only named fields can stand beside a tag"))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        begin(self.serializer, name, (self.tag, self.variant), len)
    }
}

#[cfg(test)]
mod tests {
    use crate::{CommandRefused, Refusal, V, json::Json};
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    /// The form that is read and written here …
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case", remote = "Self")]
    enum Ours {
        Told {
            v: V<1>,
            text: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            more: Option<Vec<u8>>,
        },
        Refused(CommandRefused),
        Nothing,
        Passed {
            json: Json,
        },
    }
    super::tagged!(Ours);

    /// … and serde's own.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", rename_all = "snake_case")]
    enum Serdes {
        Told {
            v: V<1>,
            text: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            more: Option<Vec<u8>>,
        },
        Refused(CommandRefused),
        Nothing,
    }

    fn refused() -> CommandRefused {
        CommandRefused {
            v: V,
            command: "c".to_owned(),
            command_type: "t".to_owned(),
            refusal: Refusal::new("no", "é\""),
        }
    }

    #[test]
    fn it_is_written_as_serde_writes_it() {
        let ours = [
            Ours::Told { v: V, text: "a \"b\"".to_owned(), more: None },
            Ours::Told { v: V, text: String::new(), more: Some(vec![1]) },
            Ours::Refused(refused()),
            Ours::Nothing,
        ];
        let serdes = [
            Serdes::Told { v: V, text: "a \"b\"".to_owned(), more: None },
            Serdes::Told { v: V, text: String::new(), more: Some(vec![1]) },
            Serdes::Refused(refused()),
            Serdes::Nothing,
        ];
        for (ours, serdes) in ours.iter().zip(&serdes) {
            let text = serde_json::to_string(serdes).unwrap();
            assert_eq!(serde_json::to_string(ours).unwrap(), text);
            assert_eq!(serde_json::from_str::<Ours>(&text).unwrap(), *ours);
            let tree = serde_json::to_value(serdes).unwrap();
            assert_eq!(serde_json::to_value(ours).unwrap(), tree);
            assert_eq!(serde_json::from_value::<Ours>(tree).unwrap(), *ours);
        }
    }

    #[test]
    fn the_tag_may_stand_anywhere_and_others_fields_beside_it() {
        for text in [
            r#"{"type": "told", "v": 1, "text": "x", "id": {"a": [1]}}"#,
            r#"{"id": {"a": [1]}, "v": 1, "type": "told", "text": "x"}"#,
            r#"{"text": "\u0078", "v": 1, "type": "told"}"#,
            r#"{"\u0074ype": "to\u006cd", "text": "x", "v": 1}"#,
        ] {
            let told = Ours::Told { v: V, text: "x".to_owned(), more: None };
            assert_eq!(serde_json::from_str::<Ours>(text).unwrap(), told, "{text}");
            let tree: Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::from_value::<Ours>(tree).unwrap(), told, "{text}");
        }
        assert_eq!(serde_json::from_str::<Ours>(r#"{"a": 1, "type": "nothing", "b": 2}"#).unwrap(), Ours::Nothing);
        let passed = Ours::Passed { json: Json::from(json!({"a": [1, {"type": "told"}]})) };
        for text in [
            r#"{"type": "passed", "json": {"a": [1, {"type": "told"}]}}"#,
            r#"{"json": {"a": [1, {"type": "told"}]}, "type": "passed"}"#,
        ] {
            assert_eq!(serde_json::from_str::<Ours>(text).unwrap(), passed);
        }
    }

    #[test]
    fn what_is_wrong_is_said_as_serde_says_it() {
        for text in [
            r#"{"type": "told", "v": 2, "text": "x"}"#,
            r#"{"type": "told", "v": 1}"#,
            r#"{"type": "tolled"}"#,
            r#"{"type": "told", "v": 1, "text": 7}"#,
            r#"{"v": 1, "text": 7, "type": "told"}"#,
            r#"{"v": 1, "text": "x"}"#,
            r#"{"type": "told", "v": 1, "text": "x", "text": "y"}"#,
            r#"{"type": 7}"#,
            "{}",
        ] {
            let message = |error: serde_json::Error| {
                let text = error.to_string();
                text.split(" at line").next().unwrap_or_default().to_owned()
            };
            let ours = message(serde_json::from_str::<Ours>(text).unwrap_err());
            let serdes = message(serde_json::from_str::<Serdes>(text).unwrap_err());
            // Only the one knows of `passed`.
            let serdes = serdes.replace("`nothing`", "`nothing`, `passed`");
            assert_eq!(ours.replace("a text", "variant identifier"), serdes, "{text}");
        }
        for text in ["[]", "7", "\"told\"", r#"{"type": "told""#] {
            assert!(serde_json::from_str::<Ours>(text).is_err(), "{text}");
        }
    }
}
