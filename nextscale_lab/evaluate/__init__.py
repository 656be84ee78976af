"""Evaluation of motions: metrics, checks, the prompt suite, reports."""
