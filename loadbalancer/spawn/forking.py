"""fork and exec with everything settled before the new program runs its first instruction.

A child gets a session of its own (Ctrl-C at the terminal is the supervisor's to hear), dies with its parent
(PR_SET_PDEATHSIG, the kernel's word, good for SIGKILL too), has the default signal handlers, an empty mask
and /dev/null to read, and holds the descriptors named here and no others. Sockets are handed down by the
systemd convention: from fd 3 on, with LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.

The road not taken: subprocess with preexec_fn. LISTEN_PID is only known in the child, and the environment is
already fixed there. fork is safe because the supervisor has one thread; call this from no other program.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36
FIRST_FD = 3  # sd_listen_fds(3)
FAILED_STATUS = 127  # the shell's own for a command that can't be run

_libc = ctypes.CDLL(None, use_errno=True)  # loaded before any fork


class StartError(Exception):
    """The program could not be started; the text says what failed and why. Nothing is left running."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `env` is the whole environment. `listen` are (name, fd), handed down in that order.

    `ready_fd` (the write end of a pipe) follows them, its number is in READY_FD. `log_path` is where stdout
    and stderr are appended; None: they are the parent's.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str | None = None
    log_path: str | None = None
    listen: Sequence[tuple[str, int]] = field(default=())
    ready_fd: int | None = None


def start(program: Program) -> int:
    """Returns the pid when exec has succeeded. Raises StartError."""
    read_end, write_end = os.pipe()  # closed by a successful exec; else it carries the reason
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _run(program, parent, write_end)
    except OSError as error:
        os.close(read_end)
        raise StartError(f"fork failed: {error.strerror}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(write_end)
    return _await_exec(pid, read_end)


def _await_exec(pid: int, read_end: int) -> int:
    with open(read_end, "rb") as pipe:
        reason = pipe.read(4096)
    if not reason:
        return pid
    os.waitpid(pid, 0)
    raise StartError(reason.decode(errors="replace"))


def die_with_parent(parent: int) -> None:
    """SIGKILL to this process when the thread that forked it ends. Raises OSError."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def become_subreaper() -> None:
    """Orphans below this process come to it and not to init, so that it can see that they are gone."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


# In the child, between fork and exec


def _run(program: Program, parent: int, report_fd: int) -> NoReturn:
    try:
        os.setsid()
        die_with_parent(parent)
        env = dict(program.env)
        report_fd = _place_fds(program, report_fd, env)
        if program.cwd is not None:
            os.chdir(program.cwd)
        _default_signals()
        os.execvpe(program.argv[0], list(program.argv), env)  # noqa: S606 (never a shell)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(report_fd, _reason(program, error).encode(errors="replace")[:4096])
    finally:
        os._exit(FAILED_STATUS)


def _reason(program: Program, error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
    place = error.filename if isinstance(error, OSError) and error.filename else program.argv[0]
    return f"{os.fsdecode(place)}: {text}"


def _place_fds(program: Program, report_fd: int, env: dict[str, str]) -> int:
    """Move everything to its number, close all else, and say so in `env`; returns the report's new place."""
    inherited = [fd for _, fd in program.listen]
    if program.ready_fd is not None:
        inherited.append(program.ready_fd)
        env["READY_FD"] = str(FIRST_FD + len(program.listen))
    if program.listen:
        names = ":".join(name for name, _ in program.listen)
        env |= {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(program.listen)),
            "LISTEN_FDNAMES": names,
        }
    _standard_fds(program.log_path)
    last = FIRST_FD + len(inherited)
    # First out of the way, or one would be overwritten before it is moved.
    spare = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, last + 1) for fd in (*inherited, report_fd)]
    for target, fd in enumerate(spare[:-1], FIRST_FD):
        os.dup2(fd, target)
    os.dup2(spare[-1], last, inheritable=False)
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
    return last


def _standard_fds(log_path: str | None) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    if log_path is None:
        return
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _default_signals() -> None:
    """Handlers end with exec by themselves, but what Python ignores (SIGPIPE) would stay ignored."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
