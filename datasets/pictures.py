"""Figures as pictures, SVG and PNG, for papers and pages; needs matplotlib (the extra `figures`)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cotenant.datasets.figures import Figure
from cotenant.models.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (6.4, 4.0)
DOTS_PER_INCH = 150
STYLE: Any = {
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "cotenant",  # the same data gives the same file
}
PAPER_P95_RATIO = 1.5166  # section 3, at two batches in flight on an L4
NS_PER_MS = 1e6


def draw(figure: Figure, folder: Path) -> list[Path]:
    """Draw a figure into `folder` and return the files; UserError if matplotlib is missing."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise UserError("pictures need matplotlib; install it with `pip install cotenant[figures]`") from error
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=SIZE_INCHES, layout="constrained")
        axes = canvas.add_subplot()
        DRAWN[figure.name](figure.rows, axes)
        axes.set_title(figure.title, loc="left", fontsize=10)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False)
        paths = [folder / f"{figure.name}.{ending}" for ending in ("svg", "png")]
        for path in paths:
            stamp = {"Date": None} if path.suffix == ".svg" else {}
            canvas.savefig(path, dpi=DOTS_PER_INCH, metadata=stamp)
    return paths


def _throughput(rows: pd.DataFrame, axes: "Axes") -> None:
    for (model, precision), own in rows.groupby(["model", "precision"]):
        axes.plot(own.batch_size, own.throughput_items_per_s, marker="o", markersize=3, label=f"{model} {precision}")
    axes.set_xlabel("batch size")
    axes.set_ylabel("items per second")
    axes.set_xticks(sorted(rows.batch_size.unique()))
    _plain(axes)


def _latency(rows: pd.DataFrame, axes: "Axes") -> None:
    alike = rows[~rows.models.str.contains("+", regex=False)]  # the paper's tasks all deploy one model
    for label, own in _lines(alike if len(alike) else rows):
        _with_bounds(axes, own.tenant_count, own, "latency_p99", "_ns", NS_PER_MS, label)
    axes.set_xlabel("co-located tenants")
    axes.set_ylabel("p99 of latency, ms")
    axes.set_xticks(sorted(rows.tenant_count.unique()))
    _plain(axes)


def _interference(rows: pd.DataFrame, axes: "Axes") -> None:
    for (models, concurrency), own in rows.groupby(["models", "concurrency"]):
        label = f"{_short(str(models))}, {concurrency} in flight"
        _with_bounds(axes, own.offered_load, own, "interference_p95", "_ratio", 1.0, label, linestyle="none")
    axes.axhline(PAPER_P95_RATIO, color="grey", linewidth=0.8, linestyle=":", label="the paper, 2 in flight")
    axes.set_xlabel("offered load")
    axes.set_ylabel("p95 of span / p95 of solo span")


def _short(models: str) -> str:
    count = models.count("+") + 1
    return models if count <= 2 else f"{count} models"


def _plain(axes: "Axes") -> None:
    """Label a logarithmic axis with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")


def _lines(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield lines over the number of tenants; where a number occurs more than once, one line per load."""
    for (models, concurrency), own in rows.groupby(["models", "concurrency"]):
        mode = "one batch at a time" if concurrency == 1 else f"{concurrency} batches at once"
        several = own.tenant_count.duplicated().any()
        for load, part in own.groupby(own.offered_load.round(1)) if several else [(own.offered_load.mean(), own)]:
            yield f"{models}, {mode}, load {load:.2g}", part


def _with_bounds(
    axes: "Axes",
    x: "pd.Series[float]",
    rows: pd.DataFrame,
    name: str,
    unit: str,
    scale: float,
    label: str,
    linestyle: str = "-",
) -> None:
    value, lower, upper = (rows[f"{name}{end}{unit}"].astype(float) / scale for end in ("", "_lower", "_upper"))
    bars = [value - lower, upper - value]
    axes.errorbar(x, value, bars, marker="o", markersize=3, capsize=2, label=label, linestyle=linestyle)


DRAWN: dict[str, Callable[[pd.DataFrame, "Axes"], None]] = {
    "throughput_by_batch": _throughput,
    "latency_by_tenants": _latency,
    "interference_by_concurrency": _interference,
}
