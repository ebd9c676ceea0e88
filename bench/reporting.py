"""The peer of `kefu-bench reporting`: DuckDB counts the exported events and times sessions, by hour and channel, on one thread."""

import json
import sys
import time

import duckdb

lake = sys.argv[1]
db = duckdb.connect(config={"threads": 1})
began = time.perf_counter()
events = db.execute(f"select count(*) from read_parquet('{lake}/events/*/*/*.parquet')").fetchone()[0]
db.execute(f"""
create table counts as
select date_trunc('hour', "at") as hour, type, count(*) as events from read_parquet('{lake}/events/*/*/*.parquet') group by all;
create table waits as
select key, min("at") filter (type = 'queued') as since, min("at") filter (type = 'offer_accepted') as taken,
  min("at") filter (type = 'session_opened') as opened, max("at") filter (type = 'session_closed') as closed
from read_parquet('{lake}/events/*/*/*.parquet') where aggregate = 'conversation' group by key;
create table figures as
select date_trunc('hour', opened) as hour, count(*) as sessions, avg(epoch_ms(taken) - epoch_ms(since)) as asa,
  quantile_cont(epoch_ms(taken) - epoch_ms(since), 0.9) as p90 from waits group by all;
""")
seconds = time.perf_counter() - began
print(json.dumps({"version": duckdb.__version__, "events": events, "seconds": round(seconds, 3), "events_per_s": round(events / seconds)}))
