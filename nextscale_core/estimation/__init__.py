"""What the measurements of a robot mean, in one copy for the live node and for recordings."""
