"""What host and lane say to each other through two pipes: fixed frames, so that hot loops handle only integers.

Frames are written whole and are smaller than PIPE_BUF (but for LOAD bodies), so a reader never sees half a frame of a
writer that has died. The frames of MAX_QUEUED executions fit into a pipe: neither side ever blocks on writing.
"""

import struct

# host -> lane: kind, ticket, handle, gate_ns, delay_ns, bytes of the body that follows
COMMAND = struct.Struct("<6q")
LOAD, UNLOAD, RUN = range(3)

# lane -> host: kind, ticket, start_ns, end_ns, cpu_ns, bytes of the body that follows
REPLY = struct.Struct("<6q")
READY, LOADED, FAILED, UNLOADED, DONE = range(5)

MAX_QUEUED = 1024  # executions of one lane that have not been collected yet; 48 KiB of the 64 KiB of a pipe
MAX_BODY_BYTES = 2048  # of a reply, so that frame and body stay below PIPE_BUF (4096)
