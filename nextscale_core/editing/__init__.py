"""Completion, editing and sequences: motions of which a part is given."""
