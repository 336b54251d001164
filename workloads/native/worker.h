/* A worker is one thread on one file: it repeats the operation and counts into a tally of the current interval. */
#ifndef TIDEMARK_WORKER_H
#define TIDEMARK_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arguments.h"
#include "fast_clock.h"
#include "grid.h"
#include "tally.h"
#include "target.h"

/* Intervals that threads may be ahead of the reporter, which happens when the machine is out of CPU or all of the
 * process was stopped. A thread further ahead than that waits: a wrong count would be worse. */
#define WORKER_TALLIES 4u

/* What all the threads share. */
struct run {
    const struct arguments *arguments;
    struct grid grid;
    struct fast_clock clock; /* of which each thread has a copy */
    sem_t ready; /* posted by each thread when it has opened its file */
    sem_t go;    /* posted for each thread when the run begins */
    pthread_t reporter;
    alignas(CACHE_LINE_BYTES) atomic_bool stop; /* asked for by a signal */
    atomic_uint_fast64_t reported;              /* intervals whose tallies have been taken */
    alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t running; /* threads that haven't ended */
};

struct worker {
    alignas(CACHE_LINE_BYTES) atomic_bool recording;
    atomic_uint_fast64_t interval;  /* the one being counted */
    atomic_uint_fast64_t in_flight; /* operations */
    struct fast_clock clock;
    uint64_t interval_end_ns;
    uint64_t first_start_ns; /* of the first operation counted; 0 before */
    struct tally *tally;     /* the current one of `tallies`, or `uncounted` in the warm-up */
    struct tally *tallies;   /* WORKER_TALLIES of them, that of interval i at i % WORKER_TALLIES */
    struct tally *uncounted;
    struct run *run;
    struct target *target;
    int descriptor;
    unsigned char *buffer; /* one for each request in flight, `buffer_stride` bytes apart */
    size_t buffer_stride;
    uint64_t random_state;
    struct queue *queue;      /* of engine_io_uring.c */
    int setup_error;
    const char *setup_step; /* of --engine, which failed; NULL: opening the file did */
    pthread_t thread;
};

/* Starts the thread, which opens its file, posts `run->ready` (setup_error then says how that went) and waits for
 * `run->go`. Returns an error number. */
int worker_start(struct worker *worker, struct run *run, struct target *target, uint64_t number);

#endif
