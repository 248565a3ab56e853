"""Device files that come with the package: `*.yaml`, one a GPU."""
