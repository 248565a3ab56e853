"""From a YAML spec to a folder of results, resumable."""
