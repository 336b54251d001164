/* The service model, and when a call is due by it.
 *
 * A call is held for the delay, then until its turn: reads, writes and the bytes of both have a limit each, over all
 * connections, and each limit deals out points in time, one after another at exactly its rate (GCRA, ITU-T I.371). Those
 * that nobody took are kept for TURNS_KEPT_NS. What the time of a turn leaves over below a nanosecond is kept, so that no
 * rate drifts. Calls of a kind are due in the order in which they came. */
#ifndef MOUNT_TARGET_SERVICE_H
#define MOUNT_TARGET_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc.h"

/* Of every field; the least is 1, of the delay 0. */
#define MODEL_MOST UINT64_C(1000000000000)

/* The limit's tolerance. A busy machine holds all clients up for some milliseconds now and then; turns that are lost
 * meanwhile would show as a limit some per cent below the model's. */
#define TURNS_KEPT_NS UINT64_C(20000000)

struct model {
    uint64_t delay_ns;
    uint64_t read_ops_per_s;  /* 0, as of the next two: no limit */
    uint64_t write_ops_per_s;
    uint64_t bytes_per_s;     /* as metered, of reads and writes together */
    uint64_t metering_minimum_bytes;
};

/* The point in time `next_ns + rest / per_second` is the first that has not been dealt out; it may have passed. */
struct turns {
    uint64_t per_second; /* 0: no limit */
    uint64_t next_ns;
    uint64_t rest; /* in 1/per_second of a nanosecond */
};

/* All zero holds to no model. */
struct service {
    bool modelled;
    struct model model;
    struct turns operations[DATA_KINDS];
    struct turns bytes;
    uint64_t last_due_ns[KINDS];
};

/* Holds to `model` from now on; NULL is none. Turns that were dealt out stay so: the next ones come after them. */
void service_follow(struct service *service, const struct model *model);

/* What an operation that moves `bytes` counts as; 1 at least without a model. */
uint64_t service_metered_bytes(const struct service *service, uint64_t bytes);

/* When a call that came whole at `arrival_ns` goes on to the server; with its turn taken. Without a model, at once. */
uint64_t service_due_ns(struct service *service, enum kind kind, uint64_t bytes, uint64_t arrival_ns);

#endif
