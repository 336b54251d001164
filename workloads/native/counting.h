/* How a worker's thread counts an operation that has ended, and how the reporter knows that an interval is complete.
 *
 * A thread finds from the time an operation ends which interval that is, and so counts it in the right one even if
 * it was blocked for seconds; no lock and no atomic read-modify-write is on its way. The reporter takes an
 * interval's tallies only after the interval's end, when no thread can still be about to count into it:
 * `recording` is set before a thread reads the clock and cleared when it has counted, so a thread that isn't
 * recording then, or has moved on to a later interval, has nothing more to add (see counting_has_left). */
#ifndef TIDEMARK_COUNTING_H
#define TIDEMARK_COUNTING_H

#include "worker.h"

/* An operation has ended beyond the current interval: finds the tally of the interval it ended in. */
void counting_turn(struct worker *worker, uint64_t started_ns, uint64_t ended_ns);

/* True when the thread will not count into `interval` any more; asked only after the interval's end. */
bool counting_has_left(const struct worker *worker, uint64_t interval);

/* Between start_counting and end_counting the reporter leaves the tallies of the thread's interval alone. */
static inline uint64_t start_counting(struct worker *worker) {
    atomic_store_explicit(&worker->recording, true, memory_order_relaxed);
    return fast_clock_ns(&worker->clock);
}

/* Returns true when it took a while, so that the next operation does not start at `ended_ns`. */
static inline bool count(struct worker *worker, uint64_t started_ns, uint64_t ended_ns, long moved) {
    const bool turns = ended_ns >= worker->interval_end_ns;
    if (turns)
        counting_turn(worker, started_ns, ended_ns);
    tally_add(worker->tally, started_ns, ended_ns, moved);
    return turns;
}

static inline void end_counting(struct worker *worker) {
    atomic_store_explicit(&worker->recording, false, memory_order_release);
}

#endif
