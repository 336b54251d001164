#include "counting.h"

#include "clock.h"

void counting_turn(struct worker *worker, uint64_t started_ns, uint64_t ended_ns) {
    struct run *const run = worker->run;
    const uint64_t index = grid_index(&run->grid, ended_ns);
    if (worker->first_start_ns == 0)
        worker->first_start_ns = started_ns;
    worker->interval_end_ns = grid_start_ns(&run->grid, index + 1);
    worker->tally = &worker->tallies[index % WORKER_TALLIES];
    atomic_store_explicit(&worker->interval, index, memory_order_release);
    while (index >= atomic_load_explicit(&run->reported, memory_order_acquire) + WORKER_TALLIES)
        clock_sleep_ns(NS_PER_MILLISECOND);
    fast_clock_align(&worker->clock);
}

/* That `recording` is seen in time rests on the reporter's asking a few milliseconds after the interval's end: a store
 * that precedes a clock reading before the end is long visible by then. */
bool counting_has_left(const struct worker *worker, uint64_t interval) {
    if (!atomic_load_explicit(&worker->recording, memory_order_acquire))
        return true;
    return atomic_load_explicit(&worker->interval, memory_order_acquire) > interval;
}
