"""Copies jobs: to other databases, to snapshots, and to folders of files."""
