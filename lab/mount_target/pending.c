#include "pending.h"

#include <stdlib.h>

#include "refuse.h"

#define FIRST_CAPACITY 64u

/* The end of MurmurHash3 (Appleby, public domain): every bit of the number counts. Linux's client counts up in its own
 * byte order, so on the wire that is the highest byte of four. */
static size_t home(const struct pending *pending, uint32_t xid) {
    xid ^= xid >> 16;
    xid *= UINT32_C(0x85ebca6b);
    xid ^= xid >> 13;
    xid *= UINT32_C(0xc2b2ae35);
    xid ^= xid >> 16;
    return (size_t)xid & (pending->capacity - 1);
}

static size_t after(const struct pending *pending, size_t place) { return (place + 1) & (pending->capacity - 1); }

static void put(struct pending *pending, struct pending_call call) {
    size_t place = home(pending, call.xid);
    while (pending->places[place].used)
        place = after(pending, place);
    pending->places[place] = call;
}

static void grow(struct pending *pending) {
    const struct pending old = *pending;
    pending->capacity = old.capacity == 0 ? FIRST_CAPACITY : 2 * old.capacity;
    pending->places = calloc(pending->capacity, sizeof *pending->places);
    if (pending->places == NULL)
        refuse_no_memory();
    for (size_t i = 0; i < old.capacity; i++) {
        if (old.places[i].used)
            put(pending, old.places[i]);
    }
    free(old.places);
}

void pending_add(struct pending *pending, uint32_t xid, enum kind kind) {
    if (2 * pending->count >= pending->capacity)
        grow(pending);
    put(pending, (struct pending_call){.xid = xid, .kind = kind, .used = true});
    pending->count++;
}

/* Closes the gap, so that a search may end at the first free place: whatever follows without a gap moves up, unless its
 * home lies behind the gap. */
static void close_gap(struct pending *pending, size_t gap) {
    for (size_t place = after(pending, gap); pending->places[place].used; place = after(pending, place)) {
        const size_t mask = pending->capacity - 1;
        const size_t from_home = (place - home(pending, pending->places[place].xid)) & mask;
        if (from_home >= ((place - gap) & mask)) {
            pending->places[gap] = pending->places[place];
            gap = place;
        }
    }
    pending->places[gap].used = false;
}

bool pending_take(struct pending *pending, uint32_t xid, enum kind *kind) {
    if (pending->count == 0)
        return false;
    for (size_t place = home(pending, xid); pending->places[place].used; place = after(pending, place)) {
        if (pending->places[place].xid == xid) {
            *kind = pending->places[place].kind;
            close_gap(pending, place);
            pending->count--;
            return true;
        }
    }
    return false;
}

void pending_clear(struct pending *pending) {
    free(pending->places);
    *pending = (struct pending){0};
}
