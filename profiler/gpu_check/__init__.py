"""What this package does on a real GPU, in one command where nothing may be installed: `python3 -m` this, `--help`."""
