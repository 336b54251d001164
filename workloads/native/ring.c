#include "ring.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Of Linux 5.19, 6.0 and 6.1; a C library's kernel headers may be older than the kernel. */
#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

/* From the cheapest way to complete requests to what every kernel has: within io_uring_enter alone; at any system call,
 * without an interrupt to another processor; as it comes. */
static const unsigned setups[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_COOP_TASKRUN,
    0,
};

static int set_up(struct ring *ring, uint32_t depth, struct io_uring_params *params) {
    for (size_t i = 0; i < sizeof setups / sizeof *setups; i++) {
        *params = (struct io_uring_params){.flags = setups[i]};
        ring->descriptor = (int)syscall(SYS_io_uring_setup, depth, params);
        if (ring->descriptor >= 0 || errno != EINVAL)
            break;
    }
    if (ring->descriptor < 0)
        return errno;
    /* Linux 5.4 and 5.5: both rings in one mapping, and no completion is ever dropped. */
    const unsigned needed = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;
    return (params->features & needed) == needed ? 0 : ENOSYS;
}

static void *map(const struct ring *ring, size_t size, off_t what) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->descriptor, what);
}

static uint32_t *field(unsigned char *rings, uint32_t offset) { return (uint32_t *)(void *)(rings + offset); }

int ring_open(struct ring *ring, uint32_t depth) {
    *ring = (struct ring){.descriptor = -1};
    struct io_uring_params params;
    const int error = set_up(ring, depth, &params);
    if (error != 0)
        return error;
    const size_t submission_bytes = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
    const size_t completion_bytes = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    const size_t rings_bytes = submission_bytes > completion_bytes ? submission_bytes : completion_bytes;
    void *const mapped = map(ring, rings_bytes, IORING_OFF_SQ_RING);
    void *const submissions = map(ring, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    if (mapped == MAP_FAILED || submissions == MAP_FAILED)
        return errno;
    unsigned char *const rings = mapped;
    ring->mask = *field(rings, params.sq_off.ring_mask);
    ring->submission_tail = (atomic_uint *)field(rings, params.sq_off.tail);
    ring->submissions = submissions;
    ring->completion_mask = *field(rings, params.cq_off.ring_mask);
    ring->completion_head = (atomic_uint *)field(rings, params.cq_off.head);
    ring->completion_tail = (atomic_uint *)field(rings, params.cq_off.tail);
    ring->completions = (const struct io_uring_cqe *)(const void *)(rings + params.cq_off.cqes);
    /* The ring has numbers of requests; each place keeps the request of its own number. */
    for (uint32_t i = 0; i < params.sq_entries; i++)
        field(rings, params.sq_off.array)[i] = i;
    return 0;
}

static int ring_register(const struct ring *ring, unsigned what, const void *items, uint32_t count) {
    return syscall(SYS_io_uring_register, ring->descriptor, what, items, count) < 0 ? errno : 0;
}

int ring_register_file(const struct ring *ring, int descriptor) {
    return ring_register(ring, IORING_REGISTER_FILES, &descriptor, 1);
}

int ring_register_buffers(const struct ring *ring, unsigned char *buffers, uint32_t depth, size_t size, size_t stride) {
    struct iovec *const parts = calloc(depth, sizeof *parts);
    if (parts == NULL)
        return ENOMEM;
    for (uint32_t i = 0; i < depth; i++)
        parts[i] = (struct iovec){.iov_base = buffers + i * stride, .iov_len = size};
    const int error = ring_register(ring, IORING_REGISTER_BUFFERS, parts, depth);
    free(parts);
    return error;
}

int ring_enter(struct ring *ring) {
    atomic_store_explicit(ring->submission_tail, ring->tail, memory_order_release);
    const long submitted = syscall(SYS_io_uring_enter, ring->descriptor, ring->unsubmitted, 1,
                                   IORING_ENTER_GETEVENTS, NULL, 0);
    if (submitted >= 0)
        ring->unsubmitted -= (uint32_t)submitted;
    else if (errno != EINTR && errno != EAGAIN && errno != EBUSY) /* else: completions first, then once more */
        return errno;
    return 0;
}
