"""How far a long job is: a bar on a terminal, one line a minute otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType

try:
    from tqdm import tqdm
except ImportError:  # on a bare machine a line a minute has to do
    tqdm = None

SECONDS_BETWEEN_LINES = 60.0


class Progress:
    """Counts `total` units of work on standard error; use as a context manager."""

    def __init__(
        self, total: int, label: str, unit: str, initial: int = 0, quiet: bool = False
    ) -> None:
        self.total, self.label, self.unit = total, label, unit
        self.done, self.initial, self.note = initial, initial, ""
        self.started = self.printed = time.monotonic()
        self.quiet = quiet
        terminal = tqdm and sys.stderr.isatty() and not quiet
        self.bar = tqdm(total=total, desc=label, unit=unit, initial=initial) if terminal else None

    @property
    def rate(self) -> float:
        """Units a second since this object was made."""
        return (self.done - self.initial) / max(time.monotonic() - self.started, 1e-9)

    def update(self, done: int) -> None:
        """Say that `done` units are finished in all."""
        if self.bar:
            self.bar.update(done - self.done)
        self.done = done
        if not self.bar and time.monotonic() - self.printed > SECONDS_BETWEEN_LINES:
            self._print()

    def describe(self, losses: Mapping[str, float]) -> None:
        """The latest losses, shown beside the count."""
        self.note = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        if self.bar:
            self.bar.set_postfix_str(self.note)

    def _print(self) -> None:
        self.printed = time.monotonic()
        if self.quiet:
            return
        note = f", {self.note}" if self.note else ""
        print(
            f"{self.label}: {self.done:,} of {self.total:,} {self.unit}, {self.rate:.1f}/s{note}",
            file=sys.stderr,
            flush=True,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.bar:
            self.bar.close()
        else:
            self._print()
