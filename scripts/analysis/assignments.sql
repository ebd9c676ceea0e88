with offers as (
  select tenant, conversation, offer, coalesce(any_value(policy), 'by hand') as policy, count(*) as candidates,
    any_value(agent) filter (rank = 1) as first_candidate,
    any_value(score) filter (rank = 1) - any_value(score) filter (rank = 2) as lead
  from read_parquet('lake/assignments/*/*/*.parquet', hive_partitioning = true)
  group by tenant, conversation, offer
), taken as (
  select tenant, key as conversation, event ->> '$.offer' as offer, event ->> '$.agent' as agent
  from read_parquet('lake/events/*/*/*.parquet', hive_partitioning = true) where type = 'offer_accepted'
)
-- The lead is that of offers with at least two candidates.
select tenant, policy, count(*) as offers, round(avg(coalesce(taken.agent = first_candidate, false)::int), 3) as taken_by_first,
  round(avg(lead), 4) as mean_lead, round(avg(candidates), 1) as mean_candidates
from offers left join taken using (tenant, conversation, offer)
group by all order by tenant, offers desc;
