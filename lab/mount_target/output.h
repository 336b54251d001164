/* Lines to standard output, from memory while nobody reads: writing never blocks. A reader that has gone ends the
 * process by SIGPIPE, and so does one that is away for hours, by a refusal. */
#ifndef MOUNT_TARGET_OUTPUT_H
#define MOUNT_TARGET_OUTPUT_H

/* Adds the newline. */
void output_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What was not written is gone. */
void output_close(void);

#endif
