#include "service.h"

#include <stddef.h>

#include "clock.h"

/* A trillion metered bytes in nanoseconds are beyond 64 bits. */
__extension__ typedef unsigned __int128 wide;

static uint64_t later(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The remainder is of the old rate: round up, so that the first turn at the new one is not early. */
static void turns_set_rate(struct turns *turns, uint64_t per_second) {
    if (turns->rest > 0) {
        turns->next_ns++;
        turns->rest = 0;
    }
    turns->per_second = per_second;
}

/* The first turn at `from_ns` or later; it uses up `units` of the rate. */
static uint64_t turns_take_ns(struct turns *turns, uint64_t from_ns, uint64_t units) {
    if (turns->per_second == 0)
        return from_ns;
    if (from_ns > TURNS_KEPT_NS && from_ns - TURNS_KEPT_NS > turns->next_ns) {
        turns->next_ns = from_ns - TURNS_KEPT_NS;
        turns->rest = 0;
    }
    const uint64_t turn_ns = turns->next_ns + (turns->rest > 0 ? 1 : 0);
    const wide used = (wide)units * NS_PER_SECOND + turns->rest;
    const wide next_ns = turns->next_ns + used / turns->per_second;
    turns->rest = (uint64_t)(used % turns->per_second);
    if (next_ns >= INT64_MAX) { /* centuries ahead: it is all the same */
        turns->next_ns = INT64_MAX;
        turns->rest = 0;
    } else {
        turns->next_ns = (uint64_t)next_ns;
    }
    return later(turn_ns, from_ns);
}

void service_follow(struct service *service, const struct model *model) {
    service->modelled = model != NULL;
    if (model == NULL)
        return;
    service->model = *model;
    turns_set_rate(&service->operations[KIND_READ], model->read_ops_per_s);
    turns_set_rate(&service->operations[KIND_WRITE], model->write_ops_per_s);
    turns_set_rate(&service->bytes, model->bytes_per_s);
}

uint64_t service_metered_bytes(const struct service *service, uint64_t bytes) {
    return later(bytes, service->modelled ? service->model.metering_minimum_bytes : 1);
}

uint64_t service_due_ns(struct service *service, enum kind kind, uint64_t bytes, uint64_t arrival_ns) {
    if (!service->modelled)
        return arrival_ns;
    const uint64_t eligible_ns = arrival_ns + service->model.delay_ns;
    uint64_t due_ns = later(eligible_ns, service->last_due_ns[kind]);
    if (kind != KIND_OTHER) {
        const uint64_t operation_ns = turns_take_ns(&service->operations[kind], eligible_ns, 1);
        const uint64_t bytes_ns = turns_take_ns(&service->bytes, eligible_ns, service_metered_bytes(service, bytes));
        due_ns = later(due_ns, later(operation_ns, bytes_ns));
    }
    service->last_due_ns[kind] = due_ns;
    return due_ns;
}
