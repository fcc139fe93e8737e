"""Networks are tiny here as in tests/models, so they are as fast on one thread."""

from tests.models.conftest import one_thread

__all__ = ["one_thread"]
