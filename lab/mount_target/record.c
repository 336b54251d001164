#include "record.h"

#include <stdlib.h>

#include "refuse.h"

struct record *record_reserve(struct record *record, size_t more) {
    const size_t needed = (record == NULL ? 0 : record->length) + more;
    if (record != NULL && needed <= record->capacity)
        return record;
    /* Of many small fragments: doubled, so that not every one moves all that came before. */
    const size_t doubled = record == NULL ? 0 : 2 * record->capacity;
    const size_t capacity = needed > doubled ? needed : doubled;
    struct record *const grown = realloc(record, sizeof *grown + capacity);
    if (grown == NULL)
        refuse_no_memory();
    if (record == NULL)
        *grown = (struct record){0};
    grown->capacity = capacity;
    return grown;
}

size_t record_memory_bytes(const struct record *record) { return sizeof *record + record->capacity; }

void record_list_push(struct record_list *list, struct record *record) {
    record->next = NULL;
    if (list->last == NULL)
        list->first = record;
    else
        list->last->next = record;
    list->last = record;
}

struct record *record_list_pop(struct record_list *list) {
    struct record *const record = list->first;
    if (record == NULL)
        return NULL;
    list->first = record->next;
    if (list->first == NULL)
        list->last = NULL;
    return record;
}

void record_list_drop(struct record_list *list, const struct connection *connection) {
    struct record_list kept = {0};
    for (struct record *record; (record = record_list_pop(list)) != NULL;) {
        if (connection == NULL || record->connection == connection)
            free(record);
        else
            record_list_push(&kept, record);
    }
    *list = kept;
}
