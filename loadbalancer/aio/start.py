"""How the supervisor starts a data-path worker: `python -m loadbalancer.aio.start --config PATH --slot K`.

Nothing but the choice between the sources and what was compiled of them, which must come before the first import.
"""

from loadbalancer.spawn.compiled import use_compiled

if __name__ == "__main__":
    use_compiled()
    from loadbalancer.aio.worker import main

    main()
