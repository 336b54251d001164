#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "clock.h"
#include "output.h"
#include "reporter.h"
#include "target.h"
#include "worker.h"

/* A step of the real-time clock during the wait for --start-at is noticed within this time. */
#define WAIT_STEP_NS (100 * NS_PER_MILLISECOND)

#define OPENING_THREADS 16u

static void *allocate_cleared(size_t count, size_t size) {
    void *memory;
    if (posix_memalign(&memory, CACHE_LINE_BYTES, count * size) != 0) {
        fprintf(stderr, "tidemark-worker: no memory for %zu threads\n", count);
        exit(EXIT_FAILURE);
    }
    return memset(memory, 0, count * size);
}

/* All signals that end the run are waited for by the reporter, in every thread's mask before threads exist. */
static void block_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* Files that are still to be opened, by several threads. */
struct opening {
    const struct arguments *arguments;
    struct target *targets;
    atomic_size_t next;
};

static void *open_next(void *argument) {
    struct opening *const opening = argument;
    size_t i;
    while ((i = atomic_fetch_add(&opening->next, 1)) < opening->arguments->file_count)
        target_open(&opening->targets[i], opening->arguments->files[i], opening->arguments);
    return NULL;
}

/* Over NFS each file takes two round trips: 60 of them, one after the other, took 1.5 s at EFS's latency. */
static struct target *open_targets(const struct arguments *arguments) {
    struct opening opening = {
        .arguments = arguments,
        .targets = allocate_cleared(arguments->file_count, sizeof(struct target)),
    };
    pthread_t helpers[OPENING_THREADS - 1];
    size_t count = 0;
    while (count < OPENING_THREADS - 1 && count + 1 < arguments->file_count &&
           pthread_create(&helpers[count], NULL, open_next, &opening) == 0)
        count++;
    open_next(&opening); /* alone, where no thread could be had */
    for (size_t i = 0; i < count; i++)
        pthread_join(helpers[i], NULL);
    return opening.targets;
}

static _Noreturn void refuse_io_uring(const char *step, int error) {
    const char *const reason = error == ENOSYS  ? "this kernel has no io_uring, or one older than Linux 5.5"
                               : error == EPERM ? "forbidden here (kernel.io_uring_disabled, or a seccomp filter)"
                               : error == ENOMEM ? "not enough memory that may be locked (ulimit -l)"
                                                 : strerror(error);
    arguments_refuse(EXIT_FAILURE, "--engine", "io_uring: %s: %s; possible: --engine threads", step, reason);
}

static struct worker *start_workers(struct run *run, struct target *targets, size_t count) {
    struct worker *workers = allocate_cleared(count, sizeof *workers);
    for (size_t i = 0; i < count; i++) {
        const int error = worker_start(&workers[i], run, &targets[i / run->arguments->threads], i);
        if (error != 0) {
            fprintf(stderr, "tidemark-worker: thread %zu of %zu: %s\n", i + 1, count, strerror(error));
            exit(EXIT_FAILURE);
        }
    }
    for (size_t i = 0; i < count; i++) {
        while (sem_wait(&run->ready) != 0)
            continue;
    }
    for (size_t i = 0; i < count; i++) {
        if (workers[i].setup_step != NULL && workers[i].setup_error != 0)
            refuse_io_uring(workers[i].setup_step, workers[i].setup_error);
        if (workers[i].setup_error != 0)
            target_refuse(workers[i].target->path, workers[i].setup_error);
    }
    return workers;
}

/* Returns false when a signal ended the wait. */
static bool wait_for_start(const struct arguments *arguments) {
    if (!arguments->start_at_given)
        return true;
    arguments_check_start(arguments);
    for (;;) {
        const uint64_t now_ns = clock_unix_ns();
        if (now_ns >= arguments->start_at_unix_ns)
            return true;
        const uint64_t left_ns = arguments->start_at_unix_ns - now_ns;
        const uint64_t step_ns = left_ns < WAIT_STEP_NS ? left_ns : WAIT_STEP_NS;
        const int number = reporter_wait_signal(clock_monotonic_ns() + step_ns);
        if (number == SIGTERM || number == SIGINT)
            return false;
    }
}

int main(int argc, char **argv) {
    static struct arguments arguments;
    static struct run run;
    static struct reporter reporter;

    arguments_parse(&arguments, argc, argv);
    block_signals();
    fast_clock_start(&run.clock);
    struct target *targets = open_targets(&arguments);

    const size_t count = arguments.file_count * arguments.threads;
    run.arguments = &arguments;
    run.reporter = pthread_self();
    sem_init(&run.ready, 0, 0);
    sem_init(&run.go, 0, 0);
    atomic_init(&run.running, count);
    struct worker *workers = start_workers(&run, targets, count);
    output_start();

    fast_clock_calibrate(&run.clock);

    const bool started = wait_for_start(&arguments);
    const uint64_t now_ns = clock_monotonic_ns();
    reporter = (struct reporter){
        .run = &run, .workers = workers, .worker_count = count, .unix_offset_ns = clock_unix_ns() - now_ns};
    if (!started) {
        atomic_store(&run.stop, true);
        reporter.stopped_ns = now_ns;
    }
    run.grid.open_ns = now_ns + arguments.warmup_ns;
    run.grid.close_ns = run.grid.open_ns + arguments.duration_ns;
    for (size_t i = 0; i < count; i++)
        sem_post(&run.go);

    const int code = reporter_run(&reporter);
    output_finish();
    if (atomic_load(&run.running) == 0) {
        for (size_t i = 0; i < count; i++)
            pthread_join(workers[i].thread, NULL);
    }
    /* Not exit(): a thread that was given up may be using what exit() would take down. */
    _exit(code);
}
