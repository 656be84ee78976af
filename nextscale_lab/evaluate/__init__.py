"""Measuring motions: metrics, checks, the prompt battery, reports."""
