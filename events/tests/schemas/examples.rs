//! Examples of what a schema allows, made from nothing but the schema.

use serde_json::{Map, Value, json};

/// Follows `$ref`, with the fields that stand beside it laid over.
pub fn resolved(schema: &Value, root: &Value) -> Value {
    let Some(target) = schema["$ref"].as_str() else { return schema.clone() };
    let target = root.pointer(target.trim_start_matches('#')).unwrap_or_else(|| panic!("{target} is not there"));
    let mut merged = resolved(target, root);
    let beside = schema.as_object().unwrap().iter().filter(|(name, _)| *name != "$ref");
    for (name, value) in beside {
        match (name.as_str(), merged.get_mut(name)) {
            ("properties", Some(Value::Object(there))) => there.extend(value.as_object().unwrap().clone()),
            ("required", Some(Value::Array(there))) => there.extend(value.as_array().unwrap().clone()),
            _ => merged[name] = value.clone(),
        }
    }
    merged
}

/// Names of the required properties of a resolved schema.
pub fn required(schema: &Value) -> Vec<&str> {
    schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// As many examples as it takes to show every alternative and every value of every enum once, with all optional fields;
/// then, for an object, one more with none of them.
pub fn examples(name: &str, schema: &Value, root: &Value) -> Vec<Value> {
    let schema = &resolved(schema, root);
    for alternatives in ["oneOf", "anyOf"] {
        if let Some(list) = schema[alternatives].as_array() {
            let mut base = schema.clone();
            base.as_object_mut().unwrap().remove(alternatives);
            // An optional field is shown by its being there or not; `null` would say the same as the latter.
            let list = list.iter().filter(|one| one["type"] != "null");
            return list.flat_map(|one| examples(name, &both(&base, &resolved(one, root)), root)).collect();
        }
    }
    if let Some(constant) = schema.get("const") {
        return vec![constant.clone()];
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.clone();
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.first().and_then(Value::as_str),
        one => one.as_str(),
    };
    match types {
        None => vec![json!({"any": ["JSON", 1, true]})],
        Some("null") => vec![Value::Null],
        Some("boolean") => vec![json!(true)],
        Some("integer") => vec![json!(3.max(schema["minimum"].as_i64().unwrap_or(0)))],
        Some("number") => vec![json!(0.25)],
        Some("string") => vec![text(name, schema).into()],
        Some("array") => vec![examples(name, &schema["items"], root).into()],
        Some("object") => objects(name, schema, root),
        Some(other) => panic!("{name} has the type {other}, which no example is known for"),
    }
}

/// An alternative with what stands beside the list of alternatives.
fn both(base: &Value, alternative: &Value) -> Value {
    let mut alternative = alternative.clone();
    alternative["$ref"] = "#/base".into();
    resolved(&alternative, &json!({"base": base}))
}

fn text(name: &str, schema: &Value) -> String {
    match (schema["format"].as_str(), schema["pattern"].as_str()) {
        (Some("date-time"), _) => "2026-11-22T13:14:35.007Z".to_owned(),
        (_, Some("^[0-9]+$")) => "42".to_owned(),
        (_, Some(pattern)) => panic!("{name} has the pattern {pattern}, which no example is known for"),
        _ if schema["x-personal"] == true => format!("王芳的 {name} 😀"),
        _ => format!("example-{name}"),
    }
}

fn objects(name: &str, schema: &Value, root: &Value) -> Vec<Value> {
    let Some(properties) = schema["properties"].as_object() else {
        let entry = match &schema["additionalProperties"] {
            entry @ Value::Object(_) => examples(name, entry, root).remove(0),
            _ => json!("example-value"),
        };
        return vec![json!({ format!("example-{name}-key"): entry })];
    };
    let fields: Vec<(&String, Vec<Value>)> =
        properties.iter().map(|(name, schema)| (name, examples(name, schema, root))).collect();
    let variants = fields.iter().map(|(_, values)| values.len()).max().unwrap_or(1);
    let pick = |variant: usize, only: Option<&[&str]>| -> Value {
        let wanted = fields.iter().filter(|(name, _)| only.is_none_or(|only| only.contains(&name.as_str())));
        wanted
            .map(|(name, values)| ((*name).clone(), values[variant % values.len()].clone()))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut objects: Vec<Value> = (0..variants).map(|variant| pick(variant, None)).collect();
    let required = required(schema);
    if required.len() < fields.len() {
        objects.push(pick(0, Some(&required)));
    }
    objects
}
