# SPDX-License-Identifier: MIT
"""Running commands and ending with one clear line when something is wrong."""

import subprocess
import sys


class Failed(Exception):
    """Something the user can act on; its text is one line that says what to do."""


def say(text):
    """One line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def run(command, what, **options):
    """Run a command; Failed names `what` and the command's exit status. Returns the CompletedProcess."""
    try:
        done = subprocess.run([str(word) for word in command], check=False, **options)
    except FileNotFoundError as error:
        raise Failed(f"{what}: {error.filename} is missing: run scripts/lib/setup") from error
    if done.returncode:
        raise Failed(f"{what} failed (exit status {done.returncode}): {' '.join(map(str, command))}")
    return done


def main(function):
    """Call a script's main function; print its Failed as one line."""
    try:
        sys.exit(function())
    except Failed as error:
        sys.exit(f"softnet: {error}")
    except BrokenPipeError:
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
