//! What a tenant configures about scheduling. Every change has a version, which decisions name.

use super::{estimates::Belief, policy::PolicyName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Scheduling {
    /// Version of the settings document that this was read from. What a document itself says here is passed over.
    pub version: u64,
    /// Rules of queues that have their own.
    pub queues: BTreeMap<String, QueueRules>,
    /// Rules of all other queues.
    pub default: QueueRules,
    /// Weights of the `index` policy.
    pub weights: Weights,
    /// An agent's speed per conversation at 1, 2, 3 … conversations at once; the last value holds for more.
    pub concurrency: Vec<f64>,
    /// After this time an observed arrival counts half, in seconds.
    pub demand_half_life_s: f64,
    /// Channel → slots that a conversation on it takes; 1 where it is not named.
    pub channel_weights: BTreeMap<String, u32>,
    /// Who rejected a conversation, or let its offer time out, is not asked again for so long, in seconds.
    pub declined_s: f64,
    /// How much is believed of what was observed of agents.
    pub estimates: Belief,
    /// Customers who wait are told their place so often at most, and only when it has changed, in seconds; 0: never. What they
    /// are told are the tenant's texts `queue_position` and `queue_position_only`.
    pub tell_position_every_s: f64,
}

impl Default for Scheduling {
    fn default() -> Self {
        Self {
            version: 0,
            queues: BTreeMap::new(),
            default: QueueRules::default(),
            weights: Weights::default(),
            concurrency: vec![1.0],
            demand_half_life_s: 7_200.0,
            channel_weights: BTreeMap::new(),
            declined_s: 120.0,
            estimates: Belief::default(),
            tell_position_every_s: 60.0,
        }
    }
}

impl Scheduling {
    /// The rules of a queue.
    pub fn rules(&self, queue: &str) -> &QueueRules {
        self.queues.get(queue).unwrap_or(&self.default)
    }

    /// Whether the numbers are such that can be computed with.
    ///
    /// # Errors
    /// The path to what is wrong, and what would be right.
    pub fn check(&self) -> Result<(), (String, String)> {
        let wrong = |path: &str, message: &str| Err((path.to_owned(), message.to_owned()));
        let weights = &self.weights;
        let numbers = [
            ("weights.speed", weights.speed),
            ("weights.swiftness", weights.swiftness),
            ("weights.gain", weights.gain),
            ("weights.price", weights.price),
            ("weights.scarcity", weights.scarcity),
            ("weights.strain", weights.strain),
            ("weights.urgency", weights.urgency),
            ("weights.preference", weights.preference),
            ("weights.queue", weights.queue),
            ("weights.staff", weights.staff),
            ("weights.age", weights.age),
            ("weights.priority", weights.priority),
            ("weights.age_cap_s", weights.age_cap_s),
            ("demand_half_life_s", self.demand_half_life_s),
            ("declined_s", self.declined_s),
            ("tell_position_every_s", self.tell_position_every_s),
        ];
        for (path, number) in numbers {
            if !(0.0..=1e9).contains(&number) {
                return wrong(path, "a number from 0 to 1,000,000,000 is needed");
            }
        }
        let belief = &self.estimates;
        if !(0.01..=36_500.0).contains(&belief.half_life_days) {
            return wrong("estimates.half_life_days", "0.01 to 36,500 days are needed");
        }
        if !(0.0..=1e6).contains(&belief.prior_cases) || !(1.0..=1e6).contains(&belief.least_cases) {
            return wrong("estimates", "prior_cases is 0 to 1,000,000, least_cases 1 to 1,000,000");
        }
        if self.concurrency.is_empty() || !self.concurrency.iter().all(|speed| (0.0..=10.0).contains(speed)) {
            return wrong("concurrency", "speeds from 0 to 10 are needed, at least one");
        }
        if self.channel_weights.values().any(|weight| !(1..=1_000).contains(weight)) {
            return wrong("channel_weights", "a channel takes 1 to 1000 slots");
        }
        let named = self.queues.iter().map(|(name, rules)| (format!("queues.{name}"), rules));
        for (path, rules) in named.chain([("default".to_owned(), &self.default)]) {
            rules.check().map_err(|(field, message)| (format!("{path}.{field}"), message))?;
        }
        Ok(())
    }
}

/// One queue's rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueRules {
    /// How agents and conversations are chosen.
    pub policy: PolicyName,
    /// X % of the conversations get an agent within Y s.
    pub target: Option<Target>,
    /// What is given up after which time, in order of time.
    pub relaxation: Vec<Relaxation>,
    /// Where conversations go as well when this queue is long.
    pub overflow: Option<Overflow>,
    /// Skill → least proficiency that an agent must have.
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited, without excluding others.
    pub wished: BTreeSet<String>,
    /// Whether an agent must speak the customer's language, where that is known.
    pub match_language: bool,
    /// For so long only the agent who talked with the customer last is asked, if available, in seconds.
    pub last_agent_s: f64,
}

impl Default for QueueRules {
    fn default() -> Self {
        Self {
            policy: PolicyName::Index,
            target: None,
            relaxation: Vec::new(),
            overflow: None,
            required: BTreeMap::new(),
            wished: BTreeSet::new(),
            match_language: false,
            last_agent_s: 0.0,
        }
    }
}

impl QueueRules {
    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |path: &str, message: &str| Err((path.to_owned(), message.to_owned()));
        if let Some(target) = self.target {
            if !(0.0..=100.0).contains(&target.percent) || !(0.0..=1e9).contains(&target.within_s) {
                return wrong("target", "a percentage from 0 to 100 is needed, and seconds");
            }
            if !(0.0..=100.0).contains(&target.steer) || !(0.0..=1.0).contains(&target.steer_from) {
                return wrong("target", "steer is 0 to 100, steer_from 0 to 1");
            }
        }
        if self.required.values().any(|least| *least > 5) {
            return wrong("required", "a proficiency is 0 to 5");
        }
        if !(0.0..=1e9).contains(&self.last_agent_s) {
            return wrong("last_agent_s", "seconds from 0 to 1,000,000,000 are needed");
        }
        let steps = self.relaxation.iter().map(|step| step.after_s);
        if !steps.clone().all(|after| (0.0..=1e9).contains(&after)) || !steps.is_sorted() {
            return wrong("relaxation", "steps must be in the order of after_s, from 0 seconds on");
        }
        Ok(())
    }
}

/// A service level that is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Share of the conversations, in percent.
    pub percent: f64,
    /// Time within which they get an agent, in seconds.
    pub within_s: f64,
    /// How much sooner they are served that are about to miss it, while the queue as a whole does: an agent's best
    /// conversation counts as 1. 0: the target is only measured.
    #[serde(default = "steer")]
    #[schemars(range(min = 0.0, max = 100.0))]
    pub steer: f64,
    /// From which part of the time on, 0 to 1; in full when it is over.
    #[serde(default = "steer_from")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub steer_from: f64,
}

fn steer() -> f64 {
    1.0
}

fn steer_from() -> f64 {
    0.5
}

impl Target {
    /// Percent within seconds, steered for as usual.
    pub fn new(percent: f64, within_s: f64) -> Self {
        Self { percent, within_s, steer: steer(), steer_from: steer_from() }
    }

    /// How much of the boost a conversation of this age gets, 0 to 1.
    pub fn risk(&self, age_s: f64) -> f64 {
        let from_s = self.steer_from * self.within_s;
        if age_s <= from_s {
            0.0
        } else if age_s >= self.within_s {
            1.0
        } else {
            (age_s - from_s) / (self.within_s - from_s)
        }
    }
}

impl JsonSchema for PolicyName {
    fn schema_name() -> Cow<'static, str> {
        "PolicyName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
        json_schema!({ "type": "string", "description": "How agents and conversations are chosen.", "enum": names })
    }
}

/// One relaxation step. Steps add up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Relaxation {
    /// When, counted from the beginning of the wait, in seconds.
    pub after_s: f64,
    /// Required skills that are wished from now on.
    pub drop: BTreeSet<String>,
    /// How much lower every required proficiency is.
    pub lower: u8,
    /// Queues whose agents may be asked as well.
    pub also: BTreeSet<String>,
    /// How much higher the priority is.
    pub raise: u8,
}

/// Overflow to other queues.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overflow {
    /// From this many waiting conversations on.
    pub from: u32,
    /// Queues whose agents may be asked as well by those who arrive then.
    pub also: BTreeSet<String>,
}

/// Weights of the `index` policy. The defaults were found by `kefu scheduler tune` and are the same for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Exponent of the agent's speed on this conversation, where an agent is chosen.
    pub speed: f64,
    /// The same where a conversation is chosen.
    pub swiftness: f64,
    /// Exponent of the marginal gain of one more conversation at once.
    pub gain: f64,
    /// Factor of the price of using up a flexible agent.
    pub price: f64,
    /// Exponent of the free slots by which a demand's share is divided in that price.
    pub scarcity: f64,
    /// Exponent of the part of a demand's arrivals that found nobody free, by which its share is multiplied there.
    pub strain: f64,
    /// Exponent of the same in the worth of a waiting conversation.
    pub urgency: f64,
    /// Factor of the skill's proficiency, of preference and of wished skills.
    pub preference: f64,
    /// Exponent of a demand's queue length.
    pub queue: f64,
    /// Exponent of the agents there are for a demand, by which its queue length is divided.
    pub staff: f64,
    /// Factor of the waiting time of the demand's first conversation, per minute.
    pub age: f64,
    /// Factor of the priority.
    pub priority: f64,
    /// Past this waiting time a conversation comes before all younger ones, in seconds.
    pub age_cap_s: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            speed: 3.0,
            swiftness: 4.5,
            gain: 0.85,
            price: 3.5,
            scarcity: 1.15,
            strain: 1.0,
            urgency: 2.0,
            preference: 0.05,
            queue: 1.0,
            staff: 0.0,
            age: 0.1,
            priority: 0.5,
            age_cap_s: 240.0,
        }
    }
}
