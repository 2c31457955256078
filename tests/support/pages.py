"""The examples in the pages for users (docs/, README): taken out of the Markdown, and followed as a reader would.

A fence's language says what it is, and there are no others, so that nothing stands in a page that was not seen to run:

    console   commands behind `$ ` (one that ends in a backslash goes on), each with what it prints below it
    python    a program; a `text` fence right behind it is what it prints

In what is printed `…` stands for anything. Blanks count as one, and blank lines not at all.
"""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT_S: Final = 90.0
PROMPT: Final = "$ "


@dataclass(frozen=True, slots=True)
class Example:
    """`line`: where it begins in its page. `shell`: a command for bash; else a Python program."""

    line: int
    shell: bool
    text: str
    prints: str = ""


def examples(page: str) -> list[Example]:
    """In the page's order. Raises ValueError, with its line, for a fence that can't be followed."""
    found: list[Example] = []
    end = 0
    for fence in FENCE.finditer(page):
        line = page.count("\n", 0, fence.start()) + 2
        match fence[1]:
            case "console":
                found += _commands(line, fence[2])
            case "python":
                found.append(Example(line, False, fence[2]))
            case "text" if found and not found[-1].shell and not page[end : fence.start()].strip():
                found[-1] = replace(found[-1], prints=fence[2])
            case other:
                raise ValueError(f"line {line}: a fence of kind {other!r} is no example")
        end = fence.end()
    return found


def _commands(line: int, text: str) -> list[Example]:
    found: list[Example] = []
    goes_on = False
    for number, told in enumerate(text.splitlines(), line):
        if goes_on:
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n{told}")
        elif told.startswith(PROMPT):
            found.append(Example(number, True, told.removeprefix(PROMPT)))
        elif found:
            found[-1] = replace(found[-1], prints=f"{found[-1].prints}{told}\n")
        else:
            raise ValueError(f"line {number}: printed before any command")
        goes_on = (goes_on or told.startswith(PROMPT)) and told.endswith("\\")
    return found


def seen_as(printed: str, expected: str) -> bool:
    """Whether this was printed, as far as the page says it."""
    pattern = re.escape(_plain(expected)).replace("…", ".*?").replace(r"\ .*?", r"\ ?.*?")
    return re.fullmatch(pattern, _plain(printed), re.DOTALL) is not None


def _plain(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class Reader:
    """Follows examples in `folder`. `ports`: the page's port numbers, and those of the system that really runs."""

    folder: Path
    ports: Mapping[int, int]

    def follow(self, example: Example) -> None:
        """Raises AssertionError if it fails, or prints something else."""
        argv = ["bash", "-c"] if example.shell else [sys.executable, "-c"]
        done = subprocess.run(
            [*argv, self.here(example.text)], cwd=self.folder, env=_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        told = f"line {example.line}: {example.text}\n{done.stdout}"
        assert done.returncode == 0, f"{told}\nexit status {done.returncode}"
        assert seen_as(done.stdout, self.here(example.prints)), f"{told}\nand not\n{example.prints}"

    def here(self, text: str) -> str:
        return re.sub(r"\b\d{4}\b", lambda found: str(self.ports.get(int(found[0]), found[0])), text)


def _environment() -> dict[str, str]:
    """A reader's: our commands are found, and nothing is set that would lead elsewhere."""
    ours = ("CAROUSEL_", "QUEUE_BOOTSTRAP")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
