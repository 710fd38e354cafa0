"""Write counts, durations and sizes for people."""

import pytest

from infoplane.quantities import duration, number, size


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1500, "1.50 kB"),
        (2_512_000, "2.51 MB"),
        (6.08e10, "60.8 GB"),
        (2e15, "2000 TB"),
    ],
)
def test_sizes(count: float, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(8.61, "8.6 s"), (59, "59 s"), (725, "12 min 05 s"), (3600 * 26 + 59, "26 h 00 min")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_numbers() -> None:
    assert [number(count, "job") for count in (0, 1, 2, 10_011)] == ["0 jobs", "1 job", "2 jobs", "10,011 jobs"]
