"""Allocates memory ahead, in few steps: for hosts on which a page fault is expensive.

User Mode Linux learns of each page of a process by a signal, and tells it of each by three switches of processes: 80 us
and more. The AWS CLI touches 14,000 pages before its first byte, a second and a half of two and a half. Pages that are
there already when their protection changes are told of by the hundred, so that the same pages cost a fifth of it.
What is freed stays with the process, by the thresholds below, and Python takes its objects from there.
"""

from __future__ import annotations

import ctypes
import mmap

VARIABLE = "TIDEMARK_MEMORY_AHEAD_MIB"
MIB = 1 << 20
BLOCK = 16 * MIB  # glibc takes no threshold for mapping blocks beside the heap above 32 MiB (mallopt(3))
MADV_POPULATE_WRITE = (
    23  # linux/mman.h, since 5.14; where it is refused, nothing is allocated ahead, which does no harm
)


def environment(mib: int) -> dict[str, str]:
    """Returns the environment of a Python program that allocates this much ahead; an empty one for 0."""
    if not mib:
        return {}
    return {
        VARIABLE: str(mib),
        "PYTHONMALLOC": "malloc",  # Python's own arenas are mapped one by one
        "MALLOC_MMAP_THRESHOLD_": str(2 * BLOCK),
        "MALLOC_TRIM_THRESHOLD_": str(4 * mib * MIB),
    }


def take_ahead(mib: int) -> None:
    """Maps this much of the heap, and frees it for later allocations."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    blocks = [libc.malloc(ctypes.c_size_t(BLOCK)) for _ in range(mib * MIB // BLOCK)]
    for block in filter(None, blocks):
        start = ctypes.c_void_p(block + mmap.PAGESIZE - block % mmap.PAGESIZE)
        length = ctypes.c_size_t(BLOCK - 2 * mmap.PAGESIZE)
        libc.madvise(start, length, MADV_POPULATE_WRITE)
        # The change of protection populates the pages; their protection ends as it was.
        for protection in (mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC, mmap.PROT_READ | mmap.PROT_WRITE):
            libc.mprotect(start, length, protection)
    for block in filter(None, blocks):
        libc.free(ctypes.c_void_p(block))
