/* A thread's own reading of the monotonic clock, by the processor's time-stamp counter where that can be trusted.
 *
 * RDTSC takes a third of the time of clock_gettime (12 ns and 38 on a Zen 3), and in a User Mode Linux host, where
 * clock_gettime is a system call, far less. The clock never steps: once a second it is compared with the
 * monotonic clock, and its rate is set so that a difference is gone a second later. So it is within a few
 * microseconds of the monotonic clock, by which the reporter's intervals end; the reporter's grace of two milliseconds
 * also covers a User Mode Linux host, where the first rate is less exact. */
#ifndef TIDEMARK_FAST_CLOCK_H
#define TIDEMARK_FAST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"

/* The same moment by both clocks. */
struct clock_pair {
    uint64_t ticks;
    uint64_t ns;
};

struct fast_clock {
    bool counts_ticks; /* false: each reading is of the monotonic clock */
    uint64_t ns_per_tick; /* times 2^32 */
    struct clock_pair base;
    struct clock_pair first; /* the average rate is taken from here on */
};

/* Finds whether the counter can be trusted, and takes the first of two readings for its rate. */
void fast_clock_start(struct fast_clock *clock);

/* Takes the second reading; waits until it is 20 ms after the first. */
void fast_clock_calibrate(struct fast_clock *clock);

/* Brings the clock nearer to the monotonic one; about once a second. */
void fast_clock_align(struct fast_clock *clock);

static inline uint64_t fast_clock_at(const struct fast_clock *clock, uint64_t ticks) {
    __extension__ typedef unsigned __int128 wide;
    return clock->base.ns + (uint64_t)(((wide)(ticks - clock->base.ticks) * clock->ns_per_tick) >> 32);
}

static inline uint64_t fast_clock_ns(const struct fast_clock *clock) {
#ifdef __x86_64__
    if (clock->counts_ticks)
        return fast_clock_at(clock, __builtin_ia32_rdtsc());
#endif
    return clock_monotonic_ns();
}

#endif
