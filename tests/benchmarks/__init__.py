"""What is claimed fast, measured."""
