#include "input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "command.h"
#include "loop.h"
#include "output.h"
#include "refuse.h"

#define LINE_LIMIT_BYTES 4096u

static struct {
    struct watch watch;
    void (*follow)(const struct model *model);
    char line[LINE_LIMIT_BYTES + 1];
    size_t length;
    bool too_long; /* and the rest of it is not wanted */
    bool ended;
} input;

static void obey(void) {
    struct command command;
    char reason[COMMAND_REASON_BYTES];
    input.line[input.length] = '\0';
    if (input.too_long) {
        output_line("{\"kind\":\"error\",\"reason\":\"a line of more than %u bytes\"}", LINE_LIMIT_BYTES);
    } else if (strlen(input.line) != input.length) {
        output_line("{\"kind\":\"error\",\"reason\":\"a line with a zero byte in it\"}");
    } else if (!command_parse(input.line, &command, reason)) {
        output_line("{\"kind\":\"error\",\"reason\":\"%s\"}", reason);
    } else {
        const struct model *const model = command.has_model ? &command.model : NULL;
        input.follow(model);
        command_print_model(model);
    }
}

static void take_bytes(const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '\n') {
            obey();
            input.length = 0;
            input.too_long = false;
        } else if (input.length == LINE_LIMIT_BYTES) {
            input.too_long = true;
        } else {
            input.line[input.length++] = bytes[i];
        }
    }
}

/* One read: that does not block when there is something, or the end, to read. */
static void input_ready(struct watch *watch, uint32_t events) {
    (void)events;
    char bytes[4096];
    const ssize_t count = read(watch->descriptor, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR)
        return;
    if (count < 0)
        refuse(EXIT_FAILURE, "standard input: %s", strerror(errno));
    if (count > 0) {
        take_bytes(bytes, (size_t)count);
        return;
    }
    input.ended = true;
    loop_forget(watch);
}

void input_open(void (*follow)(const struct model *model)) {
    input.follow = follow;
    input.watch = (struct watch){.descriptor = STDIN_FILENO, .ready = input_ready};
    if (loop_watch(&input.watch, EPOLLIN))
        return;
    while (!input.ended) /* a file */
        input_ready(&input.watch, EPOLLIN);
}

bool input_ended(void) { return input.ended; }
