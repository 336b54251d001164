/* A file under test: what it is, how large, and where its next sequential request lies. */
#ifndef TIDEMARK_TARGET_H
#define TIDEMARK_TARGET_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "arguments.h"

#define CACHE_LINE_BYTES 64

struct target {
    const char *path;
    int flags; /* for open(2) */
    int descriptor;
    uint64_t request_count; /* whole requests in the span */
    alignas(CACHE_LINE_BYTES) atomic_uint_fast64_t cursor; /* sequential requests handed out so far */
};

/* Opens and checks; ends the process with one line if the file can't be opened (1) or can't be used so (2). */
void target_open(struct target *target, const char *path, const struct arguments *arguments);

_Noreturn void target_refuse(const char *path, int error);

#endif
