/* A system call without its wrapper in the C library. read(2) and its kin are points at which a thread may be
 * cancelled, for which glibc does two locked operations a call once there are threads; nobody cancels threads here. */
#ifndef TIDEMARK_SYSTEM_CALL_H
#define TIDEMARK_SYSTEM_CALL_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Returns what the kernel returned: an error is its number, negated. */
static inline long system_call(long number, long first, long second, long third, long fourth) {
#ifdef __x86_64__
    long result;
    register long r10 __asm__("r10") = fourth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
#else
    const long result = syscall(number, first, second, third, fourth);
    return result < 0 ? -errno : result;
#endif
}

#endif
