"""Data sets, losses and loops."""
