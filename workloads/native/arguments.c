#include "arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "text.h"

#define VERSION "0.1.0"

/* read(2): "On Linux, read() (and similar system calls) will transfer at most 0x7ffff000 bytes". */
#define SIZE_LIMIT_BYTES UINT64_C(0x7ffff000)
#define THREADS_LIMIT UINT64_C(1024)
#define ALL_THREADS_LIMIT UINT64_C(4096) /* a thread has about 160 KiB of counters, besides its buffer */
#define DEPTH_LIMIT UINT64_C(1024)
#define RING_SIZE_LIMIT_BYTES (UINT64_C(1) << 30) /* io_uring_register(2), of a buffer */
#define SECONDS_LIMIT UINT64_C(31536000) /* a year */
#define UNIX_SECONDS_LIMIT UINT64_C(9999999999) /* in the year 2286 */

const char *const operation_names[] = {"read", "write", NULL};
const char *const pattern_names[] = {"fixed", "sequential", "random", NULL};
const char *const engine_names[] = {"threads", "io_uring", NULL};

static const char help_text[] =
    "tidemark-worker: repeats one file operation and counts it, second by second\n"
    "\n"
    "  --file PATH           a regular file or a block device; may be given many times\n"
    "  --op read|write       the operation; a block device is written to only with --overwrite\n"
    "  --pattern fixed|sequential|random\n"
    "                        fixed: lseek to 0, then read or write; sequential: the threads of a file take turns\n"
    "                        along it; random: aligned, uniform\n"
    "  --size BYTES          bytes of an operation; K, M or G at the end mean 1024, 1024^2 or 1024^3\n"
    "  --threads N           threads of each file\n"
    "  --engine threads|io_uring\n"
    "                        threads: each has one request in flight (read, write, pread, pwrite); io_uring: each has\n"
    "                        --depth of them, with registered buffers, and fixed does without lseek (threads)\n"
    "  --depth N             requests that each thread has in flight, with --engine io_uring (1)\n"
    "  --duration SECONDS    the measured time, up to nine decimals\n"
    "  --warmup SECONDS      time before it that isn't counted (0)\n"
    "  --start-at UNIX_SECONDS\n"
    "                        when the warm-up, or else the measuring, begins (at once)\n"
    "  --span BYTES          the part from the start of each file to work in (all of it); of a span that is no\n"
    "                        multiple of --size, the rest at the end is left out\n"
    "  --direct, --sync      open with O_DIRECT, O_SYNC\n"
    "  --overwrite           let --op write destroy what is on a block device\n"
    "  --seed N              of the random offsets and of the data written (1)\n"
    "  --help, --version\n"
    "\n"
    "Standard output has a JSON document a line: an interval each second, then the final one. SIGTERM and SIGINT\n"
    "end the run early, with its final line; a second one gives up on operations that are still in flight.\n"
    "After a failed operation a thread waits a millisecond. Exit code: 0; 2 bad arguments; 1 a file can't be\n"
    "opened, every operation failed, or operations were given up.\n";

_Noreturn void arguments_refuse(int status, const char *flag, const char *format, ...) {
    static pthread_mutex_t only_once = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&only_once); /* files are opened by several threads: the first fault is the one that is named */
    char reason[4096];
    va_list values;
    va_start(values, format);
    vsnprintf(reason, sizeof reason, format, values);
    va_end(values);
    text_keep_on_one_line(reason);
    char name[64];
    snprintf(name, sizeof name, "%s", flag);
    text_keep_on_one_line(name);
    fprintf(stderr, "tidemark-worker: %s: %s\n", name, reason);
    exit(status);
}

#define REFUSE(flag, ...) arguments_refuse(EXIT_BAD_ARGUMENTS, flag, __VA_ARGS__)

/* strtoull takes signs, spaces and overflow in its stride; a benchmark's parameters shouldn't. */
static bool parse_digits(const char **text, uint64_t *value) {
    const char *start = *text;
    *value = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(**text - '0'), value))
            return false;
    }
    return *text != start;
}

static uint64_t parse_count(const char *flag, const char *given, uint64_t least, uint64_t most) {
    const char *text = given;
    uint64_t value;
    if (!parse_digits(&text, &value) || *text != '\0' || value < least || value > most)
        REFUSE(flag, "got \"%s\"; allowed: a whole number from %" PRIu64 " to %" PRIu64, given, least, most);
    return value;
}

static uint64_t parse_bytes(const char *flag, const char *given, uint64_t most) {
    const char *text = given;
    uint64_t value;
    uint64_t unit = 1;
    bool good = parse_digits(&text, &value);
    if (good && *text != '\0' && text[1] == '\0') {
        const char *const units = "KMG";
        const char *found = strchr(units, *text);
        good = found != NULL;
        if (good) {
            unit = UINT64_C(1) << (10 * (found - units + 1));
            text++;
        }
    }
    if (!good || *text != '\0' || __builtin_mul_overflow(value, unit, &value) || value < 1 || value > most)
        REFUSE(flag, "got \"%s\"; allowed: 1 to %" PRIu64 " bytes, as a whole number, with K, M or G for powers of "
               "1024", given, most);
    return value;
}

/* Decimal, kept in whole nanoseconds: a double of Unix seconds would be off by 200 of them. */
static uint64_t parse_seconds(const char *flag, const char *given, uint64_t least_ns, uint64_t most_seconds) {
    const char *text = given;
    uint64_t seconds;
    uint64_t fraction_ns = 0;
    bool good = parse_digits(&text, &seconds) && seconds <= most_seconds;
    if (good && *text == '.') {
        const char *decimals = ++text;
        good = parse_digits(&text, &fraction_ns) && text - decimals <= 9;
        for (long count = text - decimals; good && count < 9; count++)
            fraction_ns *= 10;
    }
    const uint64_t ns = good ? seconds * NS_PER_SECOND + fraction_ns : 0;
    if (!good || *text != '\0' || ns < least_ns || ns > most_seconds * NS_PER_SECOND)
        REFUSE(flag, "got \"%s\"; allowed: %s to %" PRIu64 " seconds, in digits with up to nine decimals", given,
               least_ns == 0 ? "0" : "0.001", most_seconds);
    return ns;
}

static unsigned parse_choice(const char *flag, const char *given, const char *const names[]) {
    char allowed[64] = "";
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(given, names[i]) == 0)
            return i;
        const size_t used = strlen(allowed);
        snprintf(allowed + used, sizeof allowed - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    REFUSE(flag, "got \"%s\"; allowed: %s", given, allowed);
}

static const char *parse_path(const char *flag, const char *given) {
    if (*given == '\0')
        REFUSE(flag, "got \"\"; allowed: the path of a regular file or a block device");
    if (!text_is_utf8(given))
        REFUSE(flag, "got \"%s\"; allowed: a path in UTF-8, as the lines of the output are", given);
    return given;
}

enum flag {
    FLAG_FILE, FLAG_OP, FLAG_PATTERN, FLAG_SIZE, FLAG_THREADS, FLAG_ENGINE, FLAG_DEPTH, FLAG_DURATION, FLAG_WARMUP,
    FLAG_START_AT, FLAG_SPAN, FLAG_DIRECT, FLAG_SYNC, FLAG_OVERWRITE, FLAG_SEED, FLAG_HELP, FLAG_VERSION, FLAG_COUNT,
};

static const struct {
    const char *name;
    bool takes_value;
    const char *needed; /* what to give, when it must be given */
} flags[FLAG_COUNT] = {
    [FLAG_FILE] = {"--file", true, "the path of a regular file or a block device"},
    [FLAG_OP] = {"--op", true, "read, write"},
    [FLAG_PATTERN] = {"--pattern", true, "fixed, sequential, random"},
    [FLAG_SIZE] = {"--size", true, "the bytes of an operation"},
    [FLAG_THREADS] = {"--threads", true, "the number of threads of each file"},
    [FLAG_ENGINE] = {"--engine", true, NULL},
    [FLAG_DEPTH] = {"--depth", true, NULL},
    [FLAG_DURATION] = {"--duration", true, "the seconds to measure"},
    [FLAG_WARMUP] = {"--warmup", true, NULL},
    [FLAG_START_AT] = {"--start-at", true, NULL},
    [FLAG_SPAN] = {"--span", true, NULL},
    [FLAG_DIRECT] = {"--direct", false, NULL},
    [FLAG_SYNC] = {"--sync", false, NULL},
    [FLAG_OVERWRITE] = {"--overwrite", false, NULL},
    [FLAG_SEED] = {"--seed", true, NULL},
    [FLAG_HELP] = {"--help", false, NULL},
    [FLAG_VERSION] = {"--version", false, NULL},
};

static enum flag flag_find(const char *word, size_t length) {
    for (unsigned i = 0; i < FLAG_COUNT; i++) {
        if (strlen(flags[i].name) == length && strncmp(flags[i].name, word, length) == 0)
            return (enum flag)i;
    }
    REFUSE(word, "no such flag; allowed: see tidemark-worker --help");
}

static _Noreturn void print_and_exit(const char *text) {
    fputs(text, stdout);
    exit(fflush(stdout) == 0 ? 0 : 1);
}

static void flag_apply(struct arguments *arguments, enum flag flag, const char *given) {
    const char *const name = flags[flag].name;
    switch (flag) {
    case FLAG_FILE: arguments->files[arguments->file_count++] = parse_path(name, given); break;
    case FLAG_OP: arguments->operation = (enum operation)parse_choice(name, given, operation_names); break;
    case FLAG_PATTERN: arguments->pattern = (enum pattern)parse_choice(name, given, pattern_names); break;
    case FLAG_SIZE: arguments->size_bytes = parse_bytes(name, given, SIZE_LIMIT_BYTES); break;
    case FLAG_THREADS: arguments->threads = parse_count(name, given, 1, THREADS_LIMIT); break;
    case FLAG_ENGINE: arguments->engine = (enum engine)parse_choice(name, given, engine_names); break;
    case FLAG_DEPTH:
        arguments->depth_given = true;
        arguments->depth = parse_count(name, given, 1, DEPTH_LIMIT);
        break;
    case FLAG_DURATION: arguments->duration_ns = parse_seconds(name, given, NS_PER_MILLISECOND, SECONDS_LIMIT); break;
    case FLAG_WARMUP: arguments->warmup_ns = parse_seconds(name, given, 0, SECONDS_LIMIT); break;
    case FLAG_START_AT:
        arguments->start_at_given = true;
        arguments->start_at_unix_ns = parse_seconds(name, given, 0, UNIX_SECONDS_LIMIT);
        break;
    case FLAG_SPAN:
        arguments->span_given = true;
        arguments->span_bytes = parse_bytes(name, given, INT64_MAX);
        break;
    case FLAG_DIRECT: arguments->direct = true; break;
    case FLAG_SYNC: arguments->sync = true; break;
    case FLAG_OVERWRITE: arguments->overwrite = true; break;
    case FLAG_SEED: arguments->seed = parse_count(name, given, 0, UINT64_MAX); break;
    case FLAG_HELP: print_and_exit(help_text);
    case FLAG_VERSION: print_and_exit("tidemark-worker " VERSION "\n");
    case FLAG_COUNT: abort();
    }
}

static void check_together(const struct arguments *arguments, const bool seen[FLAG_COUNT]) {
    for (unsigned i = 0; i < FLAG_COUNT; i++) {
        if (flags[i].needed != NULL && !seen[i])
            REFUSE(flags[i].name, "not given; allowed: %s", flags[i].needed);
    }
    if (arguments->threads * arguments->file_count > ALL_THREADS_LIMIT)
        REFUSE("--threads", "got %" PRIu64 " for each of %zu files; allowed: up to %" PRIu64 " threads altogether",
               arguments->threads, arguments->file_count, ALL_THREADS_LIMIT);
    if (arguments->depth_given && arguments->engine == ENGINE_THREADS)
        REFUSE("--depth", "got %" PRIu64 " with --engine threads, where each thread has one request in flight; "
               "allowed: with --engine io_uring", arguments->depth);
    if (arguments->engine == ENGINE_IO_URING && arguments->size_bytes > RING_SIZE_LIMIT_BYTES)
        REFUSE("--size", "got %" PRIu64 "; allowed: with --engine io_uring up to %" PRIu64 " bytes",
               arguments->size_bytes, RING_SIZE_LIMIT_BYTES);
    if (arguments->span_given && arguments->pattern == PATTERN_FIXED)
        REFUSE("--span", "got %" PRIu64 " with --pattern fixed, which stays at offset 0; allowed: with --pattern "
               "sequential or random", arguments->span_bytes);
    if (arguments->span_given && arguments->span_bytes < arguments->size_bytes)
        REFUSE("--span", "got %" PRIu64 "; allowed: --size (%" PRIu64 ") bytes or more", arguments->span_bytes,
               arguments->size_bytes);
    if (arguments->overwrite && arguments->operation != OPERATION_WRITE)
        REFUSE("--overwrite", "got it with --op read; allowed: with --op write");
    arguments_check_start(arguments);
}

void arguments_check_start(const struct arguments *arguments) {
    const uint64_t now_ns = clock_unix_ns();
    if (!arguments->start_at_given || arguments->start_at_unix_ns > now_ns)
        return;
    const uint64_t start_ns = arguments->start_at_unix_ns;
    REFUSE("--start-at",
           "got %" PRIu64 ".%03" PRIu64 ", which has passed; allowed: a time after now, %" PRIu64 ".%03" PRIu64,
           start_ns / NS_PER_SECOND, start_ns % NS_PER_SECOND / NS_PER_MILLISECOND, now_ns / NS_PER_SECOND,
           now_ns % NS_PER_SECOND / NS_PER_MILLISECOND);
}

void arguments_parse(struct arguments *arguments, int argc, char **argv) {
    *arguments = (struct arguments){.seed = 1, .depth = 1};
    arguments->files = calloc((size_t)argc + 1, sizeof *arguments->files);
    if (arguments->files == NULL)
        arguments_refuse(EXIT_FAILURE, "--file", "no memory");
    bool seen[FLAG_COUNT] = {false};
    for (int i = 1; i < argc; i++) {
        const char *const word = argv[i];
        if (strncmp(word, "--", 2) != 0)
            REFUSE(word, "not a flag; allowed: see tidemark-worker --help");
        const char *const equals = strchr(word, '=');
        const enum flag flag = flag_find(word, equals == NULL ? strlen(word) : (size_t)(equals - word));
        if (seen[flag] && flag != FLAG_FILE)
            REFUSE(flags[flag].name, "given twice; allowed: once");
        seen[flag] = true;
        if (!flags[flag].takes_value) {
            if (equals != NULL)
                REFUSE(flags[flag].name, "got \"%s\"; allowed: no value", equals + 1);
            flag_apply(arguments, flag, NULL);
        } else if (equals != NULL) {
            flag_apply(arguments, flag, equals + 1);
        } else if (i + 1 < argc) {
            flag_apply(arguments, flag, argv[++i]);
        } else {
            REFUSE(flags[flag].name, "got no value; allowed: a value after it");
        }
    }
    check_together(arguments, seen);
}
