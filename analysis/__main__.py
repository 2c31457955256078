"""`python -m analysis`: see drive.py."""

import typer

from analysis.drive import main

if __name__ == "__main__":
    typer.run(main)
