/* The command line, checked as far as that is possible without touching a file. */
#ifndef TIDEMARK_ARGUMENTS_H
#define TIDEMARK_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_BAD_ARGUMENTS 2

enum operation { OPERATION_READ, OPERATION_WRITE };
enum engine { ENGINE_THREADS, ENGINE_IO_URING };
enum pattern { PATTERN_FIXED, PATTERN_SEQUENTIAL, PATTERN_RANDOM };

struct arguments {
    const char **files;
    size_t file_count;
    enum operation operation;
    enum pattern pattern;
    uint64_t size_bytes;
    uint64_t threads; /* of each file */
    enum engine engine;
    bool depth_given;
    uint64_t depth; /* requests that each thread has in flight */
    uint64_t duration_ns;
    uint64_t warmup_ns;
    bool start_at_given;
    uint64_t start_at_unix_ns;
    bool span_given;
    uint64_t span_bytes;
    bool direct;
    bool sync;
    bool overwrite;
    uint64_t seed;
};

extern const char *const operation_names[];
extern const char *const pattern_names[];
extern const char *const engine_names[];

/* Ends the process: 0 for --help and --version, EXIT_BAD_ARGUMENTS with one line for what can't be done. */
void arguments_parse(struct arguments *arguments, int argc, char **argv);

/* Prints "tidemark-worker: FLAG: …" as one line on standard error and exits with `status`. */
_Noreturn void arguments_refuse(int status, const char *flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --start-at must be ahead; asked again once the files are open. */
void arguments_check_start(const struct arguments *arguments);

#endif
