"""The one error class of this package."""


class ModelError(Exception):
    """Something a user can put right; `str()` is one line: what is wrong and what to do next."""
