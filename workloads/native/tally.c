#include "tally.h"

#include <inttypes.h>
#include <string.h>

void tally_clear(struct tally *tally) {
    memset(tally, 0, sizeof *tally);
    tally->latency_min_ns = UINT64_MAX;
}

void summary_clear(struct summary *summary) {
    memset(summary, 0, sizeof *summary);
    summary->latency_min_ns = UINT64_MAX;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }
static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

void summary_take(struct summary *summary, struct tally *tally) {
    if (tally->last_end_ns == 0)
        return; /* untouched in this interval */
    summary->bytes += tally->bytes;
    summary->latency_sum_ns += tally->latency_sum_ns;
    summary->latency_min_ns = smaller(summary->latency_min_ns, tally->latency_min_ns);
    summary->latency_max_ns = larger(summary->latency_max_ns, tally->latency_max_ns);
    summary->last_end_ns = larger(summary->last_end_ns, tally->last_end_ns);
    for (uint32_t i = 0; i < TALLY_ERRORS; i++) {
        summary->errors[i] += tally->errors[i];
        summary->failures += tally->errors[i];
    }
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        summary->buckets[i] += tally->buckets[i];
        summary->operations += tally->buckets[i];
    }
    tally_clear(tally);
}

void summary_add(struct summary *summary, const struct summary *other) {
    summary->operations += other->operations;
    summary->failures += other->failures;
    summary->bytes += other->bytes;
    summary->latency_sum_ns += other->latency_sum_ns;
    summary->latency_min_ns = smaller(summary->latency_min_ns, other->latency_min_ns);
    summary->latency_max_ns = larger(summary->latency_max_ns, other->latency_max_ns);
    summary->last_end_ns = larger(summary->last_end_ns, other->last_end_ns);
    for (uint32_t i = 0; i < TALLY_ERRORS; i++)
        summary->errors[i] += other->errors[i];
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        summary->buckets[i] += other->buckets[i];
}

static void write_error_name(uint32_t number, FILE *out) {
    const char *name = strerrorname_np((int)number);
    if (number == TALLY_END_OF_FILE)
        fputs("\"EOF\"", out);
    else if (name != NULL)
        fprintf(out, "\"%s\"", name);
    else
        fprintf(out, "\"errno-%" PRIu32 "%s\"", number, number == TALLY_ERRORS - 1 ? "-or-above" : "");
}

void summary_write_json(const struct summary *summary, FILE *out) {
    fprintf(out, "\"ops\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"errors\":{", summary->operations, summary->bytes);
    const char *separator = "";
    for (uint32_t i = 0; i < TALLY_ERRORS; i++) {
        if (summary->errors[i] == 0)
            continue;
        fputs(separator, out);
        write_error_name(i, out);
        fprintf(out, ":%" PRIu64, summary->errors[i]);
        separator = ",";
    }
    fprintf(out, "},\"latency_ns\":{\"count\":%" PRIu64 ",\"sum\":%" PRIu64, summary->operations,
            summary->latency_sum_ns);
    if (summary->operations == 0)
        fputs(",\"min\":null,\"max\":null,\"buckets\":[", out);
    else
        fprintf(out, ",\"min\":%" PRIu64 ",\"max\":%" PRIu64 ",\"buckets\":[", summary->latency_min_ns,
                summary->latency_max_ns);
    separator = "";
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (summary->buckets[i] == 0)
            continue;
        fprintf(out, "%s[%" PRIu32 ",%" PRIu64 "]", separator, i, summary->buckets[i]);
        separator = ",";
    }
    fputs("]}", out);
}
