#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "counting.h"
#include "engine.h"
#include "ring.h"

/* A thread's ring, and what is known of each of its requests by number. */
struct queue {
    struct ring ring;
    struct place place;
    uint8_t opcode;
    unsigned char *buffers;
    uint64_t *started_ns;
    uint32_t *ended; /* the requests that ended since the last submission */
};

int engine_io_uring_open(struct worker *worker, const char **what) {
    const struct arguments *const arguments = worker->run->arguments;
    const uint32_t depth = (uint32_t)arguments->depth;
    struct queue *const queue = calloc(1, sizeof *queue);
    *what = "memory";
    if (queue == NULL)
        return ENOMEM;
    *queue = (struct queue){
        .place = place_of(worker),
        .opcode = arguments->operation == OPERATION_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED,
        .buffers = worker->buffer,
        .started_ns = calloc(depth, sizeof *queue->started_ns),
        .ended = calloc(depth, sizeof *queue->ended),
    };
    if (queue->started_ns == NULL || queue->ended == NULL)
        return ENOMEM;
    worker->queue = queue;
    *what = "io_uring_setup";
    int error = ring_open(&queue->ring, depth);
    if (error != 0)
        return error;
    *what = "the file";
    error = ring_register_file(&queue->ring, worker->descriptor);
    if (error != 0)
        return error;
    *what = "the buffers";
    return ring_register_buffers(&queue->ring, queue->buffers, depth, arguments->size_bytes, worker->buffer_stride);
}

static void submit(struct worker *worker, struct queue *queue, uint32_t number, uint64_t now_ns) {
    queue->started_ns[number] = now_ns;
    *ring_prepare(&queue->ring) = (struct io_uring_sqe){
        .opcode = queue->opcode,
        .flags = IOSQE_FIXED_FILE,
        .fd = 0,
        .off = next_offset(worker, &queue->place),
        .addr = (uintptr_t)(queue->buffers + number * worker->buffer_stride),
        .len = (uint32_t)queue->place.size,
        .buf_index = (uint16_t)number,
        .user_data = number,
    };
}

static _Noreturn void give_up(int error) {
    fprintf(stderr, "tidemark-worker: --engine: io_uring_enter: %s\n", strerror(error));
    _exit(EXIT_FAILURE);
}

/* All requests that the thread finds complete together end at one time: the kernel notes none, and one look at the
 * clock for each would be in the way of the rest. */
void engine_io_uring_run(struct worker *worker) {
    struct queue *const queue = worker->queue;
    const uint32_t depth = (uint32_t)worker->run->arguments->depth;
    uint64_t now_ns = fast_clock_ns(&worker->clock);
    uint32_t in_flight = 0;
    for (; in_flight < depth && goes_on(worker->run, now_ns); in_flight++)
        submit(worker, queue, in_flight, now_ns);
    while (in_flight > 0) {
        atomic_store_explicit(&worker->in_flight, in_flight, memory_order_relaxed);
        const int error = ring_enter(&queue->ring);
        if (error != 0)
            give_up(error);
        now_ns = start_counting(worker);
        uint32_t count_ended = 0;
        bool turned = false;
        bool failed = false;
        for (const struct io_uring_cqe *end; (end = ring_completion(&queue->ring)) != NULL;) {
            const uint32_t number = (uint32_t)end->user_data;
            turned |= count(worker, queue->started_ns[number], now_ns, end->res);
            failed |= end->res <= 0;
            queue->ended[count_ended++] = number;
        }
        ring_release(&queue->ring);
        end_counting(worker);
        if (failed)
            clock_sleep_ns(PAUSE_AFTER_FAILURE_NS);
        if (failed || turned)
            now_ns = fast_clock_ns(&worker->clock);
        if (!goes_on(worker->run, now_ns)) {
            in_flight -= count_ended;
            continue;
        }
        for (uint32_t i = 0; i < count_ended; i++)
            submit(worker, queue, queue->ended[i], now_ns);
    }
    atomic_store_explicit(&worker->in_flight, 0, memory_order_relaxed);
}
