/* What passed, second by second. A second is one of CLOCK_REALTIME; an operation belongs to that in which its reply
 * passed to the client. */
#ifndef MOUNT_TARGET_COUNTS_H
#define MOUNT_TARGET_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "rpc.h"

struct operation_counts {
    uint64_t count;
    uint64_t failed; /* not in `count`, and nothing below is of them */
    uint64_t bytes;
    uint64_t metered_sum;
    uint64_t metered_min; /* no meaning while `count` is 0, nor has the next */
    uint64_t metered_max;
};

struct counts {
    uint64_t end_unix_s; /* of the second that is being counted */
    size_t connections;
    struct operation_counts operations[DATA_KINDS];
    uint64_t others;
};

/* Begins in the second of `now_unix_ns`; of the first one, only a part is counted. */
void counts_begin(struct counts *counts, uint64_t now_unix_ns);

/* Prints each second that has ended by `now_unix_ns`; to be called in front of each of the following. */
void counts_turn(struct counts *counts, uint64_t now_unix_ns);

void counts_add(struct counts *counts, enum kind kind, uint64_t bytes, uint64_t metered_bytes);
void counts_add_failed(struct counts *counts, enum kind kind);
void counts_add_other(struct counts *counts);

#endif
