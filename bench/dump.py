"""Dump throughput: activations to Parquet against numpy.save of the same bytes, side by side in the page cache.

    python bench/dump.py [--samples 2000] [--dimensions 16384] [--repeats 5]

Both write the same float16 array to a new file in the same folder, in turns; the best of the repeats counts for each.
(Over an existing file ext4 flushes first, which would time the disk.) Reading back is timed against numpy.load.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hardware import hardware

from infoplane.storage.tensors import TensorFile, TensorWriter


def best(repeats: int, *actions: Callable[[], object]) -> list[float]:
    """The best time of each action, run in turns."""
    times = [[0.0] * repeats for _ in actions]
    for repeat in range(repeats):
        for index, action in enumerate(actions):
            started = time.perf_counter()
            action()
            times[index][repeat] = time.perf_counter() - started
    return [min(found) for found in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--dimensions", type=int, default=16384)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("bench/results/dump.json"))
    args = parser.parse_args()
    values = np.random.default_rng(0).normal(size=(args.samples, args.dimensions)).astype(np.float16)
    gigabytes = values.nbytes / 1e9
    keys = {"step": np.zeros(args.samples, np.int32), "sample": np.arange(args.samples, dtype=np.int32)}
    rows = max(1, (64 << 20) // values[0].nbytes)

    with tempfile.TemporaryDirectory() as folder:
        array, parquet = Path(folder, "a.npy"), Path(folder, "a.parquet")

        def write_parquet() -> None:
            parquet.unlink(missing_ok=True)
            tensors = {"z": ((args.dimensions,), "float16")}
            with TensorWriter(parquet, {"step": "int32", "sample": "int32"}, tensors, {}) as writer:
                for start in range(0, args.samples, rows):
                    part = slice(start, start + rows)
                    writer.write({name: key[part] for name, key in keys.items()}, {"z": values[part]})

        def save() -> None:
            array.unlink(missing_ok=True)
            np.save(array, values)

        write = best(args.repeats, save, write_parquet)
        read = best(args.repeats, lambda: np.load(array).sum(), lambda: TensorFile(parquet).tensor("z").sum())
        same = bool(np.array_equal(np.load(array), TensorFile(parquet).tensor("z")))
    record = {
        "hardware": hardware(),
        "threads": 1,
        "samples": args.samples,
        "dimensions": args.dimensions,
        "equal": same,
        "write_gb_per_s": {"numpy.save": gigabytes / write[0], "infoplane": gigabytes / write[1]},
        "write_ratio": write[0] / write[1],
        "read_and_sum_ratio": read[0] / read[1],
    }
    args.output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
