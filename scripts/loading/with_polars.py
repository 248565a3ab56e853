"""Training rows of a dataset with polars, read lazily: python with_polars.py DATASET."""

import sys

import polars as pl

executions = pl.scan_parquet(f"{sys.argv[1]}/executions/**/*.parquet")
trainable = executions.filter(role="main", censored="none", co_censored="none")
print(*trainable.select(pl.len(), pl.col("span_ns").sum()).collect().row(0))
