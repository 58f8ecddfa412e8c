"""What a job is asked for: its goal, its method, and what it may spend."""
