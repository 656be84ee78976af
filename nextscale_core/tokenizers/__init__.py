"""Motion to token scales, and back."""
