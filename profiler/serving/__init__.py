"""Open-loop serving: arrivals drawn beforehand, one queue per tenant, dynamic batching onto idle lanes."""
