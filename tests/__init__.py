import pytest

# Their assertions, too, are to say what was found.
pytest.register_assert_rewrite("tests.support")
