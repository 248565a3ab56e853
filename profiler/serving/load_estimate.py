"""What a dispatcher can know of the load: each tenant's arrival rate, from an average of the gaps between arrivals."""

NS_PER_S = 1_000_000_000
SHIFT = 4  # a new gap weighs 1/16: the estimate rests on some 31 gaps, whole ns, the same on every machine
UNKNOWN_NS = -1


class GapAverages:
    """Exponentially weighted mean of gaps between arrivals, by tenant.

    Attributes:
        gap_ns: The averages; UNKNOWN_NS before a tenant's first request.
        last_ns: Each tenant's last arrival.
    """

    def __init__(self, tenant_count: int, start_ns: int) -> None:
        self.gap_ns = [UNKNOWN_NS] * tenant_count
        self.last_ns = [start_ns] * tenant_count

    def see(self, tenant: int, arrival_ns: int) -> None:
        """Count a request in; the first gap is the one from the run's start."""
        gap = arrival_ns - self.last_ns[tenant]
        mean = self.gap_ns[tenant]
        self.gap_ns[tenant] = gap if mean == UNKNOWN_NS else mean + ((gap - mean) >> SHIFT)
        self.last_ns[tenant] = arrival_ns

    def rates_per_s(self, now_ns: int) -> list[float | None]:
        """Return arrivals per second, None before a tenant's first request.

        Silence counts: a gap that is longer already than the average enters it as if it ended now.
        """
        found: list[float | None] = []
        for mean, last_ns in zip(self.gap_ns, self.last_ns, strict=True):
            silent = now_ns - last_ns - mean
            gap = mean + (silent >> SHIFT) if silent > 0 else mean
            found.append(None if mean == UNKNOWN_NS else NS_PER_S / max(gap, 1))
        return found
