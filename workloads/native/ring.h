/* A pair of io_uring's rings (io_uring(7)), by its system calls: what is needed of liburing are these hundred lines,
 * and without it neither the build nor the host needs anything more. */
#ifndef TIDEMARK_RING_H
#define TIDEMARK_RING_H

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    int descriptor;
    uint32_t mask; /* of places in the submission ring */
    uint32_t tail; /* the next place in it */
    uint32_t unsubmitted;
    atomic_uint *submission_tail;
    struct io_uring_sqe *submissions;
    uint32_t completion_mask;
    uint32_t completion_next;
    atomic_uint *completion_head;
    atomic_uint *completion_tail;
    const struct io_uring_cqe *completions;
};

/* Makes rings for `depth` requests in flight. Returns an error number. */
int ring_open(struct ring *ring, uint32_t depth);

/* Register the file, as number 0, and `depth` buffers of `size` bytes, which lie `stride` bytes apart, as 0, 1, 2, …:
 * the kernel takes hold of them once and not at each request. Return an error number. */
int ring_register_file(const struct ring *ring, int descriptor);
int ring_register_buffers(const struct ring *ring, unsigned char *buffers, uint32_t depth, size_t size, size_t stride);

/* Submits what was prepared and waits until at least one request is complete. Returns an error number. */
int ring_enter(struct ring *ring);

/* The next request to fill in; there are as many as `depth`. */
static inline struct io_uring_sqe *ring_prepare(struct ring *ring) {
    ring->unsubmitted++;
    return &ring->submissions[ring->tail++ & ring->mask];
}

/* The next completion, or NULL if there is none yet. It is valid until ring_release. */
static inline const struct io_uring_cqe *ring_completion(struct ring *ring) {
    if (ring->completion_next == atomic_load_explicit(ring->completion_tail, memory_order_acquire))
        return NULL;
    return &ring->completions[ring->completion_next++ & ring->completion_mask];
}

static inline void ring_release(struct ring *ring) {
    atomic_store_explicit(ring->completion_head, ring->completion_next, memory_order_release);
}

#endif
