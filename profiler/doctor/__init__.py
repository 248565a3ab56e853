"""What this machine can measure: one file for each group of checks, put together by `examine`."""
