"""The errors that are the user's to mend, and how a script tells them."""

REMAKE = "delete it and run snakemake again"
"""The end of a message about one of the workflow's own files."""


class InputError(ValueError):
    """Something handed to the workflow is wrong: a file, a config value, a downloaded body.

    The message names the file and the field, says what was found and what was
    expected, and ends in what to do. Scripts print it without a traceback.
    """
