"""Write counts, durations and sizes for people."""


def number(count: int, thing: str) -> str:
    """How many: ``1 run``, ``2 runs``, ``10,011 jobs``; for words whose plural has an s."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours: ``8.6 s``, ``12 min 05 s``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def size(count: float) -> str:
    """Bytes in units of a thousand, three digits: ``512 bytes``, ``3.21 MB``, ``60.8 GB``."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    if unit == "bytes":
        return f"{value:.0f} bytes"
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"
