#include "requests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "clock.h"

/* Small records arrive here many at once and are copied; of a large one, all that is beyond it goes where it stays. */
static uint8_t buffer[64 * 1024];

/* So that a client that sends without an end does not keep the others waiting. */
#define READS_A_TURN 16

#define PARTS_A_SEND 64

static void record_came(struct connection *connection, uint64_t arrival_ns) {
    struct front *const front = connection->front;
    struct record *const record = connection->incoming;
    const struct message message = framing_message(&connection->calls);
    record->connection = connection;
    record->call = rpc_read_call(&message);
    connection->incoming = NULL;
    connection->queued++;
    connection->queued_bytes += record_memory_bytes(record);
    framing_begin(&connection->calls);
    if (record->call.is_reply || !front->service.modelled) {
        requests_forward(record);
        return;
    }
    record->due_ns = service_due_ns(&front->service, record->call.kind, record->call.bytes, arrival_ns);
    record_list_push(&front->held[record->call.kind], record);
}

/* Bytes of the record that is being received, which are already where they belong. */
static void take_placed(struct connection *connection, size_t count, uint64_t arrival_ns) {
    enum framing_event event;
    struct record *const record = connection->incoming;
    framing_take(&connection->calls, record->bytes + record->length, count, &event);
    record->length += count;
    if (event == FRAMING_RECORD_ENDS)
        record_came(connection, arrival_ns);
}

static bool take_buffered(struct connection *connection, size_t count, uint64_t arrival_ns) {
    for (size_t at = 0; at < count;) {
        enum framing_event event;
        const size_t taken = framing_take(&connection->calls, buffer + at, count - at, &event);
        if (event == FRAMING_TOO_LONG)
            return false;
        /* The rest of the fragment follows, and is read into its place. */
        struct record *const record = record_reserve(connection->incoming, taken + connection->calls.fragment_left);
        memcpy(record->bytes + record->length, buffer + at, taken);
        record->length += taken;
        connection->incoming = record;
        at += taken;
        if (event == FRAMING_RECORD_ENDS)
            record_came(connection, arrival_ns);
    }
    return true;
}

bool requests_receive(struct connection *connection) {
    for (int i = 0; i < READS_A_TURN && connection->queued_bytes <= QUEUE_LIMIT_BYTES; i++) {
        struct iovec parts[2] = {{.iov_len = connection->calls.fragment_left}, {buffer, sizeof buffer}};
        if (parts[0].iov_len > 0)
            parts[0].iov_base = connection->incoming->bytes + connection->incoming->length;
        const ssize_t received = readv(connection->client.watch.descriptor, parts, 2);
        if (received < 0)
            return errno == EAGAIN || errno == EINTR;
        if (received == 0) {
            connection->client.ended = true;
            return connection->calls.record_bytes == 0; /* else the rest of a record will never come */
        }
        const uint64_t arrival_ns = clock_monotonic_ns();
        const size_t count = (size_t)received;
        const size_t placed = count < parts[0].iov_len ? count : parts[0].iov_len;
        if (placed > 0)
            take_placed(connection, placed, arrival_ns);
        if (!take_buffered(connection, count - placed, arrival_ns))
            return false;
        if (count < parts[0].iov_len + parts[1].iov_len)
            return true; /* there was no more */
    }
    return true;
}

void requests_forward(struct record *record) {
    struct connection *const connection = record->connection;
    if (record->call.awaits_reply)
        pending_add(&connection->pending, record->call.xid, record->call.kind);
    record_list_push(&connection->outgoing, record);
}

static void drop_sent(struct connection *connection, size_t count) {
    while (count > 0) {
        struct record *const record = connection->outgoing.first;
        const size_t left = record->length - record->sent;
        if (count < left) {
            record->sent += count;
            return;
        }
        count -= left;
        record_list_pop(&connection->outgoing);
        connection->queued--;
        connection->queued_bytes -= record_memory_bytes(record);
        free(record);
    }
}

bool requests_send(struct connection *connection) {
    while (connection->connected && connection->outgoing.first != NULL) {
        struct iovec parts[PARTS_A_SEND];
        struct msghdr message = {.msg_iov = parts};
        size_t offered = 0;
        for (struct record *record = connection->outgoing.first; record != NULL; record = record->next) {
            parts[message.msg_iovlen].iov_base = record->bytes + record->sent;
            parts[message.msg_iovlen].iov_len = record->length - record->sent;
            offered += record->length - record->sent;
            if (++message.msg_iovlen == PARTS_A_SEND)
                break;
        }
        const ssize_t sent = sendmsg(connection->upstream.watch.descriptor, &message, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        drop_sent(connection, (size_t)sent);
        if ((size_t)sent < offered)
            return true; /* the rest when it takes more */
    }
    return true;
}
