"""How many images a measurement takes; without torch, so that params.yaml may name them too."""

MIN_IMAGES = 8  # fewer cannot tell a bootstrap interval from noise
MOST_IMAGES = 2_000  # of each domain; more only narrow intervals
CURVE_IMAGES = 500  # of each domain, for the curves of a training
