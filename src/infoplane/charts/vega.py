"""The JavaScript that draws charts in a browser: one script, for pages that load nothing."""

import contextlib
import hashlib
from importlib.metadata import version

import altair as alt
import platformdirs
import vl_convert

from infoplane.errors import UserError
from infoplane.storage.atomic import write_text

VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
DIGESTS = {
    ("6.4", "1.9.0.post1"): "3425bd951a44d478d0505c6b5d1e8d57656b6e9a4da7bfe88a718ce61d76e572",
}
"""Versions of Vega-Lite and of vl-convert -> SHA-256 of the script that they make."""


def bundle() -> str:
    """Make or read Vega, Vega-Lite and vega-embed.

    To put them together takes as long as to draw a chart, so the script is kept in the user's cache folder under the
    versions that made it. Every page runs it, so what is found there must be the very script that these versions make;
    where that is not known, or nothing can be kept, it is made each time.
    """
    versions = VEGA_LITE, version("vl-convert-python")
    expected = DIGESTS.get(versions)
    kept = platformdirs.user_cache_path("infoplane") / f"vega-lite-{versions[0]}-{versions[1]}.js"
    if expected:
        with contextlib.suppress(OSError):
            found = kept.read_bytes()
            if hashlib.sha256(found).hexdigest() == expected:
                return found.decode()
    made: str = vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg]
    if hashlib.sha256(made.encode()).hexdigest() == expected:
        with contextlib.suppress(OSError, UserError):
            write_text(kept, made)
    return made
