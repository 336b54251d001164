/* The measured window, cut into intervals of one second.
 *
 * Intervals start at `open_ns` and follow each other by whole seconds; the last of the window ends at `close_ns`,
 * shorter than a second if the duration is no whole number. Operations in flight at the close are waited for and
 * counted. Those that end within a second of it, which is all of them unless something stalls, belong to the last
 * interval, whose end moves to the end of the last of them: an interval of a few microseconds with one operation
 * of each thread would look like a burst. After that second, intervals follow again by whole seconds. */
#ifndef TIDEMARK_GRID_H
#define TIDEMARK_GRID_H

#include <stdint.h>

#include "clock.h"

struct grid {
    uint64_t open_ns;  /* the warm-up is over */
    uint64_t close_ns; /* no operation starts from here on */
};

static inline uint64_t grid_last_in_window(const struct grid *grid) {
    return (grid->close_ns - grid->open_ns - 1) / NS_PER_SECOND;
}

/* The interval that time `at_ns` belongs to; not for times before the window opens. */
static inline uint64_t grid_index(const struct grid *grid, uint64_t at_ns) {
    if (at_ns < grid->close_ns)
        return (at_ns - grid->open_ns) / NS_PER_SECOND;
    return grid_last_in_window(grid) + (at_ns - grid->close_ns) / NS_PER_SECOND;
}

static inline uint64_t grid_start_ns(const struct grid *grid, uint64_t index) {
    const uint64_t last = grid_last_in_window(grid);
    if (index <= last)
        return grid->open_ns + index * NS_PER_SECOND;
    return grid->close_ns + (index - last) * NS_PER_SECOND;
}

#endif
