"""Run a module as `python without_posix.py MODULE ARGS…` where POSIX's modules and functions do not exist.

What is taken away is what Python lacks on Windows. The standard library modules that choose between systems
when they are imported are loaded before.
"""

import concurrent.futures.process
import importlib.metadata
import os
import runpy
import select
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any

LOADED = (concurrent.futures.process, importlib.metadata, selectors, shutil, socket, subprocess, tempfile)

MODULES = ("crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource", "spwd")
MORE_MODULES = ("syslog", "termios", "tty", "_curses", "_posixshmem")
FUNCTIONS = {
    os: (
        "chown", "chroot", "confstr", "ctermid", "eventfd", "fchdir", "fchown", "fdatasync", "fork",
        "forkpty", "fpathconf", "getegid", "geteuid", "getgid", "getgroups", "getloadavg", "getpgid",
        "getpgrp", "getpriority", "getresuid", "getsid", "getuid", "initgroups", "killpg", "lchown", "lockf",
        "major", "makedev", "memfd_create", "minor", "mkfifo", "mknod", "nice", "openpty", "pathconf",
        "pidfd_open", "pipe2", "posix_fadvise", "posix_spawn", "pread", "preadv", "pwrite", "pwritev",
        "readv", "register_at_fork", "sched_getaffinity", "sched_yield", "sendfile", "setegid", "seteuid",
        "setgid", "setpgid", "setpriority", "setsid", "setuid", "splice", "statvfs", "sync", "sysconf",
        "tcgetpgrp", "tcsetpgrp", "ttyname", "uname", "wait", "wait3", "wait4", "waitid", "writev",
        "O_ASYNC", "O_CLOEXEC", "O_DIRECTORY", "O_DSYNC", "O_NOATIME", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK",
        "O_SYNC", "WNOHANG", "WIFEXITED", "WEXITSTATUS", "EX_OK",
    ),
    signal: (
        "SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP", "SIGTSTP",
        "SIGUSR1", "SIGUSR2", "alarm", "pause", "pthread_kill", "pthread_sigmask", "setitimer",
        "siginterrupt", "sigwait",
    ),
    select: ("epoll", "poll"),
}  # fmt: skip


def take_away() -> None:
    """Remove from this process what Windows lacks."""
    modules: dict[str, Any] = dict.fromkeys((*MODULES, *MORE_MODULES))
    sys.modules.update(modules)  # None makes the import fail
    for module, names in FUNCTIONS.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)


if __name__ == "__main__":
    take_away()
    del sys.argv[0]
    sys.path.insert(0, os.getcwd())  # noqa: PTH109
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
