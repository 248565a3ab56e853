"""Columns of words, dictionary-encoded, whose bytes depend on the words alone."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cotenant.datasets.derive.measured import Ints, codes

INT32_MAX = 2**31 - 1


def constant(word: str, count: int) -> pa.DictionaryArray:
    """Return a word repeated."""
    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([word], pa.string()))


def words_of(index: Ints, words: Sequence[str]) -> pa.DictionaryArray:
    """Return words by their places."""
    return pa.DictionaryArray.from_arrays(index.astype(np.int32), pa.array(words, pa.string()))


def renumbered(column: pa.ChunkedArray, words: Sequence[str]) -> pa.DictionaryArray:
    """Return a column of words with a dictionary of just these, in this order; ValueError on any other word."""
    index = codes(column, list(words))
    if np.any(index < 0):
        unknown = column.cast(pa.string())[int(np.flatnonzero(index < 0)[0])]
        raise ValueError(f"{unknown} is none of {', '.join(words)}")
    return words_of(index, words)


def word_lists(offsets: Ints, index: Ints, words: Sequence[str]) -> pa.ListArray:
    """Return lists of words; list r is index[offsets[r]:offsets[r + 1]]."""
    return lists(offsets, words_of(index, words))


def lists(offsets: Ints, values: pa.Array) -> pa.ListArray:
    """Return lists of values; ValueError where there are more than one array of lists can hold."""
    if len(offsets) and offsets[-1] > INT32_MAX:
        raise ValueError(f"{offsets[-1]} values are more than one array of lists can hold")
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def marked(marks: Mapping[str, NDArray[np.bool_]], count: int) -> pa.ListArray:
    """Return the words that each of `count` rows has, sorted; `marks` are word -> which rows have it."""
    words = sorted(word for word, flags in marks.items() if flags.any())
    flags = np.column_stack([marks[word] for word in words]) if words else np.zeros((count, 0), dtype=bool)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(flags.sum(axis=1))))
    return word_lists(offsets, np.nonzero(flags)[1], words)


def renumbered_lists(column: pa.ChunkedArray, words: Sequence[str]) -> pa.ListArray:
    """Return a column of lists of words with a dictionary of just these; ValueError on any other word."""
    lengths = np.asarray(pc.list_value_length(column).to_numpy(), dtype=np.int64)
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    return lists(offsets, renumbered(pc.list_flatten(column), words))
