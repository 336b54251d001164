/* A client's record on its way to the server, whole, with its marks, as it came; and lists of such. */
#ifndef MOUNT_TARGET_RECORD_H
#define MOUNT_TARGET_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "rpc.h"

struct connection;

struct record {
    struct record *next;
    struct connection *connection;
    struct call call;
    uint64_t due_ns;
    size_t capacity;
    size_t length;
    size_t sent;
    uint8_t bytes[];
};

/* First in, first out; all zero is an empty one. */
struct record_list {
    struct record *first;
    struct record *last;
};

/* Makes room for `more` bytes behind those it has; `record` may be NULL. Returns where the record now is. */
struct record *record_reserve(struct record *record, size_t more);

/* The memory that it takes. */
size_t record_memory_bytes(const struct record *record);

void record_list_push(struct record_list *list, struct record *record);

/* NULL if the list is empty. */
struct record *record_list_pop(struct record_list *list);

/* Frees those of one connection; of any, if that is NULL. */
void record_list_drop(struct record_list *list, const struct connection *connection);

#endif
