with latest as (
  select * from read_parquet('lake/sessions/*/*/*.parquet', hive_partitioning = true)
  qualify row_number() over (partition by tenant, conversation, session order by seq desc) = 1
)
select tenant, agent, count(*) as sessions, round(avg(talk_ms + hold_ms + wrap_up_ms) / 1000) as mean_handled_s,
  round(avg(rating), 2) as mean_rating, count(rating) as ratings, sum(followed_up::int) as came_back
from latest where served_at is not null
group by all order by tenant, sessions desc, agent;
