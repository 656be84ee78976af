"""The generate node: requests in, gated trajectories out."""
