"""Training rows of a dataset with pandas: python with_pandas.py DATASET."""

import sys
from pathlib import Path

import pandas as pd

dataset = Path(sys.argv[1])
executions = pd.read_parquet(dataset / "executions")
trainable = executions.query("role == 'main' and censored == 'none' and co_censored == 'none'")
print(len(trainable), int(trainable.span_ns.sum()))
