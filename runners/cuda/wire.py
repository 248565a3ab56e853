"""What host and lane process say to each other through two pipes: fixed frames, so that hot loops handle only integers.

Frames are smaller than PIPE_BUF (but for LOAD bodies), so a reader never sees half a frame of a writer that has died.
The replies of MAX_QUEUED executions fit into a pipe: a lane does not block on a host that is away.
"""

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

# host -> lane: kind, ticket, handle, start_timer_ns (0 = at once), delay_ns, bytes of the body that follows
COMMAND = struct.Struct("<6q")
LOAD, UNLOAD, RUN, SYNC = range(4)  # SYNC: an idle lane answers with an ANCHOR taken now

# lane -> host: kind, ticket, first_ns, second_ns, h2d_ns, d2h_ns, bytes of the body that follows
REPLY = struct.Struct("<7q")
READY, LOADED, FAILED, OUT_OF_MEMORY, UNLOADED, DONE, ANCHOR = range(7)

NONE = -1  # a copy time that was not asked for
MAX_BODY_BYTES = 2048  # of a reply, so that frame and body stay below PIPE_BUF (4096)
READ_BYTES = 1 << 16


class Command(NamedTuple):
    """One frame to a lane."""

    kind: int
    ticket: int
    handle: int
    start_timer_ns: int
    delay_ns: int
    body: bytes = b""

    def packed(self) -> bytes:
        """Return the frame with its body."""
        return COMMAND.pack(*self[:-1], len(self.body)) + self.body


class Reply(NamedTuple):
    """One frame from a lane.

    DONE: ticket, start and end on the global timer, copy times. ANCHOR: whether the lane was idle in `ticket`, then
    device_ns, host_ns, and rtt_ns in `h2d_ns`.
    """

    kind: int
    ticket: int = 0
    first_ns: int = 0
    second_ns: int = 0
    h2d_ns: int = NONE
    d2h_ns: int = NONE
    body: bytes = b""

    def packed(self) -> bytes:
        """Return the frame with its body, which is cut to what fits."""
        body = self.body[:MAX_BODY_BYTES]
        return REPLY.pack(*self[:-1], len(body)) + body

    @classmethod
    def of(cls, numbers: Sequence[int], body: bytes) -> "Reply":
        """Return the reply of a frame."""
        kind, ticket, first_ns, second_ns, h2d_ns, d2h_ns = numbers
        return cls(kind, ticket, first_ns, second_ns, h2d_ns, d2h_ns, body)


class Frames:
    """Reads frames from a pipe that does not block."""

    def __init__(self, descriptor: int, layout: struct.Struct) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._layout = descriptor, layout
        self._buffer = b""
        self.ended = False  # the writer has closed its end

    def read(self) -> list[tuple[list[int], bytes]]:
        """Return the frames that have arrived: their numbers but for the body's length, and their bodies."""
        while not self.ended:
            try:
                data = os.read(self._descriptor, READ_BYTES)
            except BlockingIOError:
                break
            self.ended = not data
            self._buffer += data
        return self._cut()

    def _cut(self) -> list[tuple[list[int], bytes]]:
        frames, position, buffer, size = [], 0, self._buffer, self._layout.size
        while len(buffer) - position >= size:
            *numbers, body_bytes = self._layout.unpack_from(buffer, position)
            if len(buffer) - position - size < body_bytes:
                break
            position += size
            frames.append((numbers, buffer[position : position + body_bytes]))
            position += body_bytes
        self._buffer = buffer[position:]
        return frames
