"""The physics that policies are played in."""
