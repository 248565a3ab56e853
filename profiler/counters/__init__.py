"""Where throughputs come from."""
