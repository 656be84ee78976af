"""The experiments of docs/experiments.md: settings, training, measurement and tables."""
