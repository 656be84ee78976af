"""Human poses in, robot poses out, one at a time."""
