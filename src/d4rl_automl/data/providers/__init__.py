"""Where datasets come from: one module per provider."""
