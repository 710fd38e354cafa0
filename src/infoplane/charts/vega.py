"""The JavaScript that draws charts in a browser: one script, for pages that load nothing."""

import contextlib
from importlib.metadata import version

import altair as alt
import platformdirs
import vl_convert

from infoplane.errors import UserError
from infoplane.storage.atomic import write_text

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def bundle() -> str:
    """Vega, Vega-Lite and vega-embed.

    To put them together takes as long as to draw a chart, so the script is kept in the user's cache folder under the
    versions that made it; where nothing can be kept, it is made each time.
    """
    kept = platformdirs.user_cache_path("infoplane") / f"vega-lite-{VEGA_LITE}-{version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return kept.read_text(encoding="utf-8")
    made: str = vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg]
    with contextlib.suppress(OSError, UserError):
        write_text(kept, made)
    return made
