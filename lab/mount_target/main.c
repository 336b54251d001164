#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"
#include "clock.h"
#include "connection.h"
#include "counts.h"
#include "front.h"
#include "input.h"
#include "loop.h"
#include "output.h"
#include "refuse.h"

static struct front front;

/* A connection takes two descriptors, and 1024 are the common limit. */
static void allow_many_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void accept_all(struct watch *watch, uint32_t events) {
    (void)events;
    for (;;) {
        const int client = accept4(watch->descriptor, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0)
            connection_open(&front, client);
        else if (errno == EAGAIN)
            return;
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            refuse(EXIT_FAILURE, "a connection can't be accepted: %s", strerror(errno));
        /* All else is an error of that one connection (accept(2)). */
    }
}

static void listen_at(struct watch *watch, const struct sockaddr_in *address) {
    const int on = 1;
    const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *watch = (struct watch){.descriptor = descriptor, .ready = accept_all};
    if (descriptor < 0 || setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(descriptor, (const struct sockaddr *)address, sizeof *address) != 0 ||
        listen(descriptor, SOMAXCONN) != 0) {
        const int error = errno;
        char text[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
        refuse(EXIT_FAILURE, "--listen: %s:%u: %s", text, ntohs(address->sin_port), strerror(error));
    }
    loop_watch(watch, EPOLLIN);
}

static void follow(const struct model *model) { service_follow(&front.service, model); }

/* When the current second ends. Asked for anew each time, it follows the real-time clock wherever that is set to. */
static uint64_t second_end_ns(const struct counts *counts) {
    const uint64_t now_unix_ns = clock_unix_ns();
    const uint64_t end_unix_ns = counts->end_unix_s * NS_PER_SECOND;
    return clock_monotonic_ns() + (end_unix_ns > now_unix_ns ? end_unix_ns - now_unix_ns : 0);
}

static void serve(void) {
    uint64_t tick_ns = second_end_ns(&front.counts);
    while (!input_ended()) {
        const uint64_t due_ns = front_next_due_ns(&front);
        loop_turn(due_ns < tick_ns ? due_ns : tick_ns);
        const uint64_t now_ns = clock_monotonic_ns();
        connection_release_due(&front, now_ns);
        connection_free_closed(&front);
        if (now_ns >= tick_ns) {
            counts_turn(&front.counts, clock_unix_ns());
            tick_ns = second_end_ns(&front.counts);
        }
    }
}

int main(int argc, char **argv) {
    struct arguments arguments;
    arguments_parse(&arguments, argc, argv);
    front.upstream = arguments.upstream;
    allow_many_descriptors();
    loop_open();
    struct watch *const listeners = calloc(arguments.listen_count, sizeof *listeners);
    if (listeners == NULL)
        refuse_no_memory();
    for (size_t i = 0; i < arguments.listen_count; i++)
        listen_at(&listeners[i], &arguments.listen[i]);
    counts_begin(&front.counts, clock_unix_ns());
    output_line("{\"kind\":\"ready\"}");
    input_open(follow);

    serve();
    for (size_t i = 0; i < arguments.listen_count; i++)
        close(listeners[i].descriptor);
    connection_close_all(&front);
    output_close();
    loop_close();
    free(listeners);
    free(arguments.listen);
    return EXIT_SUCCESS;
}
