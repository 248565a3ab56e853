"""Training rows of a dataset with Ray Data: python with_ray.py DATASET."""

import sys

import ray
from ray.data.expressions import col

ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
executions = ray.data.read_parquet(f"{sys.argv[1]}/executions", columns=["role", "censored", "co_censored", "span_ns"])
trainable = executions.filter(
    expr=(col("role") == "main") & (col("censored") == "none") & (col("co_censored") == "none")
)
print(trainable.count(), trainable.sum("span_ns"))
