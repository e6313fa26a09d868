"""The last step before a child's own program: tie its life to the supervisor's, then become that program.

Usage: python -I -S exec_child.py SUPERVISOR_PID UID GID PROGRAM [ARGUMENT ...]   (UID and GID are - to stay who we are)

A supervisor killed with SIGKILL cannot stop anybody, so the kernel is asked to do it: prctl(2), PR_SET_PDEATHSIG.
This is a program of its own because code between fork and exec of a process with threads is not safe.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(supervisor: str, uid: str, gid: str, *command: str) -> int:
    """Does not return when all goes well."""
    libc = ctypes.CDLL(None, use_errno=True)
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After setuid, because a change of credentials clears it.
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        print(f"exec_child: prctl: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        return 126
    if os.getppid() != int(supervisor):
        return 125  # the supervisor died before the kernel knew of the wish
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as problem:
        print(f"exec_child: {command[0]}: {problem.strerror}", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
