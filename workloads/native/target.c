#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFUSE(flag, ...) arguments_refuse(EXIT_BAD_ARGUMENTS, flag, __VA_ARGS__)

_Noreturn void target_refuse(const char *path, int error) {
    arguments_refuse(EXIT_FAILURE, "--file", "%s: %s", path, strerror(error));
}

static uint64_t size_of(int descriptor, const char *path) {
    struct stat about;
    if (fstat(descriptor, &about) != 0)
        target_refuse(path, errno);
    if (S_ISREG(about.st_mode))
        return (uint64_t)about.st_size;
    uint64_t size_bytes = 0;
    if (ioctl(descriptor, BLKGETSIZE64, &size_bytes) != 0)
        target_refuse(path, errno);
    return size_bytes;
}

/* Before it is opened: opening a FIFO waits for its other end, and opening a tape winds it. */
static bool check_kind(const char *path, const struct arguments *arguments) {
    struct stat about;
    if (stat(path, &about) != 0)
        target_refuse(path, errno);
    if (!S_ISREG(about.st_mode) && !S_ISBLK(about.st_mode))
        REFUSE("--file", "%s is neither; allowed: a regular file or a block device", path);
    if (S_ISBLK(about.st_mode) && arguments->operation == OPERATION_WRITE && !arguments->overwrite)
        REFUSE("--op", "got write for %s, a block device, whose data it would destroy; allowed: read, or write with "
               "--overwrite", path);
    return S_ISBLK(about.st_mode);
}

void target_open(struct target *target, const char *path, const struct arguments *arguments) {
    const bool is_block_device = check_kind(path, arguments);
    const bool writes = arguments->operation == OPERATION_WRITE;
    target->path = path;
    /* For reading, too, as the original experiment's were: with O_WRONLY no read-modify-write could be seen. */
    target->flags = (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | (arguments->direct ? O_DIRECT : 0) |
                    (arguments->sync ? O_SYNC : 0);
    /* O_EXCL without O_CREAT on a block device: EBUSY while it is mounted or part of an array (open(2)). It is asked
     * of this descriptor, kept open throughout, and not of the threads' own, which would be in each other's way. */
    target->descriptor = open(path, target->flags | (is_block_device && writes ? O_EXCL : 0));
    if (target->descriptor < 0)
        target_refuse(path, errno);
    atomic_init(&target->cursor, 0);

    const uint64_t size_bytes = size_of(target->descriptor, path);
    const uint64_t needed_bytes = arguments->span_given ? arguments->span_bytes : arguments->size_bytes;
    const bool may_grow = writes && !is_block_device;
    /* Reading past the end would be counted as operations that moved nothing. */
    if (needed_bytes > size_bytes && !(may_grow && (arguments->span_given || arguments->pattern == PATTERN_FIXED)))
        REFUSE(arguments->span_given ? "--span" : "--size",
               "got %" PRIu64 "; allowed: up to %" PRIu64 " bytes, the size of %s%s", needed_bytes, size_bytes, path,
               may_grow ? ", or a --span to let it grow to" : "");
    const uint64_t span_bytes = arguments->span_given ? arguments->span_bytes : size_bytes;
    target->request_count = span_bytes / arguments->size_bytes;
}
