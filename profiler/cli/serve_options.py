"""The options of `cotenant serve` that say what is served and under which load."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from cotenant.profiler.cli.numbers import FiniteRange, numbers_above_0
from cotenant.profiler.cli.options import model_option

Command = TypeVar("Command", bound=Callable[..., Any])

# beyond these a run says nothing more of a device, it only fills the memory with requests
LOAD_MAX = 100
RATE_MAX_PER_S = 1e6
SECONDS_MIN, SECONDS_MAX = 1e-3, 86_400
WAIT_MAX_US = 60e6
DEADLINE_MAX_MS = 3.6e6
BATCH_MAX = 4096

_service_options = (
    model_option,
    click.option(
        "--load",
        "loads",
        multiple=True,
        metavar="LOADS",
        callback=numbers_above_0("offered load", "0.7 or 0.3,0.7", LOAD_MAX),
        help="Work that arrives over work that the lanes can do, as in 0.7 or 0.3,0.7; each is a run of its own."
        " Tenants get equal parts. Repeatable.",
    ),
    click.option(
        "--rate",
        "rates_per_s",
        multiple=True,
        metavar="RATES",
        callback=numbers_above_0("rate", "50 or 50,8", RATE_MAX_PER_S),
        help="Requests per second, in place of --load: one rate for every tenant, or one for each.",
    ),
    click.option(
        "--max-batch",
        type=click.IntRange(1, BATCH_MAX),
        default=8,
        show_default=True,
        help="Most requests in a batch. Each power of two below it gets an engine too.",
    ),
    click.option(
        "--wait-us",
        type=FiniteRange(0, WAIT_MAX_US),
        default=2000.0,
        show_default=True,
        help="How long the first queued request waits for more to make a batch.",
    ),
    click.option(
        "--deadline-ms",
        type=FiniteRange(0, DEADLINE_MAX_MS, min_open=True),
        default=None,
        help="Latency allowed; what misses it is counted.",
    ),
    click.option(
        "--concurrency",
        "concurrencies",
        type=click.IntRange(1, 64),
        multiple=True,
        show_default="as many as lanes",
        help="Batches in flight at most. Repeatable; each is a run of its own.",
    ),
    click.option(
        "--seconds",
        type=FiniteRange(SECONDS_MIN, SECONDS_MAX),
        default=None,
        show_default="as long as 400 requests of each tenant take",
        help="How long requests arrive in each run.",
    ),
)


def service_options(body: Command) -> Command:
    """Add the options that say what is served; the command gets them as one `service`."""

    @wraps(body)
    def with_service(
        models: tuple[str, ...],
        loads: tuple[float, ...],
        rates_per_s: tuple[float, ...],
        max_batch: int,
        wait_us: float,
        deadline_ms: float | None,
        concurrencies: tuple[int, ...],
        seconds: float | None,
        **others: Any,
    ) -> Any:
        from cotenant.profiler.campaign.shortcuts import Service

        service = Service(models, loads, rates_per_s, max_batch, wait_us, deadline_ms, concurrencies, seconds)
        return body(service=service, **others)

    decorated: Any = with_service
    for option in reversed(_service_options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
