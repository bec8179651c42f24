"""Windows: a process that ends when we end, however we end, even while it hangs in a call.

Linux' death signal does this for a child that asks for it (see `executor.mt5.child`); Windows has jobs, whose processes
end with the last handle of the job, and that is ours alone. What the process itself has started, the terminal, stays
out of the job and goes on.
"""

import ctypes
import logging
import sys

log = logging.getLogger(__name__)

EXTENDED_LIMITS = 9
KILL_ON_CLOSE, CHILDREN_STAY_OUT = 0x2000, 0x1000
SET_QUOTA_AND_TERMINATE = 0x0101


class Limits(ctypes.Structure):
    """`JOBOBJECT_EXTENDED_LIMIT_INFORMATION` of the Windows SDK, in its 64-bit layout; we set the flags alone."""

    _fields_ = [
        ("times", ctypes.c_int64 * 2),
        ("flags", ctypes.c_uint32),
        ("sizes_and_classes", ctypes.c_uint64 * 5),
        ("transfers", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_uint64 * 4),
    ]


class Leash:
    """Holds one process; it is let go, and ends, with `loose` or with us. Does nothing elsewhere than on Windows."""

    def __init__(self) -> None:
        self._job = 0

    def tie(self, pid: int) -> None:
        """Tie a process that we have just started. Where Windows refuses, it is said, and the process stays untied."""
        if sys.platform == "win32":
            self.loose()
            try:
                self._job = _job_of(pid)
            except OSError as error:
                log.warning("the terminal's process %d would outlive us if it hung: %s", pid, error)

    def loose(self) -> None:
        """End what is tied, if it still runs."""
        if sys.platform == "win32" and self._job:
            ctypes.WinDLL("kernel32").CloseHandle(ctypes.c_void_p(self._job))
        self._job = 0


if sys.platform == "win32":

    def _job_of(pid: int) -> int:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        for function in (kernel.CreateJobObjectW, kernel.OpenProcess):
            function.restype = ctypes.c_void_p
        job = kernel.CreateJobObjectW(None, None)
        process = kernel.OpenProcess(SET_QUOTA_AND_TERMINATE, False, pid)
        limits = Limits(flags=KILL_ON_CLOSE | CHILDREN_STAY_OUT)
        handle = ctypes.c_void_p(job)
        tied = (
            job
            and process
            and kernel.SetInformationJobObject(handle, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
            and kernel.AssignProcessToJobObject(handle, ctypes.c_void_p(process))
        )
        failure = ctypes.get_last_error()
        kernel.CloseHandle(ctypes.c_void_p(process))
        if not tied:
            kernel.CloseHandle(handle)
            raise OSError(failure, ctypes.FormatError(failure))
        return int(job)
