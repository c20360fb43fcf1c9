"""One file a command of the `visionedge` program: `add_parser` and `run`."""
