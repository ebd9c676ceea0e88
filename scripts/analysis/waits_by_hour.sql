with latest as (
  select * from read_parquet('lake/sessions/*/*/*.parquet', hive_partitioning = true)
  qualify row_number() over (partition by tenant, conversation, session order by seq desc) = 1
)
select tenant, date_trunc('hour', opened_at) as hour, count(*) as sessions,
  round(avg(waited_ms) / 1000, 1) as mean_wait_s, round(quantile_cont(waited_ms, 0.9) / 1000, 1) as p90_wait_s,
  sum(abandoned) as gave_up
from latest where handed_off_at is not null
group by all order by tenant, hour;
