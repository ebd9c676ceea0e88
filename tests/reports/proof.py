"""Figures out of exported Parquet, by SQL that knows nothing of kefu's own folds: only of the events.

    proof.py DIR TENANT FROM TO UTC_OFFSET_HOURS OPEN_FROM OPEN_TO  →  {metric: {dimension: {value: number}}}

Times are milliseconds of UTC. OPEN_FROM and OPEN_TO are minutes of the local day in which the tenant is open from Sunday to
Thursday; -1: always.
"""

import json
import math
import sys
from fractions import Fraction

import duckdb

folder, tenant, start, end, offset_h, open_from, open_to = sys.argv[1:8]
start, end, offset_h, open_from, open_to = map(int, (start, end, offset_h, open_from, open_to))
target_ms = {"NW": 60_000}
db = duckdb.connect()
db.execute(f"""
create table e as
select seq, "index" i, epoch_ms("at") as ts, aggregate, key, type, actor_kind, actor_id, event::json j
from read_parquet('{folder}/events/tenant={tenant}/*/*.parquet');

-- Conversations' events with the number of their session, and what is known by then.
create table c as
select *,
  sum((type = 'session_opened')::int) over w n,
  last_value(case when type = 'session_opened' then json_extract_string(j, '$.channel') end ignore nulls) over w channel,
  last_value(case when type = 'queued' then json_extract_string(j, '$.queue') when type = 'session_opened' then '' end ignore nulls) over w queue,
  last_value(case when type in ('offer_accepted', 'taken_over') then json_extract_string(j, '$.agent') when type = 'session_opened' then '' end ignore nulls) over w agent
from e where aggregate = 'conversation'
window w as (partition by key order by seq, i rows unbounded preceding);

create table category as
select key entry, coalesce(last(json_extract_string(j, '$.content.category') order by seq), key) category from e where type = 'entry_drafted' group by key;

create table s as
select key, n,
  min(ts) filter (type = 'session_opened') opened, max(ts) filter (type = 'session_closed') closed,
  any_value(channel) channel, last(queue order by seq, i) queue, last(agent order by seq, i) agent,
  count(*) filter (type = 'answer_requested') asked, count(*) filter (type = 'answer_given') given,
  min(ts) filter (type = 'handoff_requested') handed, min(ts) filter (type in ('offer_accepted', 'taken_over')) served,
  min(ts) filter (type = 'message_received' and json_extract_string(j, '$.message.content.kind') <> 'event') first_message,
  min(ts) filter (type = 'message_sent' and json_extract_string(j, '$.author.kind') = 'bot') bot_replied,
  min(ts) filter (type = 'message_sent' and json_extract_string(j, '$.author.kind') = 'agent') agent_replied,
  first(category order by seq, i) filter (type = 'answer_given') intent
from c left join category on entry = json_extract_string(j, '$.sources[0].entry')
group by key, n;
create table s2 as
select *, lead(opened) over (partition by key order by n) next_opened, lag(closed) over (partition by key order by n) before_closed from s;
""")

results = {}


def ratio(over, under, scale=Fraction(1)):
    return float(Fraction(int(over or 0)) * scale / int(under)) if under else None


def quantile(values, share):
    values = sorted(v for v in values if v is not None)
    return values[min(max(math.ceil(share * len(values)), 1), len(values)) - 1] / 1000 if values else None


def rows(sql):
    cursor = db.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def by(table, dimensions, figures):
    """Figures of a list of rows: of all, and by each dimension. A row under several values counts under each."""
    groups = {("all", ""): table}
    for dimension in dimensions:
        for row in table:
            values = row.get(dimension)
            for value in values if isinstance(values, list) else [values]:
                if value:
                    groups.setdefault((dimension, value), []).append(row)
    for (dimension, value), group in groups.items():
        for metric, figure in figures(group).items():
            results.setdefault(metric, {}).setdefault(dimension, {})[value] = figure


def within(table, moment):
    return [row for row in table if row[moment] is not None and start <= row[moment] < end]


def total(group, field):
    return sum(row[field] or 0 for row in group)


def count(group, holds):
    return sum(1 for row in group if holds(row))


def open_ms(since, until):
    """Milliseconds of business hours."""
    if open_from < 0:
        return until - since
    shift, day = offset_h * 3_600_000, 86_400_000
    found = 0
    for number in range((since + shift) // day, (until + shift) // day + 1):
        weekday = (number + 4) % 7  # 1970-01-01 was a Thursday; 0 is Sunday
        if weekday <= 4:
            opens, closes = number * day - shift + open_from * 60_000, number * day - shift + open_to * 60_000
            found += max(0, min(until, closes) - max(since, opens))
    return found


sessions = rows("select * from s2")
HOUR = 3_600_000
by(within(sessions, "opened"), ["channel"], lambda g: {
    "sessions_opened": len(g),
    "reopen_rate": ratio(count(g, lambda r: r["before_closed"] is not None and r["opened"] - r["before_closed"] <= 24 * HOUR), len(g)),
})
intercepted = lambda r: r["given"] > 0 and contained(r)
contained = lambda r: r["asked"] > 0 and r["handed"] is None and r["served"] is None
by(within(sessions, "closed"), ["channel", "queue", "agent", "intent"], lambda g: {
    "sessions_closed": len(g),
    "resolution_mean": ratio(sum(r["closed"] - r["opened"] for r in g), len(g), Fraction(1, 1000)),
    "fcr": ratio(count(g, lambda r: r["served"] is not None and not (r["next_opened"] is not None and r["next_opened"] - r["closed"] <= 72 * HOUR)),
                 count(g, lambda r: r["served"] is not None)),
})
by(within(sessions, "closed"), ["channel", "intent"], lambda g: {
    "interception_rate": ratio(count(g, intercepted), count(g, lambda r: r["asked"] > 0)),
    "containment_rate": ratio(count(g, contained), count(g, lambda r: r["asked"] > 0)),
})
by([r for r in within(sessions, "bot_replied") if r["first_message"] is not None], ["channel"], lambda g: {
    "bot_response_mean": ratio(sum(r["bot_replied"] - r["first_message"] for r in g), len(g), Fraction(1, 1000)),
})

# Ratings count where their session ended.
rated = rows("""
select r.score, s.closed, s.channel, s.queue, s.agent, s.intent from
  (select key, (json_extract_string(j, '$.session'))::int n, (json_extract_string(j, '$.score'))::int score from c where type = 'satisfaction_rated') r join s using (key, n)""")
asked = rows("""
select s.closed, s.channel, s.queue, s.agent, s.intent from
  (select key, (json_extract_string(j, '$.session'))::int n from c where type = 'satisfaction_requested') r join s using (key, n)""")
for row in asked:
    row["score"] = None
by(within(rated + asked, "closed"), ["channel", "queue", "agent", "intent"], lambda g: (lambda scores: {
    "csat": ratio(sum(s >= 4 for s in scores), len(scores)),
    "rating_mean": ratio(sum(scores), len(scores)),
    "nps": ratio(100 * (sum(s == 5 for s in scores) - sum(s <= 3 for s in scores)), len(scores)),
    "rating_rate": ratio(len(scores), count(g, lambda r: r["score"] is None)),
})([r["score"] for r in g if r["score"] is not None]))

# The bot.
questions = rows("""
select q.ts, q.channel, a.type outcome, a.ts answered, json_extract_string(a.j, '$.reason') reason, (json_extract_string(a.j, '$.confidence'))::double confidence,
  json_extract_string(a.j, '$.sources[0].entry') entry, category intent, (json_extract_string(h.j, '$.helpful'))::bool helpful
from (select * from c where type = 'answer_requested') q
left join (select * from c where type in ('answer_given', 'choices_offered', 'answer_declined')) a
  on a.key = q.key and json_extract_string(a.j, '$.request') = json_extract_string(q.j, '$.request')
left join (select * from c where type = 'answer_rated') h on h.key = q.key and json_extract_string(h.j, '$.request') = json_extract_string(q.j, '$.request')
left join category on entry = json_extract_string(a.j, '$.sources[0].entry')""")
given = [r for r in questions if r["outcome"] == "answer_given"]
by(within(questions, "ts") , ["channel"], lambda g: {"questions_asked": len(g)})
by(within(questions, "answered"), ["channel"], lambda g: {
    "questions_unanswered": count(g, lambda r: r["outcome"] == "answer_declined"),
})
by(within(given, "answered"), ["channel", "intent", "entry"], lambda g: {
    "answers_given": len(g),
    "answer_confidence": ratio(sum(round(r["confidence"] * 1_000_000) for r in g), len(g), Fraction(1, 1_000_000)),
    "helpful_rate": ratio(count(g, lambda r: r["helpful"]), count(g, lambda r: r["helpful"] is not None)),
    "bot_answer_p90": quantile([r["answered"] - r["ts"] for r in g], 0.9),
})

# Waits: from the first `queued` after the last end of one, to the next end.
waits = rows("""
with steps as (
  select *, type <> 'queued' is_end, coalesce(sum((type <> 'queued')::int) over
    (partition by key order by seq, i rows between unbounded preceding and 1 preceding), 0) g
  from c where type in ('queued', 'offer_accepted', 'taken_over', 'session_closed', 'returned_to_bot')),
skills as (select key, json_extract_string(j, '$.offer') offer, list_filter(from_json(json_extract(j, '$.practice.skills'), '["varchar"]'), lambda x: not starts_with(x, 'queue:')) skill from c where type = 'offer_made')
select min(s.ts) filter (not is_end) began, max(s.ts) filter (is_end) ended, last(s.type order by seq, i) how,
  last(json_extract_string(j, '$.reason') order by seq, i) reason, any_value(channel) channel, last(queue order by seq, i) queue,
  last(json_extract_string(j, '$.agent') order by seq, i) agent, any_value(k.skill) filter (s.type = 'offer_accepted') skill
from steps s left join skills k on k.key = s.key and k.offer = json_extract_string(s.j, '$.offer')
group by s.key, g having count(*) filter (not is_end) > 0 and count(*) filter (is_end) > 0""")
answered = [r for r in waits if r["how"] in ("offer_accepted", "taken_over")]
given_up = [r for r in waits if r["how"] == "session_closed" and r["reason"] not in ("closed_by_agent", "wrapped_up")]
for row in given_up:
    row["agent"] = row["skill"] = None
for row in answered + given_up:
    row["ms"] = row["ended"] - row["began"]
in_time = lambda r: r["how"] != "session_closed" and r["ms"] <= target_ms.get(r["queue"], 20_000)
short = lambda r: r["how"] == "session_closed" and r["ms"] <= 5_000
by(within(answered + given_up, "ended"), ["channel", "queue"], lambda g: {
    "waits": len(g),
    "service_level": ratio(count(g, in_time), len(g) - count(g, short)),
    "abandonment": ratio(count(g, lambda r: r["how"] == "session_closed" and not short(r)), len(g) - count(g, short)),
})
by(within(answered, "ended"), ["channel", "queue", "agent", "skill"], lambda g: {
    "asa": ratio(total(g, "ms"), len(g), Fraction(1, 1000)),
    "wait_p50": quantile([r["ms"] for r in g], 0.5),
    "wait_p90": quantile([r["ms"] for r in g], 0.9),
    "wait_p99": quantile([r["ms"] for r in g], 0.99),
    "wait_open_mean": ratio(sum(open_ms(r["began"], r["ended"]) for r in g), len(g), Fraction(1, 1000)),
})

offers = rows("select ts, type, channel, queue, json_extract_string(j, '$.agent') agent from c where type like 'offer_%' and type <> 'offer_refused'")
by(within(offers, "ts"), ["channel", "queue", "agent"], lambda g: {
    "offers": count(g, lambda r: r["type"] == "offer_made"),
    "offer_acceptance": ratio(count(g, lambda r: r["type"] == "offer_accepted"),
                              count(g, lambda r: r["type"] in ("offer_accepted", "offer_rejected", "offer_timed_out"))),
})

# Responses of agents.
first = rows("""
select m.ts, s.agent_replied - coalesce(s.handed, s.served, s.opened) ms, coalesce(s.handed, s.served, s.opened) since,
  m.channel, m.queue, json_extract_string(m.j, '$.author.id') agent
from s join c m on m.key = s.key and m.n = s.n and m.type = 'message_sent' and json_extract_string(m.j, '$.author.kind') = 'agent' and m.ts = s.agent_replied
qualify row_number() over (partition by s.key, s.n order by m.seq, m.i) = 1""")
by(within(first, "ts"), ["channel", "queue", "agent"], lambda g: {
    "frt_mean": ratio(total(g, "ms"), len(g), Fraction(1, 1000)),
    "frt_p90": quantile([r["ms"] for r in g], 0.9),
    "frt_open_mean": ratio(sum(open_ms(r["since"], r["ts"]) for r in g), len(g), Fraction(1, 1000)),
    "sla_met": ratio(count(g, lambda r: open_ms(r["since"], r["ts"]) <= 60_000), len(g)),
    "sla_breached": count(g, lambda r: open_ms(r["since"], r["ts"]) > 60_000),
})
# Messages of customers up to whoever answers them: an agent, or while no agent has it the bot.
later = rows("""
with held as (
  select *, coalesce(last_value(case when type in ('offer_accepted', 'taken_over') then true
      when type in ('session_opened', 'transferred', 'returned_to_bot', 'session_closed') then false end ignore nulls) over
    (partition by key order by seq, i rows unbounded preceding), false) has_agent,
    type = 'message_sent' and json_extract_string(j, '$.author.kind') = 'agent' is_reply
  from c),
steps as (
  select *, type <> 'message_received' is_end from held
  where is_reply or type = 'returned_to_bot'
    or (type = 'message_received' and json_extract_string(j, '$.message.content.kind') <> 'event')
    or (type = 'message_sent' and json_extract_string(j, '$.author.kind') = 'bot' and not has_agent)),
talk as (
  select *, coalesce(sum(is_end::int) over w, 0) g, coalesce(sum(is_reply::int) over w, 0) replies from steps
  window w as (partition by key, n order by seq, i rows between unbounded preceding and 1 preceding))
select max(ts) filter (is_end) ts, max(ts) filter (is_end) - min(ts) filter (not is_end) ms, any_value(channel) channel,
  last(queue order by seq, i) queue, last(json_extract_string(j, '$.author.id') order by seq, i) agent
from talk where replies > 0 group by key, n, g having count(*) filter (is_reply) > 0 and count(*) filter (not is_end) > 0""")
by(within(later, "ts"), ["channel", "queue", "agent"], lambda g: {
    "nrt_mean": ratio(total(g, "ms"), len(g), Fraction(1, 1000)),
})

# Stints: from taking it to giving it away or the end; each moment belongs to what began last.
stints = rows("""
with steps as (
  select *, type in ('transferred', 'returned_to_bot', 'session_closed', 'taken_over') is_end,
    sum((type in ('offer_accepted', 'taken_over'))::int) over (partition by key order by seq, i rows unbounded preceding) stint
  from c where type in ('offer_accepted', 'taken_over', 'transferred', 'returned_to_bot', 'session_closed',
    'held', 'resumed', 'wrap_up_started', 'reactivated', 'snoozed', 'unsnoozed')),
spans as (select *, lead(ts) over (partition by key order by seq, i) - ts ms from steps),
ends as (select key, stint, min(ts) filter (is_end and type <> 'taken_over') ended,
    min(seq) filter (is_end and type <> 'taken_over') ended_seq from steps where stint > 0 group by key, stint)
select ended, any_value(channel) channel, first(queue order by seq, i) queue, first(json_extract_string(j, '$.agent') order by seq, i) agent,
  coalesce(sum(ms) filter (type in ('offer_accepted', 'taken_over', 'resumed', 'reactivated', 'unsnoozed')), 0) talk,
  coalesce(sum(ms) filter (type = 'held'), 0) hold, coalesce(sum(ms) filter (type = 'wrap_up_started'), 0) acw,
  count(*) filter (type = 'transferred') transferred
from spans join ends using (key, stint) where seq <= ended_seq and (not is_end or type = 'taken_over' or seq = ended_seq)
  and not (is_end and type in ('session_closed', 'returned_to_bot') and false)
group by key, stint, ended having ended is not null""")
# What follows the end of a stint is none of its time: the last step is the end itself.
by(within(stints, "ended"), ["channel", "queue", "agent"], lambda g: {
    "handled": len(g),
    "aht": ratio(sum(r["talk"] + r["hold"] + r["acw"] for r in g), len(g), Fraction(1, 1000)),
    "aht_p90": quantile([r["talk"] + r["hold"] + r["acw"] for r in g], 0.9),
    "talk_mean": ratio(total(g, "talk"), len(g), Fraction(1, 1000)),
    "hold_mean": ratio(total(g, "hold"), len(g), Fraction(1, 1000)),
    "acw_mean": ratio(total(g, "acw"), len(g), Fraction(1, 1000)),
    "transfers": total(g, "transferred"),
    "transfer_rate": ratio(total(g, "transferred"), len(g)),
})

# Agents' time.
time = rows(f"""
with marks as (
  select key agent, ts, seq, i, type, j,
    last_value(case when type = 'status_changed' then json_extract_string(j, '$.status') end ignore nulls) over w status,
    coalesce(last_value(case when type = 'capacity_changed' then (json_extract_string(j, '$.slots'))::int end ignore nulls) over w, 3) slots,
    sum(case when type = 'slot_occupied' then 1 when type = 'slot_released' and exists (
      select 1 from e o where o.aggregate = 'agent' and o.key = e.key and o.type = 'slot_occupied' and json_extract_string(o.j, '$.reservation') = json_extract_string(e.j, '$.reservation'))
      then -1 else 0 end) over w busy
  from e where aggregate = 'agent'
  window w as (partition by key order by seq, i rows unbounded preceding)),
spans as (select *, greatest(ts, {start}) since, least(coalesce(lead(ts) over (partition by agent order by seq, i), {end}), {end}) until from marks)
select agent, sum(greatest(until - since, 0)) filter (status <> 'offline' or busy > 0) duty,
  sum(greatest(until - since, 0)) filter (status = 'available' or busy > 0) ready,
  sum(greatest(until - since, 0)) filter (busy > 0) busy,
  sum(busy * greatest(until - since, 0)) conversations,
  sum(slots * greatest(until - since, 0)) filter (status = 'available' or busy > 0) capacity
from spans group by agent""")
by(time, ["agent"], lambda g: {
    "duty": float(Fraction(int(total(g, "duty")), 1000)),
    "occupancy": ratio(total(g, "busy"), total(g, "ready")),
    "utilization": ratio(total(g, "conversations"), total(g, "capacity")),
    "concurrency": ratio(total(g, "conversations"), total(g, "busy")),
})

messages = rows("""
select ts, channel, type, coalesce(json_extract_string(j, '$.author.kind'), 'customer') author from c
where type = 'message_sent' or (type = 'message_received' and json_extract_string(j, '$.message.content.kind') <> 'event')""")
by(within(messages, "ts"), ["channel"], lambda g: {
    "messages_from_customers": count(g, lambda r: r["author"] == "customer"),
    "messages_from_bot": count(g, lambda r: r["author"] == "bot"),
    "messages_from_agents": count(g, lambda r: r["author"] == "agent"),
})
print(json.dumps(results))
