"""`python -m adagrid` is the command line."""

from adagrid.cli import app

app()
