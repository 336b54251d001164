/* Takes the threads' tallies, writes a line for each interval and the final one. */
#ifndef TIDEMARK_REPORTER_H
#define TIDEMARK_REPORTER_H

#include <stddef.h>
#include <stdint.h>

#include "worker.h"

struct reporter {
    struct run *run;
    struct worker *workers;
    size_t worker_count;
    uint64_t unix_offset_ns;  /* what to add to the monotonic clock; taken once, so that intervals join */
    uint64_t next_interval;   /* the first that hasn't been reported */
    uint64_t stopped_ns;      /* when a signal asked for the end; 0 before */
    struct summary interval;
    struct summary total;     /* of all the intervals: the final line is their sum by construction */
};

/* Until all threads have ended, or a second signal gives them up. SIGTERM, SIGINT and SIGUSR1 must be blocked in all
 * threads. Returns the process's exit code. */
int reporter_run(struct reporter *reporter);

/* Waits for a signal until `until_ns` (monotonic) and returns its number, or 0 when the time has come. */
int reporter_wait_signal(uint64_t until_ns);

#endif
