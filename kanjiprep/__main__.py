"""The ``kanjiprep`` command."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line; the front page of the help needs no imports at all."""
    is_asked_by_shell = "_KANJIPREP_COMPLETE" in os.environ  # what it completes stands in variables, not in argv
    if sys.argv[1:] in ([], ["--help"]) and not is_asked_by_shell and _print_front_page():
        return
    try:
        from kanjiprep.cli import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before a command is there to hear it
        sys.stderr.write("error: interrupted; run the same command again\n")
        sys.exit(130)


def _print_front_page() -> bool:
    """Print ``help.txt``, which is ``kanjiprep --help`` as a test holds it; whether it could."""
    try:
        with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as page:  # noqa: PTH118, PTH120, PTH123
            sys.stdout.write(page.read())
            sys.stdout.flush()
    except (OSError, UnicodeEncodeError, AttributeError):  # the last: stdout is closed
        return False
    return True


if __name__ == "__main__":
    main()
