"""Reports of Nsight Compute: two readers, one answer, and nothing believed because it could be opened."""

from cotenant.profiler.counters.reports.read import read_report
from cotenant.profiler.counters.reports.report import NoReader, Report, ReportDamaged, Workload

__all__ = ["NoReader", "Report", "ReportDamaged", "Workload", "read_report"]
