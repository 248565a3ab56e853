"""The former place of `cotenant.profiler.quality.container`, for importers that have not moved yet."""

from cotenant.profiler.quality.container import ROOT, in_container, in_first_user_namespace, read_text

__all__ = ["ROOT", "in_container", "in_first_user_namespace", "read_text"]
