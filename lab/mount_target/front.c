#include "front.h"

static uint64_t first_due_ns(const struct record_list *list) {
    return list->first == NULL ? UINT64_MAX : list->first->due_ns;
}

static size_t earliest(const struct front *front) {
    size_t found = 0;
    for (size_t kind = 1; kind < KINDS; kind++) {
        if (first_due_ns(&front->held[kind]) < first_due_ns(&front->held[found]))
            found = kind;
    }
    return found;
}

struct record *front_take_due(struct front *front, uint64_t now_ns) {
    struct record_list *const list = &front->held[earliest(front)];
    return first_due_ns(list) <= now_ns ? record_list_pop(list) : NULL;
}

uint64_t front_next_due_ns(const struct front *front) { return first_due_ns(&front->held[earliest(front)]); }
