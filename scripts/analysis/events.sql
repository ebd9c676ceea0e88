select tenant, type, count(*) as events, min("at") as first, max("at") as last
from read_parquet('lake/events/*/*/*.parquet', hive_partitioning = true)
group by all order by tenant, events desc;
