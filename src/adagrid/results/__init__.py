"""Reads jobs: what they have found, how they stand, and whether their tables are consistent."""
