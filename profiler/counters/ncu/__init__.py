"""Nsight Compute: profiles one engine in a process of its own, and turns whatever goes wrong into one clear line."""
