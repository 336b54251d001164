/* The one way to end for a reason that is not the end of standard input. */
#ifndef MOUNT_TARGET_REFUSE_H
#define MOUNT_TARGET_REFUSE_H

#define EXIT_BAD_ARGUMENTS 2

/* Prints "mount-target: …" as one line on standard error and exits with `status`. */
_Noreturn void refuse(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

_Noreturn void refuse_no_memory(void);

#endif
