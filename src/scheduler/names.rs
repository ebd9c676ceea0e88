//! Names as small numbers: skills, queues, languages and agents are compared millions of times a second.

use std::{collections::BTreeMap, sync::Arc};

/// Names in the order in which they were first seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    numbers: BTreeMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// The number of `name`, a new one if it was never seen.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of `name`, if it was ever seen.
    pub fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name behind a number given out here.
    pub fn name(&self, number: u32) -> &Arc<str> {
        &self.names[number as usize]
    }
}
