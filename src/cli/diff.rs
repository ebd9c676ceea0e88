//! What changed between two JSON values, path by path.

use serde::Serialize;
use serde_json::Value;

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Names joined by dots; empty for the whole.
    pub path: String,
    /// What was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// All differences. Lists are compared whole, as they are replaced whole.
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&inner, old.get(name), new.get(name), changes);
            }
        }
        (before, after) if before == after => {}
        (before, after) => {
            changes.push(Change { path: path.to_owned(), before: before.cloned(), after: after.cloned() });
        }
    }
}

/// The differences as lines: what went and what came.
pub fn lines(changes: &[Change]) -> String {
    let mut lines = Vec::new();
    for Change { path, before, after } in changes {
        let path = if path.is_empty() { "(all)" } else { path };
        lines.extend(before.as_ref().map(|value| format!("- {path} = {value}")));
        lines.extend(after.as_ref().map(|value| format!("+ {path} = {value}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown_with_its_path() {
        let before = json!({"texts": {"welcome": "Hi", "handoff": "Wait"}, "queues": ["a"], "old": 1});
        let after = json!({"texts": {"welcome": "Hello", "handoff": "Wait"}, "queues": ["a", "b"], "new": 2});
        let text = lines(&diff(&before, &after));
        for line in [
            "- texts.welcome = \"Hi\"",
            "+ texts.welcome = \"Hello\"",
            "+ queues = [\"a\",\"b\"]",
            "- old = 1",
            "+ new = 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("handoff"));
        assert!(diff(&before, &before).is_empty());
    }
}
