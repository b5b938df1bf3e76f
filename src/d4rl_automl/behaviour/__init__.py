"""The policies that collect embedded datasets, and how they were trained."""
