"""Starts and resumes jobs. Everything is checked before anything is written."""
