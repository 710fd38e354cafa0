"""Errors that are written for a person: which file, which key, what was expected, what to do."""

import difflib
import errno
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A full disk, a quota, a limit on file sizes."""


class UserError(Exception):
    """Something that the user can put right; its message is one clear sentence and needs no traceback."""


LISTED = 40
"""How many known names a message lists; of more, it gives the number."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Make a hint such as ``did you mean 'width'?``, or a list of what there is when nothing is near."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    rest = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return f"choose from {', '.join(known[:LISTED])}{rest}" if known else "there is none to choose from"


def printable(text: str) -> str:
    """Write what a terminal would obey (escape codes, half characters) as the escapes that Python knows."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1] for letter in text)


def run_script(main: Callable[[], None]) -> NoReturn:
    """Run a script's ``main``; a `UserError` becomes one sentence and exit status 2, anything else a traceback.

    A full disk is an error for a person too, wherever it strikes; Ctrl-C is not an error, and ends with status 130.
    """
    try:
        main()
    except UserError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on; finished jobs stay finished", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None
    except OSError as error:
        if error.errno in NO_SPACE:
            where = f" while writing {error.filename}" if error.filename else ""
            print(f"error: no space left on the disk{where}: free some and run again.", file=sys.stderr)
            raise SystemExit(2) from None
        traceback.print_exc()
        raise SystemExit(1) from None
    raise SystemExit(0)
