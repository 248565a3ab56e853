"""The gate of lanes in one process: an epoch in a word that the device reads; streams wait until it has come.

What was submitted inside is held on the host until the block ends, so that an exception inside drops all of it. Then
every lane's part is queued behind the closed gate, and one store opens it for all: no lane's launches delay another
lane's start.
"""

import threading
from collections.abc import Callable

from cotenant.runners.cuda.gpu import Gpu

Hold = Callable[[int], None]  # queues on a stream what holds it

# Queueing behind the gate takes some microseconds a lane. If it blocks (a queue that is full before we think), only
# opening the gate can end that: the lanes then start apart, which is better than never.
PATIENCE_S = 2.0


class Gate:
    """One gate, used again and again."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._words = gpu.words(1)
        self._epoch = 0
        self._lock = threading.Lock()
        self.opened_early = 0  # how often patience ran out

    def next_hold(self) -> Hold:
        """Return what holds a stream until the next opening."""
        epoch = self._epoch + 1
        return lambda stream: self._gpu.wait_word(stream, self._words, 0, epoch)

    def pass_through(self, queue: Callable[[], None]) -> None:
        """Queue what waits for the gate, then open it; it opens whatever happens."""
        try:
            queue()
        finally:
            with self._lock:
                self._open()
                self._epoch += 1

    def pass_through_watched(self, queue: Callable[[], None]) -> None:
        """Do the same where queueing might block; the gate opens early then."""
        timer = threading.Timer(PATIENCE_S, self._open_early, [self._epoch + 1])
        timer.daemon = True
        timer.start()
        try:
            self.pass_through(queue)
        finally:
            timer.cancel()

    def _open(self) -> None:
        self._words.write(0, self._epoch + 1)

    def _open_early(self, epoch: int) -> None:
        with self._lock:  # the timer may fire as its epoch ends, and must not open the next
            if epoch == self._epoch + 1:
                self.opened_early += 1
                self._open()
