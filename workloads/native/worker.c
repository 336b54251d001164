#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "random.h"

#define BUFFER_ALIGNMENT_BYTES 4096u /* enough for O_DIRECT on every logical block size in use */

#define STACK_BYTES (256u * 1024u) /* instead of 8 MiB: hosts are small, threads many */

/* Sequential requests go through one open file for all threads, so that the kernel sees one stream to read ahead of;
 * the others have one each, as the processes of the original had. */
static int open_own(struct worker *worker) {
    if (worker->run->arguments->pattern == PATTERN_SEQUENTIAL) {
        worker->descriptor = worker->target->descriptor;
        return 0;
    }
    worker->descriptor = open(worker->target->path, worker->target->flags);
    return worker->descriptor < 0 ? errno : 0;
}

static int set_up(struct worker *worker) {
    const int error = open_own(worker);
    if (error != 0 || worker->run->arguments->engine == ENGINE_THREADS)
        return error;
    return engine_io_uring_open(worker, &worker->setup_step);
}

static void repeat(struct worker *worker) {
    worker->clock = worker->run->clock;
    worker->interval_end_ns = worker->run->grid.open_ns; /* until then operations are counted where nobody looks */
    if (worker->run->arguments->engine == ENGINE_THREADS)
        engine_threads_run(worker);
    else
        engine_io_uring_run(worker);
}

static void *worker_main(void *argument) {
    struct worker *const worker = argument;
    struct run *const run = worker->run;
    /* With a descriptor table of its own a thread's system calls need neither a reference on the file nor the lock of
     * its position (fs/file.c, __fget_light and fdget_pos; measured on tmpfs: 190 ns, of 940 for lseek and read of a
     * byte). Where it is refused, the thread is only slower. */
    unshare(CLONE_FILES);
    worker->setup_error = set_up(worker);
    sem_post(&run->ready);
    while (sem_wait(&run->go) != 0)
        continue;
    if (worker->setup_error == 0)
        repeat(worker);
    if (atomic_fetch_sub_explicit(&run->running, 1, memory_order_acq_rel) == 1)
        pthread_kill(run->reporter, SIGUSR1);
    return NULL;
}

/* Written once before, which also has the kernel map the pages. */
static void fill(void *buffer, size_t size, uint64_t state) {
    unsigned char *bytes = buffer;
    while (size > 0) {
        const uint64_t word = random_next(&state);
        const size_t part = size < sizeof word ? size : sizeof word;
        memcpy(bytes, &word, part);
        bytes += part;
        size -= part;
    }
}

static int allocate(struct worker *worker, uint64_t number) {
    const struct arguments *const arguments = worker->run->arguments;
    void *tallies;
    int error = posix_memalign(&tallies, CACHE_LINE_BYTES, (WORKER_TALLIES + 1) * sizeof *worker->tallies);
    /* Each begins at a page. */
    const size_t pages = (arguments->size_bytes + BUFFER_ALIGNMENT_BYTES - 1) / BUFFER_ALIGNMENT_BYTES;
    worker->buffer_stride = pages * BUFFER_ALIGNMENT_BYTES;
    const size_t buffer_bytes = worker->buffer_stride * arguments->depth;
    void *buffer;
    if (error == 0)
        error = posix_memalign(&buffer, BUFFER_ALIGNMENT_BYTES, buffer_bytes);
    if (error != 0)
        return error;
    worker->buffer = buffer;
    worker->tallies = tallies;
    for (unsigned i = 0; i <= WORKER_TALLIES; i++)
        tally_clear(&worker->tallies[i]);
    worker->uncounted = &worker->tallies[WORKER_TALLIES];
    worker->random_state = random_stream(arguments->seed, 2 * number);
    fill(worker->buffer, buffer_bytes, random_stream(arguments->seed, 2 * number + 1));
    return 0;
}

int worker_start(struct worker *worker, struct run *run, struct target *target, uint64_t number) {
    *worker = (struct worker){.run = run, .target = target, .descriptor = -1};
    const int error = allocate(worker, number);
    if (error != 0)
        return error;
    worker->tally = worker->uncounted;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    return pthread_create(&worker->thread, &attributes, worker_main, worker);
}
