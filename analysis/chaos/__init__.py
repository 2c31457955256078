"""The chaos run; `python -m analysis.chaos` runs it."""
