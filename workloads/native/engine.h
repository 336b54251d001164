/* The two ways to repeat an operation, and what they have in common: where the next request lies (how one that has ended
 * is counted is in counting.h). Both keep to one rule: the end of an operation is the start of the next. With one look
 * at the clock instead of two, an operation's latency includes the counting of the one before, some 10 ns; and time that
 * the thread was kept from running is in some operation's latency instead of in none. */
#ifndef TIDEMARK_ENGINE_H
#define TIDEMARK_ENGINE_H

#include "random.h"
#include "worker.h"

/* A disk that fails each request at once would otherwise be asked a million times a second. */
#define PAUSE_AFTER_FAILURE_NS NS_PER_MILLISECOND

/* One request at a time, by the system calls of the original. */
void engine_threads_run(struct worker *worker);

/* Makes the thread's ring; called in the thread, which alone may use it. Returns an error number, and in `what` the
 * step that failed. */
int engine_io_uring_open(struct worker *worker, const char **what);

/* `--depth` requests in flight. */
void engine_io_uring_run(struct worker *worker);

/* What places a request, in registers of the timed loop. */
struct place {
    enum pattern pattern;
    uint64_t size;
    uint64_t count; /* of whole requests in the span */
};

static inline struct place place_of(const struct worker *worker) {
    const struct arguments *const arguments = worker->run->arguments;
    return (struct place){arguments->pattern, arguments->size_bytes, worker->target->request_count};
}

static inline uint64_t next_offset(struct worker *worker, const struct place *place) {
    if (place->pattern == PATTERN_FIXED)
        return 0;
    if (place->pattern == PATTERN_RANDOM)
        return random_below(&worker->random_state, place->count) * place->size;
    return atomic_fetch_add_explicit(&worker->target->cursor, 1, memory_order_relaxed) % place->count * place->size;
}

static inline bool goes_on(const struct run *run, uint64_t now_ns) {
    return now_ns < run->grid.close_ns && !atomic_load_explicit(&run->stop, memory_order_relaxed);
}

#endif
