"""A pytest plugin (`-p support.compiled`): the tests meet the hot modules as `make fast` has compiled them."""

from loadbalancer.spawn.compiled import home, use_compiled

if not use_compiled():
    raise SystemExit(f"nothing is compiled of these sources (make fast): {home()} is not there")
