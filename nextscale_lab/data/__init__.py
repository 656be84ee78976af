"""Data sets of captioned motion and training samples."""
