"""Training rows of a dataset in batches of a PyTorch DataLoader: python with_torch.py DATASET."""

import sys
from collections.abc import Iterator

import pyarrow.dataset as ds
import torch
from torch.utils.data import DataLoader, IterableDataset

TRAINABLE = (ds.field("role") == "main") & (ds.field("censored") == "none") & (ds.field("co_censored") == "none")


class Spans(IterableDataset[torch.Tensor]):
    """Spans in ns, record batch by record batch, in bounded memory."""

    def __iter__(self) -> Iterator[torch.Tensor]:
        files = ds.dataset(f"{sys.argv[1]}/executions", format="parquet")
        for batch in files.to_batches(columns=["span_ns"], filter=TRAINABLE):
            yield from torch.tensor(batch["span_ns"].to_numpy())


count = total_ns = 0
for spans_ns in DataLoader(Spans(), batch_size=1024):
    count, total_ns = count + len(spans_ns), total_ns + int(spans_ns.sum())
print(count, total_ns)
