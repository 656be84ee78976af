"""Motions of which a part is given: continue, lead in, fill in, edit, chain."""
