#include "connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "refuse.h"
#include "replies.h"
#include "requests.h"

static void close_both(struct connection *connection) {
    struct front *const front = connection->front;
    for (size_t kind = 0; kind < KINDS; kind++)
        record_list_drop(&front->held[kind], connection);
    record_list_drop(&connection->outgoing, NULL);
    free(connection->incoming);
    pending_clear(&connection->pending);
    loop_forget(&connection->client.watch);
    loop_forget(&connection->upstream.watch);
    close(connection->client.watch.descriptor);
    close(connection->upstream.watch.descriptor);
    connection->closed = true;
    front->counts.connections--;

    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    connection->next = front->closed;
    front->closed = connection;
}

static void shut(struct side *side) {
    if (!side->shut)
        shutdown(side->watch.descriptor, SHUT_WR);
    side->shut = true;
}

static void watch_side(struct side *side, bool reads, bool writes) {
    if (side->hung_up && !reads && !writes)
        loop_forget(&side->watch);
    else
        loop_watch(&side->watch, (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u));
}

/* After anything that may have changed what there is to do. */
static void settle(struct connection *connection, bool well) {
    if (!well) {
        close_both(connection);
        return;
    }
    struct side *const client = &connection->client;
    struct side *const upstream = &connection->upstream;
    const bool replies_left = connection->reply_start < connection->reply_end;
    if (client->ended && connection->queued == 0 && connection->connected)
        shut(upstream);
    if (upstream->ended) /* which is read when the client has taken all that came before */
        shut(client);
    if (client->shut && upstream->shut) {
        close_both(connection);
        return;
    }
    watch_side(client, !client->ended && connection->queued_bytes <= QUEUE_LIMIT_BYTES, replies_left);
    watch_side(upstream, connection->connected && !upstream->ended && !replies_left,
               !connection->connected || connection->outgoing.first != NULL);
}

static bool has_failed(const struct side *side, uint32_t events) {
    int error = 0;
    socklen_t size = sizeof error;
    return (events & EPOLLERR) != 0 &&
           (getsockopt(side->watch.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0);
}

static void client_ready(struct watch *watch, uint32_t events) {
    struct connection *const connection = watch->owner;
    bool well = !has_failed(&connection->client, events);
    connection->client.hung_up = (events & EPOLLHUP) != 0;
    if (well && (events & EPOLLOUT) != 0)
        well = replies_send(connection);
    if (well && (events & (EPOLLIN | EPOLLHUP)) != 0 && (watch->wanted & EPOLLIN) != 0)
        well = requests_receive(connection) && requests_send(connection);
    settle(connection, well);
}

static void upstream_ready(struct watch *watch, uint32_t events) {
    struct connection *const connection = watch->owner;
    bool well = !has_failed(&connection->upstream, events);
    connection->upstream.hung_up = (events & EPOLLHUP) != 0;
    if (well && (events & EPOLLOUT) != 0) {
        connection->connected = true;
        well = requests_send(connection);
    }
    if (well && (events & (EPOLLIN | EPOLLHUP)) != 0 && (watch->wanted & EPOLLIN) != 0)
        well = replies_receive(connection);
    settle(connection, well);
}

static void set_options(int descriptor) {
    const int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

static int connect_to(const struct sockaddr_in *address) {
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    set_options(descriptor);
    if (connect(descriptor, (const struct sockaddr *)address, sizeof *address) != 0 && errno != EINPROGRESS) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

void connection_open(struct front *front, int client) {
    const int upstream = connect_to(&front->upstream);
    if (upstream < 0) {
        close(client);
        return;
    }
    set_options(client);
    struct connection *const connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        refuse_no_memory();
    connection->front = front;
    connection->client.watch = (struct watch){.descriptor = client, .ready = client_ready, .owner = connection};
    connection->upstream.watch = (struct watch){.descriptor = upstream, .ready = upstream_ready, .owner = connection};
    connection->next = front->connections;
    connection->link = &front->connections;
    if (connection->next != NULL)
        connection->next->link = &connection->next;
    front->connections = connection;
    front->counts.connections++;
    settle(connection, true);
}

void connection_release_due(struct front *front, uint64_t now_ns) {
    for (struct record *record; (record = front_take_due(front, now_ns)) != NULL;) {
        struct connection *const connection = record->connection;
        requests_forward(record);
        settle(connection, requests_send(connection));
    }
}

void connection_free_closed(struct front *front) {
    while (front->closed != NULL) {
        struct connection *const connection = front->closed;
        front->closed = connection->next;
        free(connection);
    }
}

void connection_close_all(struct front *front) {
    while (front->connections != NULL)
        close_both(front->connections);
    connection_free_closed(front);
}
