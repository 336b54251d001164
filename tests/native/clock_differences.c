/* Prints how far the worker's clock is from the monotonic clock, in nanoseconds: right after it was calibrated, then
 * a second after each of three alignments, the first of which finds it 0.2 ms ahead. */
#include <inttypes.h>
#include <stdio.h>

#include "fast_clock.h"

/* The least of many: the process may be kept from running between two readings. */
static int64_t difference_ns(const struct fast_clock *clock) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 1000; i++) {
        const int64_t found = (int64_t)(fast_clock_ns(clock) - clock_monotonic_ns());
        if (found * found < least * least || least == INT64_MAX)
            least = found;
    }
    return least;
}

int main(void) {
    struct fast_clock clock;
    fast_clock_start(&clock);
    fast_clock_calibrate(&clock);
    printf("%s\n%" PRId64 "\n", clock.counts_ticks ? "counter" : "system", difference_ns(&clock));
    clock.base.ns += 200000;
    uint64_t latest_ns = fast_clock_ns(&clock);
    for (int i = 0; i < 3; i++) {
        fast_clock_align(&clock);
        if (fast_clock_ns(&clock) < latest_ns)
            return 1; /* it stepped back */
        clock_sleep_ns(NS_PER_SECOND);
        latest_ns = fast_clock_ns(&clock);
        printf("%" PRId64 "\n", difference_ns(&clock));
    }
    return 0;
}
