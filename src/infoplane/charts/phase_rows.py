"""What charts of phases start from: the phase table's rows, and a page that says why there are none."""

import altair as alt
import polars as pl

from infoplane.charts import theme
from infoplane.charts.frames import Tables
from infoplane.phases.curves import last_block


def phase_rows(tables: Tables, family: str) -> pl.DataFrame | None:
    """The phase table's rows of a family, or of whatever it holds (``auto``); None where there are none."""
    if tables.phases is None:
        return None
    rows = tables.phases.phases
    rows = rows if family == "auto" else rows.filter(pl.col("family") == family)
    return None if rows.is_empty() else rows


def without_phases(tables: Tables, family: str) -> alt.Chart:
    """A page that says why nothing can be drawn."""
    label = tables.family(family)
    measured = tables.measures.filter(pl.col("family") == label, pl.col("value").is_finite()).height
    if not measured:
        return theme.empty(tables, label)
    if tables.phases is None:
        return theme.placeholder("the phase analysis was not run on these tables", 480, 120)
    if tables.phases.phases.is_empty():
        return theme.placeholder("no phases: no run has finished", 480, 120)
    return theme.placeholder(f"the phase analysis did not read the measure family '{label}'", 480, 120)


def at_site(tables: Tables, rows: pl.DataFrame, wanted: str = "auto") -> dict[str, str | None]:
    """Architecture -> the site to show: the wanted one, or the last residual block."""
    if wanted != "auto":
        return dict.fromkeys(tables.architectures, wanted)
    found: dict[str, str | None] = {}
    for architecture in tables.architectures:
        mine = rows.filter(pl.col("architecture") == architecture).sort("depth", "site")
        found[architecture] = last_block(mine["site"].unique(maintain_order=True).to_list())
    return found


def kept_at(rows: pl.DataFrame, sites: dict[str, str | None]) -> pl.DataFrame:
    """The rows of each architecture's site."""
    chosen = pl.DataFrame(
        {"architecture": list(sites), "site": list(sites.values())}, schema_overrides={"site": pl.String}
    )
    return rows.join(chosen, on=["architecture", "site"], how="semi", maintain_order="left")


def intervals(tables: Tables) -> str:
    """Which intervals the phase tables hold, in words."""
    level = ((tables.phases.metadata if tables.phases else {}).get("phases") or {}).get("level")
    return f"{level:.0%} intervals" if isinstance(level, float) else "intervals"
