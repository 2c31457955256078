"""Where the microseconds of one small keyed GET go; `python -m analysis.door_profile`."""
