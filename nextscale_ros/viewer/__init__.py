"""The viewer node, and markers for RViz."""
