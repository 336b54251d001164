#include "replies.h"

#include <errno.h>
#include <sys/socket.h>

#include "clock.h"

/* As in requests.c: the others' turn must come. */
#define READS_A_TURN 16

static void count_reply(struct connection *connection) {
    struct front *const front = connection->front;
    const struct message message = framing_message(&connection->replies);
    uint32_t xid;
    enum kind kind;
    if (!rpc_is_reply(&message, &xid) || !pending_take(&connection->pending, xid, &kind))
        return;
    counts_turn(&front->counts, clock_unix_ns());
    uint32_t bytes;
    if (kind == KIND_OTHER)
        counts_add_other(&front->counts);
    else if (rpc_read_result(&message, kind, &bytes))
        counts_add(&front->counts, kind, bytes, service_metered_bytes(&front->service, bytes));
    else
        counts_add_failed(&front->counts, kind);
}

/* Bytes that have just passed. */
static bool look_at(struct connection *connection, const uint8_t *bytes, size_t count) {
    for (size_t at = 0; at < count;) {
        enum framing_event event;
        at += framing_take(&connection->replies, bytes + at, count - at, &event);
        if (event == FRAMING_TOO_LONG)
            return false;
        if (event == FRAMING_RECORD_ENDS) {
            count_reply(connection);
            framing_begin(&connection->replies);
        }
    }
    return true;
}

bool replies_send(struct connection *connection) {
    while (connection->reply_start < connection->reply_end) {
        const uint8_t *const bytes = connection->reply_buffer + connection->reply_start;
        const size_t left = connection->reply_end - connection->reply_start;
        const ssize_t sent = send(connection->client.watch.descriptor, bytes, left, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        connection->reply_start += (size_t)sent;
        if (!look_at(connection, bytes, (size_t)sent))
            return false;
    }
    return true;
}

bool replies_receive(struct connection *connection) {
    for (int i = 0; i < READS_A_TURN && connection->reply_start == connection->reply_end; i++) {
        const ssize_t received =
            recv(connection->upstream.watch.descriptor, connection->reply_buffer, REPLY_BUFFER_BYTES, 0);
        if (received < 0)
            return errno == EAGAIN || errno == EINTR;
        if (received == 0) {
            connection->upstream.ended = true;
            return true;
        }
        connection->reply_start = 0;
        connection->reply_end = (size_t)received;
        if (!replies_send(connection))
            return false;
        if (connection->reply_end < REPLY_BUFFER_BYTES)
            return true; /* there was no more */
    }
    return true;
}
