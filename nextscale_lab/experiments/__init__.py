"""The rows of docs/experiments.md: what is trained, how it is measured, what comes out."""
