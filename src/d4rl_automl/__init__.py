"""How good a policy supervised learning and AutoML make from offline data alone, and how cheaply."""
