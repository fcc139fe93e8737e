"""The one error a stage ends with when its input, not its code, is at fault."""


class StageError(Exception):
    """One clear line that says what is wrong and what to do next; shown without a traceback."""
