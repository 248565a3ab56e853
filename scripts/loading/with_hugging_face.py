"""Training rows of a dataset with Hugging Face datasets, by its card: python with_hugging_face.py DATASET."""

import sys

from datasets import load_dataset

executions = load_dataset(sys.argv[1], "executions", split="train")
main = executions.filter(lambda row: (row["role"], row["censored"], row["co_censored"]) == ("main", "none", "none"))
print(len(main), sum(main["span_ns"]))
