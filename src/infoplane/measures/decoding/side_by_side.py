"""Measurements that run side by side, so that a GPU gets their heavy steps in batches.

Each measurement has a thread of its own and is written as if it were alone. At a step that can be batched it waits
until all others wait too, or have ended; then the steps of one kind are computed in one call. Who meets whom follows
from the measurements alone, never from how fast the threads are: same input, same values.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Result = TypeVar("Result")
Batched = Callable[[list[Asked]], Sequence[Answer]]

_own = threading.local()
"""Of a thread that measures: ``seat``, where it puts its questions."""


class _Seat:
    """One measurement: what it asks, and what came of it."""

    def __init__(self, table: "_Table") -> None:
        self.table = table
        self.asked: tuple[Batched[Any, Any], Any] | None = None
        self.answer: Any = None
        self.failure: BaseException | None = None


class _Table:
    """All measurements that wait for one another."""

    def __init__(self, members: int) -> None:
        self.changed = threading.Condition()
        self.seats = [_Seat(self) for _ in range(members)]
        self.busy = members

    def answer(self) -> None:
        """Compute what all who wait have asked for, kind by kind."""
        waiting = [seat for seat in self.seats if seat.asked is not None]
        kinds = dict.fromkeys(seat.asked[0] for seat in waiting if seat.asked is not None)
        for batched in kinds:
            those = [seat for seat in waiting if seat.asked is not None and seat.asked[0] is batched]
            try:
                answers: Sequence[Any] = batched([seat.asked[1] for seat in those if seat.asked is not None])
                for seat, found in zip(those, answers, strict=True):
                    seat.answer = found
            except BaseException as failure:
                for seat in those:
                    seat.failure = failure
        with self.changed:
            for seat in waiting:
                seat.asked = None
            self.busy = len(waiting)
            self.changed.notify_all()


def together(batched: Callable[[list[Asked]], Sequence[Answer]], asked: Asked) -> Answer:
    """The answer of ``batched`` to one question, computed with those of the measurements that run side by side.

    batched: a function that has the same name throughout, from questions to as many answers. Called at once, with
    this question alone, outside of `side_by_side`.
    """
    seat: _Seat | None = getattr(_own, "seat", None)
    if seat is None:
        return batched([asked])[0]
    with seat.table.changed:
        seat.asked = batched, asked
        seat.table.busy -= 1
        seat.table.changed.notify_all()
        seat.table.changed.wait_for(lambda: seat.asked is None)
        answer, seat.answer = cast(Answer, seat.answer), None
        if seat.failure is not None:
            raise seat.failure
    return answer


def side_by_side(measurements: Iterable[Callable[[], Result]]) -> list[Result]:
    """What the measurements return, in their order; the first of their exceptions is raised once all have ended."""
    tasks = list(measurements)
    if len(tasks) == 1:
        return [tasks[0]()]
    table = _Table(len(tasks))
    results: list[Result | None] = [None] * len(tasks)

    def run(place: int) -> None:
        _own.seat = seat = table.seats[place]
        try:
            results[place] = tasks[place]()
        except BaseException as failure:
            seat.failure = failure
        finally:
            with table.changed:
                table.busy -= 1
                table.changed.notify_all()

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(tasks))]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with table.changed:
            table.changed.wait_for(lambda: table.busy == 0)
            if all(seat.asked is None for seat in table.seats):
                break
        table.answer()
    for thread in threads:
        thread.join()
    for seat in table.seats:
        if seat.failure is not None:
            raise seat.failure
    return cast(list[Result], results)
