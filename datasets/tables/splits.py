"""The tables `splits`: one row per execution and split.

No dataset must have one: `cotenant dataset split` makes as many as wanted, side by side.
"""

from cotenant.datasets.column import EXPERIMENT, I64, WORD, Column, Table, index, one_of

SPLITS = "splits"
PARTS = {
    "train": "a predictor may be fitted on it",
    "test": "a predictor is judged on it",
    "test1": "the training models under other loads (the paper's Test Set 1)",
    "test2": "runs that deployed no training model (the paper's Test Set 2)",
    "test3": "runs that deployed training models and others together (the paper's Test Set 3)",
    "beside": "ran in a run of the left-out model, but is of another model: neither fitted on nor judged on",
    "unassigned": "belongs to no part of this split",
}
USED_PARTS = ("train", "test", "test1", "test2", "test3")  # those that scores are made of

SPLIT_TABLE = Table(
    SPLITS,
    "execution and split",
    ("split", "experiment_id", "execution_id"),
    (
        EXPERIMENT,
        index("execution_id", "Execution within the experiment", kind=I64),
        Column("split", WORD, "", "Name of the split"),
        one_of("part", PARTS, "Side of the split that the execution is on, whatever its role and marks"),
    ),
    large=True,
)
