"""What the rules import: the config, the kinds of things, paths, digests. The standard library and pydantic alone."""
