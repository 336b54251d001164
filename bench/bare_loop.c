/* The least that can repeat a system call: what tidemark-worker's own work is measured against.
 *
 *     bare_loop PATH read|write fixed|sequential|random SIZE_BYTES SPAN_BYTES PROCESSES SECONDS direct|buffered
 *
 * Its system calls are its own, or with THROUGH_C_LIBRARY those of the C library, which cost more: lseek and read of a
 * byte take a quarter longer (Zen 3, Linux 6.18).
 * No clock and no counting but one counter; a timer ends it. Processes and not threads: nothing is shared but the
 * sequential cursor. Prints operations and seconds. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "system_call.h"

static volatile sig_atomic_t over;

static void on_alarm(int number) {
    (void)number;
    over = 1;
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

struct job {
    const char *path;
    int flags;
    int reads;
    char pattern;
    size_t size;
    uint64_t requests;
    double seconds;
};

static long operate(const struct job *job, int fd, void *buffer, off_t offset) {
#ifdef THROUGH_C_LIBRARY
    if (job->pattern != 'f')
        return job->reads ? pread(fd, buffer, job->size, offset) : pwrite(fd, buffer, job->size, offset);
    lseek(fd, 0, SEEK_SET);
    return job->reads ? read(fd, buffer, job->size) : write(fd, buffer, job->size);
#else
    if (job->pattern != 'f')
        return system_call(job->reads ? SYS_pread64 : SYS_pwrite64, fd, (long)buffer, (long)job->size, offset);
    system_call(SYS_lseek, fd, 0, SEEK_SET, 0);
    return system_call(job->reads ? SYS_read : SYS_write, fd, (long)buffer, (long)job->size, 0);
#endif
}

static uint64_t loop(const struct job *job, int fd, void *buffer, atomic_uint_fast64_t *cursor, uint64_t state) {
    uint64_t operations = 0;
    for (; !over; operations++) {
        uint64_t request = 0;
        if (job->pattern == 's') {
            request = atomic_fetch_add_explicit(cursor, 1, memory_order_relaxed) % job->requests;
        } else if (job->pattern == 'r') {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
            request = (state >> 33) * job->requests >> 31;
        }
        const long moved = operate(job, fd, buffer, (off_t)(request * job->size));
        if (moved != (long)job->size) {
            perror("bare_loop: operation");
            _exit(1);
        }
    }
    return operations;
}

static uint64_t run(const struct job *job, atomic_uint_fast64_t *cursor, uint64_t seed) {
    void *buffer;
    const int fd = open(job->path, job->flags);
    if (fd < 0 || posix_memalign(&buffer, 4096, job->size) != 0) {
        perror("bare_loop: set-up");
        _exit(1);
    }
    memset(buffer, 0x5a, job->size);
    const time_t whole_s = (time_t)job->seconds;
    const struct itimerval timer = {
        .it_value = {.tv_sec = whole_s, .tv_usec = (suseconds_t)((job->seconds - (double)whole_s) * 1e6)}};
    setitimer(ITIMER_REAL, &timer, NULL);
    return loop(job, fd, buffer, cursor, seed);
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "bare_loop: eight arguments, see bare_loop.c\n");
        return 2;
    }
    const struct job job = {
        .path = argv[1],
        .reads = strcmp(argv[2], "read") == 0,
        .flags = (strcmp(argv[2], "read") == 0 ? O_RDONLY : O_WRONLY) | (strcmp(argv[8], "direct") == 0 ? O_DIRECT : 0),
        .pattern = argv[3][0],
        .size = strtoull(argv[4], NULL, 10),
        .requests = strtoull(argv[5], NULL, 10) / strtoull(argv[4], NULL, 10),
        .seconds = strtod(argv[7], NULL),
    };
    const int processes = atoi(argv[6]);
    signal(SIGALRM, on_alarm);
    atomic_uint_fast64_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const double start_s = now_s();
    for (int i = 0; i < processes; i++) {
        if (fork() == 0) {
            const uint64_t operations = run(&job, &shared[0], (uint64_t)i + 1);
            atomic_fetch_add(&shared[8], operations);
            _exit(0);
        }
    }
    int failed = 0;
    for (int status; wait(&status) > 0;)
        failed |= status;
    if (failed != 0)
        return 1;
    printf("%lu %.6f\n", (unsigned long)atomic_load(&shared[8]), now_s() - start_s);
    return 0;
}
