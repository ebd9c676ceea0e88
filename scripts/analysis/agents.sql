with steps as (
  select tenant, key, type, "at", event ->> '$.agent' as agent,
    sum((type in ('offer_accepted', 'taken_over'))::int) over (partition by tenant, key order by seq, "index" rows unbounded preceding) as stint,
    lead("at") over (partition by tenant, key order by seq, "index") as until
  from read_parquet('lake/events/*/*/*.parquet', hive_partitioning = true)
  where type in ('offer_accepted', 'taken_over', 'held', 'resumed', 'snoozed', 'unsnoozed', 'wrap_up_started', 'reactivated',
    'transferred', 'returned_to_bot', 'session_closed')
), stints as (
  -- Each to the agent who took it: a conversation that was transferred has several. Snoozed time is not counted.
  select tenant, key, stint, any_value(agent) filter (type in ('offer_accepted', 'taken_over')) as agent,
    sum(date_diff('millisecond', "at", until)) filter (type in ('offer_accepted', 'taken_over', 'held', 'resumed', 'unsnoozed',
      'wrap_up_started', 'reactivated')) as handled_ms
  from steps where stint > 0 group by tenant, key, stint
), handled as (
  select tenant, agent, count(*) as stints, round(avg(handled_ms) / 1000) as mean_handled_s from stints group by all
), latest as (
  select * from read_parquet('lake/sessions/*/*/*.parquet', hive_partitioning = true)
  qualify row_number() over (partition by tenant, conversation, session order by seq desc) = 1
), rated as (
  -- A rating, and the customer's return, are of a whole session: they go to the last agent who had it.
  select tenant, agent, count(*) as sessions, round(avg(rating), 2) as mean_rating, count(rating) as ratings,
    sum(followed_up::int) as came_back
  from latest where served_at is not null group by all
)
select tenant, agent, coalesce(stints, 0) as stints, mean_handled_s, coalesce(sessions, 0) as last_of_sessions, mean_rating,
  coalesce(ratings, 0) as ratings, coalesce(came_back, 0) as came_back
from handled full join rated using (tenant, agent)
order by tenant, stints desc, agent;
