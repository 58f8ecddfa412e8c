"""What is secret, by the name under which the environment has it."""

PASSWORD = "ADAGRID_CLICKHOUSE_PASSWORD"  # noqa: S105 - the name of an environment variable
"""The password of a ClickHouse server: what reads it, and what passes it on to workers."""
