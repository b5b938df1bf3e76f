"""The figures of a run, one module each, and the table of them."""
