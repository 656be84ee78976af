"""The commands `nextscale train`, `evaluate`, `battery` and `experiment`."""
