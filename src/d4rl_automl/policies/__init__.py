"""Policies as files, and how they act."""
