"""What a user runs by hand, on what is installed and on finished models."""
