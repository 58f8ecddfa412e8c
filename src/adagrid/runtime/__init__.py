"""Runs the work of a job: packets, zones, workers, and what is written down about them."""
