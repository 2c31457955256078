"""The fault drills; `python -m analysis.drills` runs them."""
