"""What an unknown sampler does, found out by feeding it: its coefficients, its law, its word."""
