"""The dataset card: README.md with the front matter that dataset hubs read, for who has never seen the tool."""

from collections.abc import Iterator

import yaml

from cotenant.datasets.card_facts import CardFacts
from cotenant.datasets.columns import TABLES
from cotenant.datasets.words import COUNTER_SOURCES

FILE = "README.md"
TAGS = ("inference", "interference", "co-location", "gpu", "performance", "latency", "tabular")
SIZES = (  # words of dataset hubs for numbers of rows: the first whose limit holds
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
)
FIRST = "executions"  # what a viewer shows first
HOW = """Every time is an integer of nanoseconds on one clock. An execution is one batch run once on a lane; its overlap
intervals say who ran beside it, from when to when. A slowdown is a ratio over ABBA quads of short blocks (solo, beside,
beside, solo) with bounds over quads; serving experiments draw their arrivals beforehand and count latency from there.
Controls stand in the data: null co-locations, solo canaries, a self-test of co-residency.

Rows are marked, never dropped. Default training rows: `executions` with `role` main, `censored` none and `co_censored`
none, of experiments whose `verdict` is not failed. Where a value is null, `null_reasons` says why."""
IMPORTED = """Experiments of kind `imported` were measured by another tool, with its own definitions: what stands above
does not hold for them. Their slowdowns are ratios of the times that it tells, without bounds; their `spec` names the
source file."""
LIMITS = """Numbers hold for the devices, engines, drivers and modes named here, and for no others. Percentages of
different counter sources are different quantities; `counter_source` and `counter_set` say which: never mix them."""


def card_text(facts: CardFacts) -> str:
    """Return the card as Markdown, the same for the same dataset."""
    return (
        "---\n" + yaml.safe_dump(_front_matter(facts), sort_keys=False, allow_unicode=True) + "---\n\n" + _body(facts)
    )


def _front_matter(facts: CardFacts) -> dict[str, object]:
    names = sorted(facts.row_counts, key=lambda name: (name != FIRST, list(facts.row_counts).index(name)))
    return {
        "license": facts.licence,
        "pretty_name": facts.name,
        "size_categories": [_size(facts.row_counts.get(FIRST, 0))],
        "tags": list(TAGS),
        "configs": [
            {
                "config_name": name,
                "data_files": [{"split": "train", "path": f"{name}/**/*.parquet"}],
                **({"default": True} if name == FIRST else {}),
            }
            for name in names
        ],
    }


def _size(row_count: int) -> str:
    return next((word for limit, word in SIZES if row_count < limit), "n>1T")


def _body(facts: CardFacts) -> str:
    return (
        "\n\n".join(
            [
                f"# {facts.name}",
                facts.summary,
                *_measured(facts),
                "## How it was measured",
                HOW,
                *([IMPORTED] if "imported" in facts.description.experiment_counts else []),
                *_trust(facts),
                *_tables(facts),
            ]
        )
        + "\n"
    )


def _measured(facts: CardFacts) -> Iterator[str]:
    yield "## What was measured"
    engines = ", ".join(f"`{name}`" for name in facts.description.engines)
    yield f"Engines (model@batch size): {engines}." if engines else "No engine of a network."
    if facts.counter_sources:
        lines = (
            f"- `{source}`, set `{chosen}`: {count} engines; {COUNTER_SOURCES.get(source, 'of a newer cotenant')}"
            for (source, chosen), count in facts.counter_sources.items()
        )
        yield "Throughputs come from:\n\n" + "\n".join(lines)


def _trust(facts: CardFacts) -> Iterator[str]:
    yield "## How far it can be trusted"
    counts = ", ".join(f"{count} {word}" for word, count in facts.description.verdict_counts.items())
    reasons = "\n".join(f"- {count} x `{word}`" for word, count in facts.description.reason_counts.items())
    yield f"Verdicts of experiments: {counts or 'none'}."
    if reasons:
        yield "Reasons:\n\n" + reasons
    floors = [floor for floor in facts.description.noise_floor_ratios.values() if floor is not None]
    if floors:
        yield f"Noise floor: a slowdown up to {max(floors):.3f} can be chance."
    if facts.description.missing:
        yield "Missing:\n\n" + "\n".join(f"- {line}" for line in facts.description.missing)
    yield LIMITS


def _tables(facts: CardFacts) -> Iterator[str]:
    yield "## Tables"
    head = "| table | rows | one row per |\n|---|---|---|"
    yield "\n".join(
        [head, *(f"| `{name}` | {count:,} | {TABLES[name].row} |" for name, count in facts.row_counts.items())]
    )
    yield "Unit and meaning of each column stand in its Parquet field metadata; a name's suffix tells the unit:"
    for name in facts.row_counts:
        lines = (f"- `{column.name}`: {column.meaning}" for column in TABLES[name].columns)
        yield f"### {name}\n\n" + "\n".join(lines)
