/* The parts of the mount target's front end that decide, without sockets and clocks: a line in, a line out.
 *
 *     none                                                  hold to no model
 *     model DELAY_NS READ_OPS WRITE_OPS BYTES MINIMUM       hold to this one; 0 is no limit
 *     due KIND BYTES ARRIVAL_NS                             when it goes on
 *     calls HEX …                                           a client's stream, in these chunks: what each record is
 *     result KIND HEX                                       a reply with its mark: "ok BYTES" or "failed"
 *     pending +XID:KIND … -XID …                            adds calls, takes calls out: the kind of each, or "none"
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framing.h"
#include "pending.h"
#include "rpc.h"
#include "service.h"

static const char *const kinds[] = {"read", "write", "other"};

static enum kind kind_of(const char *name) {
    for (unsigned kind = 0; kind < KINDS; kind++) {
        if (strcmp(name, kinds[kind]) == 0)
            return (enum kind)kind;
    }
    abort();
}

static void follow(struct service *service, const char *line) {
    struct model model;
    if (sscanf(line, "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64, &model.delay_ns, &model.read_ops_per_s,
               &model.write_ops_per_s, &model.bytes_per_s, &model.metering_minimum_bytes) != 5)
        abort();
    service_follow(service, &model);
}

static void due(struct service *service, const char *line) {
    char kind[8];
    uint64_t bytes;
    uint64_t arrival_ns;
    if (sscanf(line, "%7s %" SCNu64 " %" SCNu64, kind, &bytes, &arrival_ns) != 3)
        abort();
    printf("%" PRIu64 "\n", service_due_ns(service, kind_of(kind), bytes, arrival_ns));
}

/* Exactly as large as the bytes, so that the address sanitizer sees one too many. */
static uint8_t *from_hex(const char *word, size_t *count) {
    *count = strlen(word) / 2;
    uint8_t *const bytes = malloc(*count);
    for (size_t i = 0; i < *count; i++) {
        char digits[3] = {word[2 * i], word[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return bytes;
}

/* In memory of its own, which is to be freed. */
static struct message message_of(const struct framing *framing, uint8_t **memory) {
    struct message message = framing_message(framing);
    *memory = malloc(message.beginning_bytes);
    memcpy(*memory, message.beginning, message.beginning_bytes);
    message.beginning = *memory;
    return message;
}

static void print_call(const struct framing *framing) {
    uint8_t *memory;
    const struct message message = message_of(framing, &memory);
    const struct call call = rpc_read_call(&message);
    free(memory);
    printf("%zu:%s:%s:%" PRIu32 ":%" PRIu32 " ", framing->record_bytes, kinds[call.kind],
           call.is_reply ? "reply" : call.awaits_reply ? "call" : "neither", call.xid, call.bytes);
}

static void calls(char *words) {
    static struct framing framing;
    framing_begin(&framing);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        size_t count;
        uint8_t *const bytes = from_hex(word, &count);
        for (size_t at = 0; at < count;) {
            enum framing_event event;
            at += framing_take(&framing, bytes + at, count - at, &event);
            if (event == FRAMING_TOO_LONG) {
                puts("too long");
                free(bytes);
                return;
            }
            if (event == FRAMING_RECORD_ENDS) {
                print_call(&framing);
                framing_begin(&framing);
            }
        }
        free(bytes);
    }
    puts(framing.record_bytes == 0 ? "" : "unfinished");
}

static void result(char *words) {
    static struct framing framing;
    framing_begin(&framing);
    const enum kind kind = kind_of(strtok(words, " "));
    size_t count;
    uint8_t *const record = from_hex(strtok(NULL, " "), &count);
    enum framing_event event;
    if (framing_take(&framing, record, count, &event) != count || event != FRAMING_RECORD_ENDS)
        abort();
    uint8_t *memory;
    const struct message message = message_of(&framing, &memory);
    uint32_t bytes;
    if (rpc_read_result(&message, kind, &bytes))
        printf("ok %" PRIu32 "\n", bytes);
    else
        puts("failed");
    free(memory);
    free(record);
}

static void pending(char *words) {
    struct pending table = {0};
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        char *rest;
        const uint32_t xid = (uint32_t)strtoul(word + 1, &rest, 10);
        enum kind kind;
        if (*word == '+')
            pending_add(&table, xid, kind_of(rest + 1));
        else
            printf("%s ", pending_take(&table, xid, &kind) ? kinds[kind] : "none");
    }
    printf("%zu\n", table.count);
    pending_clear(&table);
}

int main(void) {
    static struct service service;
    char *line = NULL;
    size_t size = 0;
    for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
        line[strcspn(line, "\n")] = '\0';
        char *const space = strchr(line, ' ');
        char *const rest = space == NULL ? line + strlen(line) : space + 1;
        if (space != NULL)
            *space = '\0';
        if (strcmp(line, "none") == 0)
            service_follow(&service, NULL);
        else if (strcmp(line, "model") == 0)
            follow(&service, rest);
        else if (strcmp(line, "due") == 0)
            due(&service, rest);
        else if (strcmp(line, "calls") == 0)
            calls(rest);
        else if (strcmp(line, "result") == 0)
            result(rest);
        else if (strcmp(line, "pending") == 0)
            pending(rest);
        else
            abort();
    }
    free(line);
    return 0;
}
