#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "loop.h"
#include "refuse.h"

#define LINE_LIMIT 1024
#define FIRST_CAPACITY ((size_t)(64 * 1024))
#define LIMIT_BYTES ((size_t)(8 * 1024 * 1024)) /* six hours of a line a second */

static void output_ready(struct watch *watch, uint32_t events);

static struct {
    struct watch watch;
    char *bytes;
    size_t start; /* of what is to be written */
    size_t end;
    size_t capacity;
} queue = {.watch = {.descriptor = STDOUT_FILENO, .ready = output_ready}};

/* O_NONBLOCK would be set for everybody who has the same pipe or terminal (open(2), "open file description"). */
static bool can_write(void) {
    struct pollfd standard_output = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&standard_output, 1, 0) == 1;
}

/* poll says that a pipe takes PIPE_BUF bytes without blocking (pipe(7), poll(2)). */
static void write_out(void) {
    while (queue.start < queue.end && can_write()) {
        const size_t left = queue.end - queue.start;
        const ssize_t written = write(STDOUT_FILENO, queue.bytes + queue.start, left < PIPE_BUF ? left : PIPE_BUF);
        if (written < 0 && errno != EINTR)
            refuse(EXIT_FAILURE, "standard output: %s", strerror(errno));
        queue.start += written > 0 ? (size_t)written : 0;
    }
    if (queue.start < queue.end) {
        loop_watch(&queue.watch, EPOLLOUT);
        return;
    }
    loop_forget(&queue.watch);
    queue.start = queue.end = 0;
}

static void output_ready(struct watch *watch, uint32_t events) {
    (void)watch;
    (void)events;
    write_out();
}

static void make_room(size_t needed) {
    if (queue.end + needed <= queue.capacity)
        return;
    const size_t used = queue.end - queue.start;
    if (used > LIMIT_BYTES)
        refuse(EXIT_FAILURE, "standard output: %zu bytes wait for a reader that does not come", used);
    if (queue.start > 0) {
        memmove(queue.bytes, queue.bytes + queue.start, used);
        queue.start = 0;
        queue.end = used;
    }
    if (2 * used < queue.capacity)
        return;
    queue.capacity = queue.capacity == 0 ? FIRST_CAPACITY : 2 * queue.capacity;
    char *const bytes = realloc(queue.bytes, queue.capacity);
    if (bytes == NULL)
        refuse_no_memory();
    queue.bytes = bytes;
}

void output_line(const char *format, ...) {
    make_room(LINE_LIMIT);
    va_list values;
    va_start(values, format);
    const int length = vsnprintf(queue.bytes + queue.end, LINE_LIMIT, format, values);
    va_end(values);
    if (length < 0 || length >= LINE_LIMIT - 1)
        abort(); /* no line of ours is so long */
    queue.end += (size_t)length;
    queue.bytes[queue.end++] = '\n';
    write_out();
}

void output_close(void) { free(queue.bytes); }
