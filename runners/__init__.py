"""What executes: one backend each behind one protocol."""
