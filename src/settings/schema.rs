//! The contract's documents, with those of settings whose types are kefu's own.

use crate::scheduler::Scheduling;
use serde_json::Value;
use std::collections::BTreeMap;

/// Every document of the contract, by the name of its file in `schemas/`.
pub fn schemas() -> BTreeMap<String, Value> {
    let mut documents = kefu_events::schema::documents();
    documents.extend([scheduling_schema()]);
    documents
}

/// The one of the document `scheduling`.
fn scheduling_schema() -> (String, Value) {
    kefu_events::schema::settings_document::<Scheduling>("settings-scheduling", "How conversations find their agents")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_and_every_weight_is_in_it() {
        let (file, document) = scheduling_schema();
        assert_eq!([file.as_str()], kefu_events::schema::MADE_ELSEWHERE);
        let text = document.to_string();
        for policy in crate::scheduler::policy::PolicyName::ALL {
            assert!(text.contains(&format!("\"{policy}\"")), "{policy}");
        }
        let weights = serde_json::to_value(crate::scheduler::settings::Weights::default()).unwrap();
        let properties = &document["$defs"]["Weights"]["properties"];
        for weight in weights.as_object().unwrap().keys() {
            assert!(properties[weight]["description"].is_string(), "{weight}");
        }
        assert_eq!(document["additionalProperties"], false);
    }
}
