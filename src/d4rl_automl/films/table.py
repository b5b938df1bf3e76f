"""Which films there are. Importable with the standard library alone."""

ROLES = ("best", "teacher")
"""Whom a film shows: the best of the methods that are no teachers, or the best of the teachers that are played."""
EPISODES = ("median", "worst")
"""Which of all report episodes at the chosen target, of every training seed."""
FILMS = tuple(f"{role}.{episode}" for role in ROLES for episode in EPISODES)
"""What a config calls them."""
