"""What people say of samples: their labels, kept for good; which samples they are shown; how wrong judging is by them."""
