/* The two clocks: the monotonic one times operations, the real-time one says when on the wall that was. */
#ifndef TIDEMARK_CLOCK_H
#define TIDEMARK_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MILLISECOND UINT64_C(1000000)

static inline uint64_t clock_read_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Never steps, and is answered by the vDSO without a system call, also in a static binary (glibc >= 2.31). */
static inline uint64_t clock_monotonic_ns(void) { return clock_read_ns(CLOCK_MONOTONIC); }

static inline uint64_t clock_unix_ns(void) { return clock_read_ns(CLOCK_REALTIME); }

static inline struct timespec clock_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

static inline void clock_sleep_ns(uint64_t ns) {
    const struct timespec length = clock_timespec(ns);
    clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL);
}

#endif
