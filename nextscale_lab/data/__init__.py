"""Data sets of captioned motion, and what training draws from them."""
