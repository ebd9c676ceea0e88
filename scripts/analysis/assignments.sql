select tenant, coalesce(policy, 'by hand') as policy, count(*) filter (rank = 1) as offers,
  round(avg(score) filter (rank = 1) - avg(score) filter (rank = 2), 4) as mean_lead,
  round(avg(candidates), 1) as mean_candidates
from (
  select *, count(*) over (partition by tenant, conversation, offer) as candidates
  from read_parquet('lake/assignments/*/*/*.parquet', hive_partitioning = true)
)
group by all order by tenant, offers desc;
