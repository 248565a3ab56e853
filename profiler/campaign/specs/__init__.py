"""Ready campaigns."""
