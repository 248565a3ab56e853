"""Training rows of a dataset with SQL, straight from the files: python with_duckdb.py DATASET."""

import sys

import duckdb

executions = duckdb.read_parquet(f"{sys.argv[1]}/executions/**/*.parquet")
trainable = executions.filter("role = 'main' and censored = 'none' and co_censored = 'none'")
count, total_ns = trainable.aggregate("count(*), sum(span_ns)").fetchall()[0]
print(count, int(total_ns))
