"""Progress of long steps: a bar on a terminal, a line now and then in a log."""

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")

LOG_EVERY_SECONDS = 10.0


def progress(items: Iterable[Item], what: str, total: int | None = None, done: int = 0) -> Iterator[Item]:
    """Yield the items and show on stderr how many of ``total`` are done; ``done`` were done before."""
    count = total if total is not None else len(items) if isinstance(items, Sized) else None
    if sys.stderr.isatty():
        yield from track(items, what, count, completed=done, console=Console(stderr=True), transient=True)
        return
    started = last = time.monotonic()
    for index, item in enumerate(items, start=done):
        now = time.monotonic()
        if now - last > LOG_EVERY_SECONDS:
            last = now
            of = f"/{count}" if count else ""
            print(f"{what}: {index}{of} in {now - started:.0f} s", file=sys.stderr, flush=True)
        yield item


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Say on stderr how long the block took, so that a log tells work from process start and imports."""
    started = time.perf_counter()
    yield
    print(f"{what} took {time.perf_counter() - started:.3f} s", file=sys.stderr, flush=True)
