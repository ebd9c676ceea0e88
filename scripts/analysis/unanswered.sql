with latest as (
  select * from read_parquet('lake/answers/*/*/*.parquet', hive_partitioning = true)
  qualify row_number() over (partition by tenant, conversation, request order by seq desc) = 1
)
select tenant, day, outcome, count(*) as questions, round(avg(confidence), 3) as mean_confidence,
  count(*) filter (helpful) as helpful, count(*) filter (not helpful) as unhelpful
from latest group by all order by tenant, day, questions desc;
