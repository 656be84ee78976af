"""Checks of a robot description and its profile."""
