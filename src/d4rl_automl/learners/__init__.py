"""What is fitted: networks and forests, their training curves, what they look at."""
