"""The system calls that a sandboxed program is refused, as a seccomp program.

A list of what is forbidden, not of what is allowed: Python and the libraries it loads use hundreds. What stands here
are the ways to hold memory that no limit sees, to look into other processes, to make namespaces with rights of their
own, and the parts of the kernel where most of the holes of recent years were.
"""

from __future__ import annotations

import errno
import platform
import struct

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Machine → the number the kernel knows it by, and which column of the table below holds its system calls."""

_FORBIDDEN = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setns": (308, 268),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vmsplice": (278, 75),
}
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_NEW_USER = 0x10000000
"""The flag of `clone` that makes a user namespace."""
_X32 = 0x40000000
"""Where the system calls of the x32 variant begin, which would get round the table."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
"""Offsets in the record that the kernel shows to the filter; of the argument, the lower half comes first."""


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """The compiled program for this machine; None for one whose system calls are not known here."""
    known = _ARCHITECTURES.get(machine or platform.machine())
    if known is None:
        return None
    architecture, column = known
    refused = _ERROR | errno.EPERM
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        *_when(_AT_LEAST, _X32, refused),
        *_when(_EQUAL, _CLONE3[column], _ERROR | errno.ENOSYS),  # the C library then falls back to clone
    ]
    for numbers in _FORBIDDEN.values():
        program += _when(_EQUAL, numbers[column], refused)
    program += [
        (_EQUAL, 1, 0, _CLONE[column]),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
        *_when(_ANY_BIT, _NEW_USER, refused),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _when(test: int, value: int, answer: int) -> list[tuple[int, int, int, int]]:
    """Answer where the test holds; go on where it does not."""
    return [(test, 0, 1, value), (_RETURN, 0, 0, answer)]
