#include <fcntl.h>

#include "counting.h"
#include "engine.h"
#include "system_call.h"

/* What it moved, or an error's number, negated. */
static inline long issue(struct worker *worker, const struct place *place, long call) {
    if (place->pattern == PATTERN_FIXED) {
        const long at = system_call(SYS_lseek, worker->descriptor, 0, SEEK_SET, 0);
        if (at != 0)
            return at;
    }
    const long offset = (long)next_offset(worker, place); /* of which read and write take no notice */
    return system_call(call, worker->descriptor, (long)worker->buffer, (long)place->size, offset);
}

void engine_threads_run(struct worker *worker) {
    const struct arguments *const arguments = worker->run->arguments;
    const bool reads = arguments->operation == OPERATION_READ;
    const bool seeks = arguments->pattern == PATTERN_FIXED;
    const long call = reads ? (seeks ? SYS_read : SYS_pread64) : (seeks ? SYS_write : SYS_pwrite64);
    const struct place place = place_of(worker);
    atomic_store_explicit(&worker->in_flight, 1, memory_order_relaxed);
    uint64_t started_ns = fast_clock_ns(&worker->clock);
    while (goes_on(worker->run, started_ns)) {
        const long moved = issue(worker, &place, call);
        const uint64_t ended_ns = start_counting(worker);
        const bool turned = count(worker, started_ns, ended_ns, moved);
        end_counting(worker);
        if (moved <= 0)
            clock_sleep_ns(PAUSE_AFTER_FAILURE_NS);
        started_ns = moved <= 0 || turned ? fast_clock_ns(&worker->clock) : ended_ns;
    }
    atomic_store_explicit(&worker->in_flight, 0, memory_order_relaxed);
}
