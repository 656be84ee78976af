"""Profiles for new robots: drafted from a URDF, and checked."""
