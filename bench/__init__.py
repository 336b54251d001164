"""What it costs: each program compares one thing with a peer in the same run."""
