/* What is counted: a tally is one thread's counts of one interval, a summary is many of them added up. */
#ifndef TIDEMARK_TALLY_H
#define TIDEMARK_TALLY_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "histogram.h"

/* Errors by number. Linux's own end at 133, and numbers that leak from inside the kernel (ENOTSUPP of NFS is 524)
 * end at 531 in include/linux/errno.h. Index 0, no error's number, is a read that returned nothing: end of file. */
#define TALLY_ERRORS 544u
#define TALLY_END_OF_FILE 0u

struct tally {
    uint64_t bytes;
    uint64_t latency_sum_ns;
    uint64_t latency_min_ns;
    uint64_t latency_max_ns;
    uint64_t last_end_ns;
    uint32_t errors[TALLY_ERRORS];
    uint32_t buckets[HISTOGRAM_BUCKETS]; /* of one interval: 2^32 operations a second are out of reach */
};

struct summary {
    uint64_t operations;
    uint64_t failures;
    uint64_t bytes;
    uint64_t latency_sum_ns;
    uint64_t latency_min_ns;
    uint64_t latency_max_ns;
    uint64_t last_end_ns;
    uint64_t errors[TALLY_ERRORS];
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void tally_clear(struct tally *tally);

/* `moved` is what the kernel returned: bytes, or an error's number, negated. A failed operation is in
 * `errors` only: its latency says how long a failure takes, not how fast the storage is. */
static inline void tally_add(struct tally *tally, uint64_t started_ns, uint64_t ended_ns, long moved) {
    tally->last_end_ns = ended_ns;
    if (__builtin_expect(moved <= 0, 0)) {
        const uint32_t number = moved == 0 ? TALLY_END_OF_FILE : (uint32_t)-moved;
        tally->errors[number < TALLY_ERRORS ? number : TALLY_ERRORS - 1]++;
        return;
    }
    const uint64_t latency_ns = ended_ns - started_ns;
    tally->buckets[histogram_index(latency_ns)]++;
    tally->bytes += (uint64_t)moved;
    tally->latency_sum_ns += latency_ns;
    if (latency_ns < tally->latency_min_ns)
        tally->latency_min_ns = latency_ns;
    if (latency_ns > tally->latency_max_ns)
        tally->latency_max_ns = latency_ns;
}

void summary_clear(struct summary *summary);

/* Adds the tally and clears it for its next interval. */
void summary_take(struct summary *summary, struct tally *tally);

void summary_add(struct summary *summary, const struct summary *other);

/* "ops":…,"bytes":…,"errors":{…},"latency_ns":{…}: the part that interval and final lines have in common. */
void summary_write_json(const struct summary *summary, FILE *out);

#endif
