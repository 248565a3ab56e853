"""The serving loop: admit what has arrived, fill idle lanes with batches that are ready, sleep until something happens.

    arrivals   |a  a    b a   |a             drawn beforehand; the host wakes for them only while a lane is idle
    queue a    [--wait--)                    from the first request's arrival, or until the batch is full
    lane 0              |---- a x 3 ----|    formed and dispatched at once; a lane never holds two
    lane 1                 |-- b --|

At one instant: completions, then arrivals, then dispatches. Nothing is formed from the run's end on; what is in flight
then is drained, what is queued stays unfinished.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cotenant.profiler.experiments.bench import Hang
from cotenant.profiler.serving.arrivals import Arrivals
from cotenant.profiler.serving.batching import engine_of_count
from cotenant.profiler.serving.deployment import TenantRules
from cotenant.profiler.serving.load_estimate import GapAverages
from cotenant.profiler.serving.log import NOT_BATCHED, ServingLog, Snapshots
from cotenant.profiler.serving.orders import OrderRule
from cotenant.profiler.serving.queues import NEVER_NS, Queues
from cotenant.runners.protocol import Completion, Loaded, Session


@dataclass(frozen=True)
class Service:
    """What serves.

    Attributes:
        loaded: By lane and engine, the engine loaded there.
        spans_ns: Each engine's solo median as known before the run.
        concurrency: Batches in flight at most; not more than lanes.
    """

    tenants: Sequence[TenantRules]
    loaded: Sequence[Sequence[Loaded]]
    spans_ns: Sequence[int]
    concurrency: int
    order: OrderRule


def serve(session: Session, service: Service, arrivals: Arrivals, duration_ns: int, hang_ns: int) -> ServingLog:
    """Serve all arrivals of [0, duration_ns) and return what happened.

    Raises:
        LaneLost: A lane died.
        Hang: A batch was not done after `hang_ns`.
    """
    return _Loop(session, service, arrivals, duration_ns, hang_ns).run()


class _Loop:
    def __init__(self, session: Session, service: Service, arrivals: Arrivals, duration_ns: int, hang_ns: int) -> None:
        self.session = session
        self.service = service
        self.hang_ns = hang_ns
        self.engine_of = [engine_of_count(tenant) for tenant in service.tenants]
        self.places = range(len(service.tenants))
        self.idle_lanes = list(range(session.lane_count - 1, -1, -1))
        # ticket -> batch, lane, dispatched, end if it ran alone; the oldest first
        self.running: dict[int, tuple[int, int, int, int]] = {}
        self.next = 0
        start_ns = session.now_ns()
        at_ns = (arrivals.at_ns + start_ns).tolist()
        self.log = ServingLog(
            start_ns, start_ns + duration_ns, at_ns, arrivals.tenant.tolist(), [NOT_BATCHED] * len(at_ns), Snapshots()
        )
        self.at_ns = [*at_ns, NEVER_NS]
        self.queues = Queues(service.tenants, self.at_ns)
        self.gaps = GapAverages(len(service.tenants), start_ns)

    def run(self) -> ServingLog:
        """Serve until the end, then drain."""
        now_ns, wait = self.session.now_ns, self.session.wait
        end_ns, running, concurrency = self.log.end_ns, self.running, self.service.concurrency
        awake_ns = self.log.start_ns  # since when the host should have been looking
        while True:
            now = now_ns()
            if self.at_ns[self.next] <= now:
                self._admit(now, awake_ns)
            if now >= end_ns:
                break
            wake_ns = self._dispatch_ready(now) if len(running) < concurrency else end_ns
            is_full = len(running) >= concurrency
            until_ns = min(end_ns, self._hang_at_ns())
            if not is_full:
                until_ns = min(until_ns, wake_ns, self.at_ns[self.next])
            done = wait(until_ns)
            if is_full:  # no lane could have taken what arrived meanwhile, so nobody looked
                awake_ns = done[0].end_ns if done else until_ns
            if done:
                self._complete(done)
            else:
                self._check_hang()
        while running:
            done = wait(self._hang_at_ns())
            self._complete(done)
            if not done:
                self._check_hang()
        return self.log

    def _admit(self, now: int, awake_ns: int) -> None:
        at_ns, tenant_of, waiting, bound = self.at_ns, self.log.request_tenant, self.queues.waiting, self.queues.bound
        lag_ns, see, index = self.log.lag_ns, self.gaps.see, self.next
        while (arrival := at_ns[index]) <= now:
            tenant = tenant_of[index]
            queue = waiting[tenant]
            if len(queue) < bound[tenant]:
                queue.append(index)
            else:
                self.log.dropped.append(index)
            see(tenant, arrival)
            late = now - (arrival if arrival > awake_ns else awake_ns)
            lag_ns.append(late if late > 0 else 0)
            index += 1
        self.next = index

    def _dispatch_ready(self, now: int) -> int:
        """Fill idle lanes with what is ready and return when the next batch will have waited long enough."""
        queues, order = self.queues, self.service.order
        waiting, at_ns, wait_ns, max_batch = queues.waiting, self.at_ns, queues.wait_ns, queues.max_batch
        while True:
            best, best_rank, wake_ns = -1, 0, NEVER_NS
            for tenant in self.places:
                queue = waiting[tenant]
                if not queue:
                    continue
                due_ns = at_ns[queue[0]] + wait_ns[tenant]
                if due_ns <= now or len(queue) >= max_batch[tenant]:
                    rank = order(queues, tenant)
                    if best < 0 or rank < best_rank:
                        best, best_rank = tenant, rank
                elif due_ns < wake_ns:
                    wake_ns = due_ns
            if best < 0:
                return wake_ns
            self._dispatch(best, now)
            if len(self.running) >= self.service.concurrency:
                return NEVER_NS

    def _dispatch(self, tenant: int, now: int) -> None:
        log, batch = self.log, len(self.log.tenant)
        requests = self.queues.take(tenant)
        for request in requests:
            log.batch_of[request] = batch
        engine = self.engine_of[tenant][len(requests)]
        self._snapshot(now)
        lane = self.idle_lanes.pop()
        dispatched_ns = self.session.now_ns()
        ticket = self.session.submit(lane, self.service.loaded[lane][engine])
        self.running[ticket] = (batch, lane, dispatched_ns, dispatched_ns + self.service.spans_ns[engine])
        log.tenant.append(tenant)
        log.lane.append(lane)
        log.engine.append(engine)
        log.count.append(len(requests))
        log.batched_ns.append(now)
        log.dispatched_ns.append(dispatched_ns)
        for stamps in (log.start, log.end):
            stamps.append(0)
        for optional in (log.cpu, log.h2d, log.d2h):
            optional.append(None)

    def _snapshot(self, now: int) -> None:
        snapshot, at_ns = self.log.snapshot, self.at_ns
        snapshot.running_count.append(len(self.running))
        for batch, _, _, solo_end_ns in self.running.values():
            snapshot.running.append(batch)
            snapshot.remaining_solo_ns.append(solo_end_ns - now if solo_end_ns > now else 0)
        waiting = self.queues.waiting
        snapshot.queued += [len(queue) for queue in waiting]
        snapshot.age_ns += [now - at_ns[queue[0]] if queue else None for queue in waiting]
        snapshot.rates_per_s += self.gaps.rates_per_s(now)

    def _complete(self, done: Sequence[Completion]) -> None:
        log = self.log
        for each in done:
            batch, lane, _, _ = self.running.pop(each.ticket)
            self.idle_lanes.append(lane)
            log.start[batch], log.end[batch] = each.start_ns, each.end_ns
            log.cpu[batch], log.h2d[batch], log.d2h[batch] = each.cpu_ns, each.h2d_ns, each.d2h_ns
        self.idle_lanes.sort(reverse=True)  # the idle lane with the lowest number is next

    def _hang_at_ns(self) -> int:
        for _, _, dispatched_ns, _ in self.running.values():
            return dispatched_ns + self.hang_ns
        return NEVER_NS

    def _check_hang(self) -> None:
        if self.session.now_ns() >= self._hang_at_ns():
            raise Hang(next(iter(self.running.values()))[1], self.hang_ns / 1e9)
