/* A client's connection and its counterpart to the server. They begin, and end, together; an end of sending on one side
 * is passed on to the other when all that came before it has been. */
#ifndef MOUNT_TARGET_CONNECTION_H
#define MOUNT_TARGET_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framing.h"
#include "front.h"
#include "loop.h"
#include "pending.h"
#include "record.h"

#define REPLY_BUFFER_BYTES (256u * 1024u)

/* Of calls that are held or that the server does not take; a client that has more waits. */
#define QUEUE_LIMIT_BYTES ((size_t)256 * 1024 * 1024)

struct side {
    struct watch watch;
    bool ended;   /* it has sent all that it will */
    bool shut;    /* it has been told that nothing more comes */
    bool hung_up; /* both; epoll goes on saying so, asked or not */
};

struct connection {
    struct connection *next;
    struct connection **link; /* what points here */
    struct front *front;
    struct side client;
    struct side upstream;
    bool connected; /* to the server */
    bool closed;

    struct framing calls;
    struct record *incoming; /* the record that is being received */
    struct record_list outgoing;
    size_t queued; /* records, held or outgoing */
    size_t queued_bytes;

    struct pending pending;
    struct framing replies;
    size_t reply_start; /* of what the client has not taken yet */
    size_t reply_end;
    uint8_t reply_buffer[REPLY_BUFFER_BYTES];
};

/* Takes over `client`, a non-blocking socket, and connects to the server. */
void connection_open(struct front *front, int client);

/* Sends on all calls that are due. */
void connection_release_due(struct front *front, uint64_t now_ns);

/* Frees those that have closed. */
void connection_free_closed(struct front *front);

void connection_close_all(struct front *front);

#endif
