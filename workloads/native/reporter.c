#include "reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "counting.h"
#include "output.h"
#include "text.h"

/* After an interval's end, before its tallies are asked for: see counting_has_left. */
#define GRACE_NS (2 * NS_PER_MILLISECOND)
#define POLL_NS (100 * UINT64_C(1000))

int reporter_wait_signal(uint64_t until_ns) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1); /* from the last thread to end */
    for (;;) {
        const uint64_t now_ns = clock_monotonic_ns();
        const struct timespec left = clock_timespec(now_ns < until_ns ? until_ns - now_ns : 0);
        const int number = sigtimedwait(&signals, NULL, &left);
        if (number > 0)
            return number;
        if (errno == EAGAIN)
            return 0;
    }
}

static bool all_ended(const struct reporter *reporter) {
    return atomic_load_explicit(&reporter->run->running, memory_order_acquire) == 0;
}

static void write_unix_seconds(const struct reporter *reporter, const char *name, uint64_t monotonic_ns, FILE *out) {
    const uint64_t unix_ns = monotonic_ns + reporter->unix_offset_ns;
    fprintf(out, "\"%s\":%" PRIu64 ".%06" PRIu64 ",", name, unix_ns / NS_PER_SECOND, unix_ns % NS_PER_SECOND / 1000);
}

static FILE *line_open(char **line, size_t *length) {
    FILE *out = open_memstream(line, length);
    if (out == NULL) {
        fprintf(stderr, "tidemark-worker: no memory for a line\n");
        exit(EXIT_FAILURE);
    }
    return out;
}

static void write_interval(const struct reporter *reporter, uint64_t end_ns) {
    char *line;
    size_t length;
    FILE *out = line_open(&line, &length);
    fprintf(out, "{\"schema\":1,\"kind\":\"interval\",\"second\":%" PRIu64 ",", reporter->next_interval);
    write_unix_seconds(reporter, "t_start_unix_s", grid_start_ns(&reporter->run->grid, reporter->next_interval), out);
    write_unix_seconds(reporter, "t_end_unix_s", end_ns, out);
    summary_write_json(&reporter->interval, out);
    fputs("}\n", out);
    fclose(out);
    output_push(line);
}

static void report_interval(struct reporter *reporter, uint64_t end_ns) {
    summary_clear(&reporter->interval);
    for (size_t i = 0; i < reporter->worker_count; i++) {
        struct worker *const worker = &reporter->workers[i];
        while (!counting_has_left(worker, reporter->next_interval) && !all_ended(reporter))
            clock_sleep_ns(POLL_NS);
        summary_take(&reporter->interval, &worker->tallies[reporter->next_interval % WORKER_TALLIES]);
    }
    if (end_ns < reporter->interval.last_end_ns)
        end_ns = reporter->interval.last_end_ns;
    write_interval(reporter, end_ns);
    summary_add(&reporter->total, &reporter->interval);
    reporter->next_interval++;
    atomic_store_explicit(&reporter->run->reported, reporter->next_interval, memory_order_release);
}

/* A line for each second while threads run. Returns false when a second signal ended it. */
static bool report_while_running(struct reporter *reporter) {
    while (!all_ended(reporter)) {
        const uint64_t end_ns = grid_start_ns(&reporter->run->grid, reporter->next_interval + 1);
        const int number = reporter_wait_signal(end_ns + GRACE_NS);
        if (number == SIGUSR1)
            continue;
        if (number == 0) {
            report_interval(reporter, end_ns);
        } else if (reporter->stopped_ns == 0) {
            reporter->stopped_ns = clock_monotonic_ns();
            atomic_store_explicit(&reporter->run->stop, true, memory_order_relaxed);
        } else {
            return false;
        }
    }
    return true;
}

static uint64_t last_end_ns(const struct reporter *reporter) {
    uint64_t last_ns = reporter->total.last_end_ns;
    for (size_t i = 0; i < reporter->worker_count; i++) {
        for (unsigned k = 0; k < WORKER_TALLIES; k++) {
            const uint64_t end_ns = reporter->workers[i].tallies[k].last_end_ns;
            last_ns = last_ns > end_ns ? last_ns : end_ns;
        }
    }
    return last_ns;
}

/* The end of what was measured, once threads have ended: the last operation's, or the window's if that is later. */
static uint64_t measured_end_ns(const struct reporter *reporter) {
    const struct grid *const grid = &reporter->run->grid;
    const bool stopped_early = reporter->stopped_ns != 0 && reporter->stopped_ns < grid->close_ns;
    const uint64_t window_end_ns = stopped_early ? reporter->stopped_ns : grid->close_ns;
    const uint64_t operations_end_ns = last_end_ns(reporter);
    return window_end_ns > operations_end_ns ? window_end_ns : operations_end_ns;
}

/* What was counted since the last line. */
static void report_rest(struct reporter *reporter, uint64_t end_ns) {
    const struct grid *const grid = &reporter->run->grid;
    if (end_ns <= grid->open_ns)
        return; /* stopped before anything was measured */
    const uint64_t last = grid_index(grid, end_ns);
    while (reporter->next_interval < last)
        report_interval(reporter, grid_start_ns(grid, reporter->next_interval + 1));
    if (reporter->next_interval == last && grid_start_ns(grid, last) < end_ns)
        report_interval(reporter, end_ns);
}

/* The start of the first operation counted; 0 if there was none. */
static uint64_t first_start_ns(const struct reporter *reporter) {
    uint64_t first_ns = 0;
    for (size_t i = 0; i < reporter->worker_count; i++) {
        const uint64_t start_ns = reporter->workers[i].first_start_ns;
        if (start_ns != 0 && (first_ns == 0 || start_ns < first_ns))
            first_ns = start_ns;
    }
    return first_ns;
}

static void write_final(const struct reporter *reporter, uint64_t end_ns) {
    const struct arguments *const arguments = reporter->run->arguments;
    const uint64_t open_ns = reporter->run->grid.open_ns;
    const uint64_t first_ns = first_start_ns(reporter);
    char *line;
    size_t length;
    FILE *out = line_open(&line, &length);
    fputs("{\"schema\":1,\"kind\":\"final\",", out);
    write_unix_seconds(reporter, "t_start_unix_s", open_ns < end_ns ? open_ns : end_ns, out);
    write_unix_seconds(reporter, "t_end_unix_s", end_ns, out);
    if (first_ns == 0) {
        fputs("\"t_first_unix_s\":null,\"t_last_unix_s\":null,", out);
    } else {
        write_unix_seconds(reporter, "t_first_unix_s", first_ns, out);
        write_unix_seconds(reporter, "t_last_unix_s", reporter->total.last_end_ns, out);
    }
    fprintf(out, "\"op\":\"%s\",\"pattern\":\"%s\",\"size_bytes\":%" PRIu64 ",\"threads\":%" PRIu64
            ",\"engine\":\"%s\",\"depth\":%" PRIu64 ",\"files\":[",
            operation_names[arguments->operation], pattern_names[arguments->pattern], arguments->size_bytes,
            arguments->threads, engine_names[arguments->engine], arguments->depth);
    for (size_t i = 0; i < arguments->file_count; i++) {
        fputs(i == 0 ? "" : ",", out);
        text_write_json(arguments->files[i], out);
    }
    fputs("],", out);
    summary_write_json(&reporter->total, out);
    fputs("}\n", out);
    fclose(out);
    output_push(line);
}

int reporter_run(struct reporter *reporter) {
    summary_clear(&reporter->total);
    const bool ended = report_while_running(reporter);
    uint64_t in_flight = 0;
    for (size_t i = 0; i < reporter->worker_count; i++)
        in_flight += atomic_load(&reporter->workers[i].in_flight);
    const uint64_t end_ns = ended ? measured_end_ns(reporter) : clock_monotonic_ns();
    report_rest(reporter, end_ns);
    write_final(reporter, end_ns);
    const bool all_failed = reporter->total.operations == 0 && reporter->total.failures > 0;
    if (!ended)
        fprintf(stderr, "tidemark-worker: gave up on %" PRIu64 " operations that were still in flight\n", in_flight);
    else if (all_failed)
        fprintf(stderr, "tidemark-worker: every operation failed; \"errors\" of the final line says how\n");
    return ended && !all_failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
