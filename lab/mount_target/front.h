/* What all connections share: the service model, the calls that are held back by it, and the counts. */
#ifndef MOUNT_TARGET_FRONT_H
#define MOUNT_TARGET_FRONT_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "counts.h"
#include "record.h"
#include "rpc.h"
#include "service.h"

struct front {
    struct sockaddr_in upstream;
    struct service service;
    struct record_list held[KINDS]; /* of each kind in the order in which they came, which is that of their due times */
    struct counts counts;
    struct connection *connections;
    struct connection *closed; /* to be freed when no event can refer to them any more */
};

/* Takes out the call that is due first; NULL if none is due by `now_ns`. */
struct record *front_take_due(struct front *front, uint64_t now_ns);

/* When the next call is due; UINT64_MAX if none is held. */
uint64_t front_next_due_ns(const struct front *front);

#endif
