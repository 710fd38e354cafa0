"""The phases of every last block, and what follows from them, as tables for a terminal of 80 columns or more."""

from collections.abc import Callable

import polars as pl
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infoplane.metrics import Metric
from infoplane.phases.answer import Row, answers, last_blocks, tally
from infoplane.phases.results import Phases

WIDE = 118
"""From this many columns on, a value and its interval share a line."""

MOVES = {"fit_depth": "fit depth", "compression_height": "compression"}
STYLES = {
    "two-phase": "bold green",
    "compression-only": "bold blue",
    "fitting-only": "bold cyan",
    "ambiguous": "yellow",
    "reproduced": "bold green",
    "not reproduced": "bold red",
    "undecided": "yellow",
}


def show(found: Phases, verdicts: pl.DataFrame | None = None, console: Console | None = None) -> None:
    """Print the answer, phases, differences between shortcuts, false positives and, where there are any, verdicts."""
    console = console or Console(highlight=False)
    shown = last_blocks(found)
    if not shown:
        console.print("No phases: nothing was measured at two checkpoints yet.")
        return
    given = answers(found)
    for one in given:
        console.print(f"[bold]{one.architecture}:[/] {escape(one.text)}\n")
    if given:
        console.print(f"{tally(given)}\n")
    _phases(shown, found.metric, console)
    _differences(found.differences, {(row["architecture"], row["site"]) for row in shown}, console)
    console.print(false_positives(found.nulls))
    if verdicts is not None and verdicts.height:
        _verdicts(verdicts.to_dicts(), console)


def number(value: float | None) -> str:
    """Three decimals, four below 0.01; a dash for none."""
    return "–" if value is None else f"{value:.3f}" if abs(value) >= 0.01 or not value else f"{value:.4f}"


def interval(row: Row, name: str, gap: str, written: Callable[[float | None], str] = number) -> str:
    """``0.120 (0.110…0.131)``; gap: a space, or a new line, which needs no brackets."""
    value, low, high = (row.get(f"{name}{end}") for end in ("", "_low", "_high"))
    if low is None or high is None:
        return written(value)
    between = f"{written(low)}…{written(high)}"
    return f"{written(value)}\n{between}" if gap == "\n" else f"{written(value)} ({between})"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.3g}%"


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _styled(words: str | None) -> str:
    style = STYLES.get(words or "")
    return f"[{style}]{words}[/]" if style else words or "–"


def _table(title: str, left: list[str], right: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    return table


def _gap(console: Console) -> str:
    return " " if console.width >= WIDE else "\n"


def _phases(rows: list[Row], metric: Metric, console: Console) -> None:
    gap = _gap(console)
    family, measure = rows[0]["family"], rows[0]["measure"]
    title = f"Phases of the last block ({family}, {measure.replace('zx', 'Z-X')})"
    table = _table(title, ["network", "phases, sure"], [*MOVES.values(), "turn", metric.title, ""])
    notes: list[str] = []
    for row in rows:
        note = row["note"] or ""
        if note and note not in notes:
            notes.append(note)
        table.add_row(
            f"{row['architecture']}{gap}{row['shortcut']}",
            f"{_styled(row['label'])}{gap}{_percent(row['confidence'])}",
            *(interval(row, name, gap) for name in MOVES),
            interval(row, "turn_step", gap, _whole),
            f"{metric.written(row['metric'])}{gap}{_seeds(row['seeds'])}",
            f"({notes.index(note) + 1})" if note else "",
        )
    console.print(table)
    for place, note in enumerate(notes, 1):
        console.print(f"({place}) {note}", markup=False)


def _differences(differences: pl.DataFrame, shown: set[tuple[str, str]], console: Console) -> None:
    rows = [
        row
        for row in differences.filter(pl.col("quantity").is_in(list(MOVES))).to_dicts()
        if (row["architecture"], row["site"]) in shown
    ]
    if not rows:
        return
    gap = _gap(console)
    title = f"How {rows[0]['reference']} differs from the others, paired by seed"
    table = _table(title, ["network", "less", "in"], ["difference", "p, adjusted", "seeds"])
    for row in rows:
        p = row["p_adjusted"]
        table.add_row(
            row["architecture"],
            row["shortcut"],
            MOVES[row["quantity"]],
            interval(row, "difference", gap),
            "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
            str(row["seeds"]),
        )
    console.print(table)


def false_positives(nulls: pl.DataFrame) -> str:
    """One sentence: how often curves that never move are given a phase, all in all and at worst."""
    tried, wrong = int(nulls["replicates"].sum()), int(nulls["false_positives"].sum())
    if not tried:
        return "False positives: not tried."
    worst = nulls.sort("rate", descending=True, nulls_last=True).row(0, named=True)
    where = f"{worst['architecture']} {worst['shortcut']} {worst['site']}"
    return (
        f"False positives: of {tried:,} simulated curves that never move, {_percent(wrong / tried)} were said to fit "
        f"or to compress; at worst {_percent(worst['rate'])} ({where})."
    )


def _verdicts(rows: list[Row], console: Console) -> None:
    """Every claim with its verdict, and below it the single comparisons, where there are several."""
    gap = _gap(console)
    table = _table("Claims", ["claim", "network", "verdict"], ["effect", "seeds"])
    for row in rows:
        table.add_row(
            row["claim"] if row["overall"] else f"· {row['of']} against {row['versus'] or row['expected']}",
            row["architecture"] or "",
            _styled(row["verdict"]),
            row["found"] or (interval(row, "effect", gap) if row["effect"] is not None else ""),
            "" if row["seeds"] is None else str(row["seeds"]),
        )
    console.print(table)
