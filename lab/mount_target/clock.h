/* The two clocks: the monotonic one says when a record is due, the real-time one to which second a reply belongs. */
#ifndef MOUNT_TARGET_CLOCK_H
#define MOUNT_TARGET_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)

static inline uint64_t clock_read_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_monotonic_ns(void) { return clock_read_ns(CLOCK_MONOTONIC); }

static inline uint64_t clock_unix_ns(void) { return clock_read_ns(CLOCK_REALTIME); }

static inline struct timespec clock_timespec(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND), .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

#endif
