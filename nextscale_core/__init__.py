"""nextscale: a sentence becomes motion for a humanoid robot or avatar."""
