"""Import torchvision where its wheel and torch's disagree about CUDA.

Beside a CPU build of torch, the CUDA build of torchvision cannot load its compiled operators, and then stops
with ``operator torchvision::nms does not exist`` while it describes them. Its downloaders need none of them:
an operator that is declared but has no implementation is enough.
"""

import importlib
import re
import sys
from types import ModuleType
from typing import Any

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

_libraries: list[Any] = []
"""Declarations last as long as these objects."""


def import_torchvision(submodule: str = "") -> ModuleType:
    """``torchvision``, or a submodule such as ``datasets.utils``; raises ImportError where there is none."""
    name = f"torchvision.{submodule}" if submodule else "torchvision"
    for _ in SCHEMAS:
        try:
            return importlib.import_module(name)
        except RuntimeError as error:
            missing = re.fullmatch(r"operator torchvision::(\w+) does not exist", str(error))
            if missing is None or missing[1] not in SCHEMAS:
                raise
            _declare(missing[1])
    return importlib.import_module(name)


def _declare(operator: str) -> None:
    import torch

    # A failed import leaves the submodules that did load; they would not run again.
    for module in [m for m in sys.modules if m.split(".")[0] == "torchvision"]:
        del sys.modules[module]
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(SCHEMAS[operator])
    _libraries.append(library)
