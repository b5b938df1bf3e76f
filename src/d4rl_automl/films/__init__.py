"""Films of episodes that a table tells of."""
