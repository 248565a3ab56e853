"""Experiments, written once against the session protocol."""
