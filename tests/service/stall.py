"""Makes one thread of a process turn on the spot, as a bug would: stall.py PID TID.

The thread is stopped for a moment, its instruction pointer is set to two bytes in the
process's own code that are a jump to themselves, and it goes on from there. Unlike a thread
that a debugger holds it still takes signals."""
import ctypes
import os
import platform
import re
import sys

PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 12, 13, 16, 17
WALL = 0x40000000
JUMP_TO_ITSELF = b"\xeb\xfe"
# struct user_regs_struct of x86-64.
REGISTERS, ORIG_RAX, RIP = 27, 15, 16


def place_to_turn(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r-xp .* /", line)
            if found:
                begin, end = (int(n, 16) for n in found.groups())
                memory.seek(begin)
                at = memory.read(end - begin).find(JUMP_TO_ITSELF)
                if at >= 0:
                    return begin + at
    raise SystemExit("nowhere in its code is a jump to itself")


def stall(pid, tid):
    place = place_to_turn(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long

    def ptrace(request, data=None):
        if libc.ptrace(request, tid, None, data) < 0:
            raise SystemExit(f"ptrace: {os.strerror(ctypes.get_errno())}")

    registers = (ctypes.c_ulonglong * REGISTERS)()
    ptrace(PTRACE_ATTACH)
    os.waitpid(tid, WALL)
    ptrace(PTRACE_GETREGS, registers)
    registers[ORIG_RAX] = ctypes.c_ulonglong(-1).value  # no system call is to be begun again
    registers[RIP] = place
    ptrace(PTRACE_SETREGS, registers)
    ptrace(PTRACE_DETACH)


if platform.machine() != "x86_64":
    raise SystemExit("only for x86-64")
stall(int(sys.argv[1]), int(sys.argv[2]))
