#include "counts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "output.h"

/* A program that could not run for so long is not what happened: the clock was set, and there are no seconds in
 * between to tell of. */
#define SECONDS_BEHIND_LIMIT UINT64_C(3600)

#define NUMBER_CHARACTERS 21 /* of a uint64_t, with its end */

static void begin_second(struct counts *counts, uint64_t end_unix_s) {
    counts->end_unix_s = end_unix_s;
    memset(counts->operations, 0, sizeof counts->operations);
    counts->others = 0;
}

void counts_begin(struct counts *counts, uint64_t now_unix_ns) {
    begin_second(counts, now_unix_ns / NS_PER_SECOND + 1);
}

static void number_or_null(char text[NUMBER_CHARACTERS], const struct operation_counts *of, uint64_t value) {
    if (of->count == 0)
        strcpy(text, "null");
    else
        snprintf(text, NUMBER_CHARACTERS, "%" PRIu64, value);
}

static void operations_to_json(const struct operation_counts *of, char *text, size_t size) {
    char least[NUMBER_CHARACTERS];
    char most[NUMBER_CHARACTERS];
    number_or_null(least, of, of->metered_min);
    number_or_null(most, of, of->metered_max);
    snprintf(text, size,
             "{\"count\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"metered_sum\":%" PRIu64
             ",\"metered_min\":%s,\"metered_max\":%s}",
             of->count, of->failed, of->bytes, of->metered_sum, least, most);
}

static void print_second(const struct counts *counts) {
    char read[256];
    char write[256];
    operations_to_json(&counts->operations[KIND_READ], read, sizeof read);
    operations_to_json(&counts->operations[KIND_WRITE], write, sizeof write);
    output_line("{\"kind\":\"second\",\"t_unix_s\":%" PRIu64 ",\"connections\":%zu,\"read\":%s,\"write\":%s,"
                "\"other\":{\"count\":%" PRIu64 "}}",
                counts->end_unix_s, counts->connections, read, write, counts->others);
}

void counts_turn(struct counts *counts, uint64_t now_unix_ns) {
    const uint64_t now_unix_s = now_unix_ns / NS_PER_SECOND;
    /* Set back by a little, as time services do across a second's end, it will have caught up soon. */
    const bool was_set = now_unix_s + 2 < counts->end_unix_s || now_unix_s > counts->end_unix_s + SECONDS_BEHIND_LIMIT;
    if (was_set) {
        print_second(counts);
        begin_second(counts, now_unix_s + 1);
    }
    while (counts->end_unix_s <= now_unix_s) {
        print_second(counts);
        begin_second(counts, counts->end_unix_s + 1);
    }
}

void counts_add(struct counts *counts, enum kind kind, uint64_t bytes, uint64_t metered_bytes) {
    struct operation_counts *const of = &counts->operations[kind];
    if (of->count == 0 || metered_bytes < of->metered_min)
        of->metered_min = metered_bytes;
    if (of->count == 0 || metered_bytes > of->metered_max)
        of->metered_max = metered_bytes;
    of->count++;
    of->bytes += bytes;
    of->metered_sum += metered_bytes;
}

void counts_add_failed(struct counts *counts, enum kind kind) { counts->operations[kind].failed++; }

void counts_add_other(struct counts *counts) { counts->others++; }
