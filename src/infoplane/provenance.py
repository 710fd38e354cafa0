"""Say which versions made a result; kept in its metadata, never in its spec."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("infoplane", "torch", "numpy", "scipy", "pyarrow", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
