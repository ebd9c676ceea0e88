//! One scheduling decision with the update of all indexes, beside the same job on Redis: ZSETs per skill and a Lua script,
//! as described for large customer services.
//!
//! The job: an agent becomes free, gets the conversation that fits best out of 100,000, and is busy again; a new
//! conversation arrives, for which nobody is free. So the number of waiting conversations stays the same. For Redis each
//! of the two events is one call of a script; calls are pipelined, and nothing is written to disk.
//!
//! A second figure, without a peer: a conversation arrives while agents are free, and the best one is chosen.

use crate::{
    Result, process,
    redis::{Client, Redis},
    report::{Progress, rounded},
};
use clap::Args;
use hdrhistogram::Histogram;
use kefu::scheduler::{
    floor::{AgentIx, Entry, Floor},
    policy::PolicyName,
    settings::{QueueRules, Scheduling},
    simulator::random::Stream,
    views::{AgentView, ConversationKey, Status, WaitingView},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How large the job is.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Agents
    #[arg(long, default_value_t = 10_000)]
    agents: u32,
    /// Skills
    #[arg(long, default_value_t = 200)]
    skills: u32,
    /// Skills of each agent
    #[arg(long, default_value_t = 6)]
    per_agent: u32,
    /// Waiting conversations
    #[arg(long, default_value_t = 100_000)]
    waiting: u64,
    /// Decisions that are measured
    #[arg(long, default_value_t = 1_000_000)]
    decisions: u64,
    /// Decisions that Redis is measured on
    #[arg(long, default_value_t = 200_000)]
    redis_decisions: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            agents: 10_000,
            skills: 200,
            per_agent: 6,
            waiting: 100_000,
            decisions: 1_000_000,
            redis_decisions: 200_000,
        }
    }
}

/// Pairs of calls of Redis on their way at once.
const PIPELINE: u64 = 256;

/// An agent becomes free. KEYS: the agent's skills. ARGV: the agent, and when. The oldest head of the skills' lines is
/// the agent's now; without any, the agent joins the idle ones of each skill.
const AGENT_FREE: &str = "\
local best, from, since
for i = 1, #KEYS do
  local head = redis.call('ZRANGE', 'line:' .. KEYS[i], 0, 0, 'WITHSCORES')
  if head[1] and (not since or tonumber(head[2]) < since) then
    best, from, since = head[1], KEYS[i], tonumber(head[2])
  end
end
if best then
  redis.call('ZREM', 'line:' .. from, best)
  redis.call('HSET', 'has', ARGV[1], best)
else
  redis.call('HDEL', 'has', ARGV[1])
  for i = 1, #KEYS do redis.call('ZADD', 'idle:' .. KEYS[i], ARGV[2], ARGV[1]) end
end
return best";

/// A conversation arrives. KEYS: its skill. ARGV: the conversation, and when. An agent who is idle would get it; without
/// any, it joins the line. (In this job nobody is idle, so taking an agent out of the idle ones is left out.)
const ARRIVAL: &str = "\
local idle = redis.call('ZRANGE', 'idle:' .. KEYS[1], 0, 0)
if idle[1] then return idle[1] end
redis.call('ZADD', 'line:' .. KEYS[1], ARGV[2], ARGV[1])
return false";

/// The same agents and conversations for both.
struct Job {
    /// Skills of each agent.
    agents: Vec<Vec<u32>>,
    stream: Stream,
    skills: u32,
}

impl Job {
    fn new(options: &Options) -> Self {
        let mut stream = Stream::new(1, 0);
        let agents = (0..options.agents).map(|_| {
            let mut skills: Vec<u32> = Vec::new();
            while (skills.len() as u32) < options.per_agent.min(options.skills) {
                let skill = (stream.bits() % u64::from(options.skills)) as u32;
                if !skills.contains(&skill) {
                    skills.push(skill);
                }
            }
            skills
        });
        let agents = agents.collect();
        Self { agents, stream, skills: options.skills }
    }

    fn skill(&mut self) -> u32 {
        (self.stream.bits() % u64::from(self.skills)) as u32
    }

    fn agent(&mut self) -> AgentIx {
        (self.stream.bits() % self.agents.len() as u64) as AgentIx
    }
}

/// Measures both.
pub fn run(options: &Options, progress: Progress) -> Result<Value> {
    progress.say("kefu: building the floor");
    let mut floor = Measured::new(options);
    progress.say("kefu: an agent becomes free while all lines are long");
    let long = floor.long_lines(options.decisions)?;
    progress.say("kefu: a conversation arrives while agents are free");
    let free = floor.free_agents(options)?;
    progress.say("Redis: the same job");
    let redis = Redis::start()?;
    let on_redis = on_redis(&redis, options)?;
    // Per second of processor time, so that whatever else runs on the machine counts for neither.
    let ratio = long.rate.per_cpu_s / on_redis.per_cpu_s;
    let (p50, p99) = (micros(&long.decision, 0.5), micros(&long.decision, 0.99));
    Ok(json!({
        "agents": options.agents, "skills": options.skills, "waiting": options.waiting,
        "decision": figures(&long.decision),
        "arrival": figures(&long.arrival),
        "decision_with_free_agents": figures(&free),
        "decisions_per_s": long.rate.figures(),
        "redis": { "version": redis.version(), "decisions_per_s": on_redis.figures(), "pipeline": PIPELINE },
        "ratio": rounded(ratio),
        "goals": [
            goal("scheduler: p50 of a decision, µs", p50, "<=", 1.0, p50 <= 1.0),
            goal("scheduler: p99 of a decision, µs", p99, "<=", 10.0, p99 <= 10.0),
            goal("scheduler: decisions per processor s ÷ Redis", ratio, ">=", 20.0, ratio >= 20.0),
        ],
    }))
}

fn goal(figure: &str, measured: f64, bound: &str, goal: f64, reached: bool) -> Value {
    json!({ "figure": figure, "measured": rounded(measured), "bound": bound, "goal": goal, "reached": reached })
}

fn micros(histogram: &Histogram<u64>, part: f64) -> f64 {
    histogram.value_at_quantile(part) as f64 / 1_000.0
}

fn figures(histogram: &Histogram<u64>) -> Value {
    json!({
        "p50_us": rounded(micros(histogram, 0.5)),
        "p99_us": rounded(micros(histogram, 0.99)),
        "p999_us": rounded(micros(histogram, 0.999)),
        "max_us": rounded(histogram.max() as f64 / 1_000.0),
    })
}

/// What was measured while all lines were long.
struct LongLines {
    /// An agent becomes free: a conversation is chosen, asked for and confirmed, and all indexes show it.
    decision: Histogram<u64>,
    /// A conversation joins its line, and nobody is free for it.
    arrival: Histogram<u64>,
    /// Both, again and again.
    rate: Rate,
}

/// Decisions per second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    per_s: f64,
    per_cpu_s: f64,
}

impl Rate {
    fn figures(self) -> Value {
        json!({ "of_time": rounded(self.per_s), "of_processor_time": rounded(self.per_cpu_s) })
    }
}

/// Measures the rate of what is done between its beginning and its end, by a process.
struct Watch {
    pid: u32,
    begun: Instant,
    cpu: Duration,
}

impl Watch {
    fn start(pid: u32) -> Result<Self> {
        Ok(Self { pid, begun: Instant::now(), cpu: process::cpu(pid)? })
    }

    fn rate(&self, decisions: u64) -> Result<Rate> {
        let (time, cpu) = (self.begun.elapsed(), process::cpu(self.pid)? - self.cpu);
        let per = |spent: Duration| decisions as f64 / spent.as_secs_f64().max(f64::MIN_POSITIVE);
        Ok(Rate { per_s: per(time), per_cpu_s: per(cpu) })
    }
}

/// kefu's floor under the job.
struct Measured {
    floor: Floor,
    job: Job,
    /// What each skill's conversations ask for.
    entries: Vec<Entry>,
    /// The conversation that each agent has.
    has: Vec<u128>,
    keys: u128,
    now_ms: i64,
    decisions: u128,
}

impl Measured {
    fn new(options: &Options) -> Self {
        let default = QueueRules { policy: PolicyName::Index, ..QueueRules::default() };
        let mut floor = Floor::new(Scheduling { default, ..Scheduling::default() });
        let job = Job::new(options);
        let name = |skill: u32| format!("skill-{skill}");
        let entry = |skill| {
            floor.entry(&WaitingView {
                conversation: ConversationKey(0),
                session: 1,
                queue: "main".to_owned(),
                channel: "cli".to_owned(),
                priority: 0,
                required: BTreeMap::from([(name(skill), 1)]),
                wished: Default::default(),
                language: None,
                preferred: None,
                wanted: None,
                weight: 1,
                since_ms: 0,
                excluded: BTreeMap::new(),
            })
        };
        let entries: Vec<Entry> = (0..options.skills).map(entry).collect();
        let mut has = Vec::new();
        for (number, skills) in job.agents.iter().enumerate() {
            // Keys of conversations that never waited.
            let key = u128::MAX - number as u128;
            has.push(key);
            floor.put_agent(
                &AgentView {
                    id: format!("agent-{number}"),
                    status: Status::Available,
                    online: true,
                    skills: skills.iter().map(|skill| (name(*skill), 3)).collect(),
                    performance: BTreeMap::new(),
                    languages: Default::default(),
                    queues: ["main".to_owned()].into(),
                    slots: 1,
                    load: [(ConversationKey(key), 1)].into(),
                    idle_since_ms: Some(0),
                },
                0,
            );
        }
        let mut measured = Self { floor, job, entries, has, keys: 0, now_ms: 0, decisions: 0 };
        for _ in 0..options.waiting {
            let skill = measured.job.skill();
            measured.arrive(skill);
        }
        measured.pump();
        measured
    }

    fn arrive(&mut self, skill: u32) {
        self.keys += 1;
        let mut entry = self.entries[skill as usize].clone();
        entry.conversation = ConversationKey(self.keys.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c2b_1d7f_9a6d));
        entry.since_ms = self.now_ms;
        self.floor.put(entry, self.now_ms);
    }

    /// Asks, confirms and takes out of the line whatever can be matched.
    fn pump(&mut self) -> u64 {
        let mut matches = 0;
        while let Some(matched) = self.floor.next(self.now_ms, 0) {
            self.decisions += 1;
            self.floor.reserve(&matched, self.decisions);
            self.floor.confirm(self.decisions);
            self.floor.remove_waiting(matched.conversation);
            self.has[matched.agent as usize] = matched.conversation.0;
            matches += 1;
        }
        matches
    }

    fn release(&mut self, agent: AgentIx) {
        self.floor.release(agent, ConversationKey(self.has[agent as usize]), self.now_ms);
    }

    /// An agent becomes free and gets one of many; another one arrives, for which nobody is free.
    fn long_lines(&mut self, decisions: u64) -> Result<LongLines> {
        let (mut decision, mut arrival) = (Histogram::new(3)?, Histogram::new(3)?);
        let mut matched = 0;
        for _ in 0..decisions {
            let (agent, skill) = (self.job.agent(), self.job.skill());
            self.now_ms += 1;
            let begun = Instant::now();
            matched += self.agent_becomes_free(agent);
            let between = Instant::now();
            matched += self.one_more(skill);
            arrival.record(between.elapsed().as_nanos() as u64)?;
            decision.record((between - begun).as_nanos() as u64)?;
        }
        // Again without a clock in between: Redis has none either.
        let watch = Watch::start(std::process::id())?;
        for _ in 0..decisions {
            let (agent, skill) = (self.job.agent(), self.job.skill());
            self.now_ms += 1;
            matched += self.agent_becomes_free(agent) + self.one_more(skill);
        }
        let rate = watch.rate(decisions)?;
        if matched != 2 * decisions {
            return Err(format!("{matched} matches in {decisions} decisions: the lines were not long enough").into());
        }
        Ok(LongLines { decision, arrival, rate })
    }

    fn agent_becomes_free(&mut self, agent: AgentIx) -> u64 {
        self.release(agent);
        self.pump()
    }

    fn one_more(&mut self, skill: u32) -> u64 {
        self.arrive(skill);
        self.pump()
    }

    /// A conversation arrives and one of the free agents gets it; somebody else becomes free.
    fn free_agents(&mut self, options: &Options) -> Result<Histogram<u64>> {
        // Everybody's line is worked off, then a tenth of the agents is free.
        while self.floor.waiting_count() > 0 {
            for agent in 0..options.agents {
                self.release(agent);
            }
            self.pump();
        }
        let mut times = Histogram::new(3)?;
        for agent in 0..options.agents {
            self.release(agent);
        }
        self.pump();
        let nine_tenths = u64::from(options.agents) * 9 / 10;
        let mut busy: Vec<AgentIx> = Vec::new();
        for number in 0..nine_tenths + options.decisions / 10 {
            let skill = self.job.skill();
            self.now_ms += 1;
            let before = self.decisions;
            let begun = Instant::now();
            self.arrive(skill);
            let Some(matched) = self.floor.next(self.now_ms, 0) else {
                // Nobody with this skill is free: not what is measured here.
                let gone = self.keys.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_0c2b_1d7f_9a6d);
                self.floor.remove_waiting(ConversationKey(gone));
                continue;
            };
            self.decisions = before + 1;
            self.floor.reserve(&matched, self.decisions);
            self.floor.confirm(self.decisions);
            self.floor.remove_waiting(matched.conversation);
            let ns = begun.elapsed().as_nanos() as u64;
            self.has[matched.agent as usize] = matched.conversation.0;
            busy.push(matched.agent);
            if number >= nine_tenths {
                times.record(ns)?;
                let at = (self.job.stream.bits() % busy.len() as u64) as usize;
                let agent = busy.swap_remove(at);
                self.release(agent);
                self.pump();
            }
        }
        Ok(times)
    }
}

fn on_redis(redis: &Redis, options: &Options) -> Result<Rate> {
    let mut client = Client::connect(redis)?;
    let mut job = Job::new(options);
    let (agent_free, arrival) = (client.load(AGENT_FREE)?, client.load(ARRIVAL)?);
    let mut keys = 0_u64;
    for _ in 0..options.waiting {
        let skill = job.skill();
        keys += 1;
        client.send(&["ZADD", &format!("line:{skill}"), &keys.to_string(), &format!("{keys:032x}")]);
        if keys.is_multiple_of(PIPELINE) {
            client.flush(PIPELINE)?;
        }
    }
    client.flush(options.waiting % PIPELINE)?;
    let mut decisions = |count: u64| -> Result<Rate> {
        let watch = Watch::start(redis.pid())?;
        let mut sent = 0;
        while sent < count {
            let batch = PIPELINE.min(count - sent);
            for _ in 0..batch {
                let (agent, skill) = (job.agent(), job.skill());
                keys += 1;
                let skills = &job.agents[agent as usize];
                let mut call = vec!["EVALSHA".to_owned(), agent_free.clone(), skills.len().to_string()];
                call.extend(skills.iter().map(u32::to_string));
                call.extend([agent.to_string(), keys.to_string()]);
                client.send(&call);
                let (skill, key, at) = (skill.to_string(), format!("{keys:032x}"), keys.to_string());
                client.send(&["EVALSHA", &arrival, "1", &skill, &key, &at]);
            }
            client.flush(2 * batch)?;
            sent += batch;
        }
        watch.rate(count)
    };
    decisions(options.redis_decisions / 10)?;
    decisions(options.redis_decisions)
}
