/* The calls of one connection that the server has not answered yet, by their transaction number. */
#ifndef MOUNT_TARGET_PENDING_H
#define MOUNT_TARGET_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc.h"

struct pending_call {
    uint32_t xid;
    enum kind kind;
    bool used;
};

/* A hash table with open addressing; all zero is an empty one. */
struct pending {
    struct pending_call *places;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void pending_add(struct pending *pending, uint32_t xid, enum kind kind);

/* Takes out one call of that number; false if there is none. */
bool pending_take(struct pending *pending, uint32_t xid, enum kind *kind);

void pending_clear(struct pending *pending);

#endif
