"""What lets Snakemake plan an experiment of ten thousand jobs in seconds; it changes no plan and no result.

Needs: every rule, so it is included last. Makes: nothing.
"""

import gc
import inspect

# A plan is millions of small objects that stay; looking for cycles among them took a fifth of a run that has nothing to
# do. They are still looked for, less often (python bench/dag.py says what planning takes).
gc.set_threshold(200_000, 50, 100)


def signed(function):
    """Keep the function's signature: Snakemake asks for it several times per job, and `inspect` computes it each time."""
    if inspect.isfunction(function):
        function.__signature__ = inspect.signature(function)


for planned in workflow.rules:
    for value in (*planned.input, *planned.params):
        signed(getattr(value, "callable", value))
