"""Of report/: what is made of a run's raw records."""
