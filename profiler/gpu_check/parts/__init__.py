"""One part of the check a file, each with `measure(facts)`; run in a process of its own by `inside`."""
